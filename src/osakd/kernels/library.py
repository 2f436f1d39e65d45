"""The built kernel, loaded once in a process."""

import ctypes
from functools import cache

from osakd.kernels.build import NoKernelError, built_library

_INSTRUCTIONS = {16: "AVX-512", 8: "AVX2", 4: "NEON"}


def load() -> ctypes.CDLL:
    """The kernel's functions; it is built at the first call.

    Raises:
        NoKernelError: it cannot be used here.
    """
    found = _found()
    if isinstance(found, NoKernelError):
        raise found
    return found


def instruction_set() -> str:
    """The instructions that the kernel is built for: AVX-512, AVX2 or NEON.

    Raises:
        NoKernelError: it cannot be used here.
    """
    return _INSTRUCTIONS[load().osakd_lanes()]


@cache
def _found() -> ctypes.CDLL | NoKernelError:
    try:
        library = ctypes.CDLL(str(built_library()))
    except NoKernelError as error:
        return error
    except OSError as error:
        return NoKernelError(f"the kernel cannot be loaded ({' '.join(str(error).split())})")
    library.osakd_workspace.restype = ctypes.c_int64
    library.osakd_forward.restype = library.osakd_backward.restype = None
    return library
