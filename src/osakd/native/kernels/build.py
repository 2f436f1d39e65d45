"""Builds the kernel with the machine's compiler, once: the library is kept in the user's cache.

A library's name is a digest of everything that it depends on. It is loaded only if it belongs to this user and is what
was written. ``OSAKD_KERNEL_MARCH`` names another instruction set than this machine's own, for tests.
"""

import hashlib
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from osakd.durable import write_atomic
from osakd.errors import InputError, RunError, UnsupportedError, one_line
from osakd.paths import cache_folder

SOURCE = "kernels.cpp"
_TIMEOUT = 300.0
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def compilers() -> Iterator[list[str]]:
    """The commands of the C++ compilers of this machine: ``$CC``, cc, gcc, clang, then zig where it is installed."""
    if os.environ.get("CC"):
        yield shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            yield [name]
    if importlib.util.find_spec("ziglang"):
        yield [sys.executable, "-m", "ziglang", "cc"]


def built_library() -> Path:
    """The path of this machine's kernel, built if the cache lacks it; an UnsupportedError where it cannot be."""
    if os.name != "posix":
        raise UnsupportedError(f"the kernel does not run on {platform.system()}")
    refused = ""
    for command in compilers():
        try:
            return _built_with(command, _private_folder())
        except (OSError, subprocess.SubprocessError) as error:
            refused = refused or f"{command[0]} cannot build the kernel ({_words(error)})"
        except (InputError, RunError) as error:
            raise UnsupportedError(f"the kernel cannot be kept ({_words(error)})") from error
    raise UnsupportedError(refused or "there is no C++ compiler: install gcc or clang, or the package ziglang")


def _built_with(command: list[str], folder: Path) -> Path:
    flags = ["-O3", f"-march={os.environ.get('OSAKD_KERNEL_MARCH', 'native')}", "-std=c++17", "-shared", "-fPIC"]
    clang_library = sys.platform == "darwin" or "ziglang" in command
    libraries = ["-pthread", "-lc++" if clang_library else "-lstdc++"]
    version = _run([*command, "--version"])
    here = Path(__file__).parent
    sources = [path.read_bytes() for path in sorted([*here.glob("*.cpp"), *here.glob("*.h")])]
    parts = [*sources, version, " ".join([*command, *flags, *libraries]).encode(), _processor()]
    name = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    path, digest = folder / f"{name}.so", folder / f"{name}.sha256"
    if not _is_trusted(path, digest):
        logging.getLogger("osakd").info("Building the native kernel, once")
        beside = folder / f"{name}.{os.getpid()}.so"
        try:
            _run([*command, *flags, str(here / SOURCE), "-o", str(beside), *libraries])
            content = beside.read_bytes()
        finally:
            beside.unlink(missing_ok=True)
        write_atomic(digest, hashlib.sha256(content).hexdigest().encode())
        write_atomic(path, content)
    return path


def _is_trusted(path: Path, digest: Path) -> bool:
    """Whether a library of this user is there, and is what was written."""
    try:
        safe = all(_is_private(file.lstat()) and stat.S_ISREG(file.lstat().st_mode) for file in (path, digest))
        return safe and hashlib.sha256(path.read_bytes()).hexdigest() == digest.read_text(encoding="ascii")
    except (OSError, ValueError):
        return False


def _private_folder() -> Path:
    """The folder of built kernels, which nobody else can use."""
    folder = cache_folder() / "kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or not _is_private(status):
        raise UnsupportedError(f"others may write {str(folder)!r}: remove it, or name another cache in OSAKD_CACHE")
    for above in folder.resolve().parents:
        if above.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            raise UnsupportedError(f"anybody may write {str(above)!r}: name another cache in OSAKD_CACHE")
    folder.chmod(0o700)
    return folder


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not status.st_mode & _OTHERS_MAY_WRITE


def _processor() -> bytes:
    """What tells processors with different instruction sets apart."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().partition(b"\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".encode()
    kinds = (b"model name", b"flags", b"features", b"cpu part")
    return b"\n".join(line for line in lines if line.lower().startswith(kinds))


def _run(command: list[str]) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)  # noqa: S603 - the user's compiler
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines() or [f"exit code {done.returncode}"]
        raise OSError(next((line for line in lines if "error" in line), lines[0]))
    return done.stdout


def _words(error: BaseException) -> str:
    return one_line(error).rstrip(".")
