"""Keeps freed memory in the process, since training allocates the same large blocks in every step."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc's malloc.h
_LARGE = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed blocks, in processes that osakd starts; whether this system's allocator accepted it."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    options = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _LARGE, _TOP_PAD: 2**26}
    return all(mallopt(option, value) for option, value in options.items())
