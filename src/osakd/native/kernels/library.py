"""The built kernel, loaded once in a process."""

import ctypes
import re
from functools import cache
from pathlib import Path

from osakd.errors import UnsupportedError, one_line
from osakd.native.kernels.build import built_library

_OPENMP = re.compile(r"/lib(g|i)?omp[^/]*$")


def load() -> ctypes.CDLL:
    """The kernel's functions, built at the first call; an UnsupportedError where it cannot be used."""
    library = _library()
    if isinstance(library, UnsupportedError):
        raise library
    return library


@cache
def _library() -> ctypes.CDLL | UnsupportedError:
    try:
        library = ctypes.CDLL(str(built_library()))
    except UnsupportedError as error:
        return error
    except OSError as error:
        return UnsupportedError(f"the kernel cannot be loaded ({one_line(error)})")
    library.osakd_workspace.restype = ctypes.c_int64
    library.osakd_forward.restype = library.osakd_backward.restype = None
    parallel = _openmp()
    if parallel is not None:
        library.osakd_use_openmp(parallel)
    return library


def _openmp() -> ctypes.c_void_p | None:
    """The address of ``GOMP_parallel`` in the OpenMP library that PyTorch has loaded; None where there is none."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        path = next(line.split(maxsplit=5)[5] for line in lines if _OPENMP.search(line))
        return ctypes.cast(ctypes.CDLL(path).GOMP_parallel, ctypes.c_void_p)
    except (OSError, StopIteration, AttributeError):
        return None
