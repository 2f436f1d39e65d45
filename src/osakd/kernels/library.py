import ctypes, functools, os
@functools.cache
def load():
    lib = ctypes.CDLL(os.environ["KSO"])
    lib.osakd_workspace.restype = ctypes.c_int64
    return lib
