"""How the kernel is built, kept and refused."""

import os
import platform
import stat
from pathlib import Path

import pytest
import torch

from osakd.errors import UnsupportedError
from osakd.native.kernels import build, checks, library
from tests.native.networks import made

COMPILER = """#!/bin/sh
[ "$1" = --version ] && echo "a compiler of the tests" && exit
while [ "$1" != -o ]; do shift; done
echo library > "$2"
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: None) -> Path:
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that takes no time."""
    script = tmp_path / "compiler"
    script.write_text(COMPILER)
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))


@pytest.mark.usefixtures("compiler")
def test_the_library_is_built_once_and_for_its_user_only(cache: Path) -> None:
    path = build.built_library()
    before = path.stat().st_mtime_ns
    assert build.built_library() == path
    assert path.stat().st_mtime_ns == before
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert sorted(one.suffix for one in cache.iterdir()) == [".sha256", ".so"]


@pytest.mark.usefixtures("compiler")
def test_a_library_that_is_not_what_was_written_is_built_again(cache: Path) -> None:
    path = build.built_library()
    path.write_bytes(b"something else")
    assert build.built_library() == path
    assert path.read_bytes() == b"library\n"


@pytest.mark.usefixtures("compiler")
def test_another_instruction_set_is_another_library(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build.built_library()
    monkeypatch.setenv("OSAKD_KERNEL_MARCH", "another")
    assert build.built_library() != first


@pytest.mark.usefixtures("compiler")
@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_another_user_is_not_loaded(cache: Path, what: str) -> None:
    path = build.built_library()
    if what == "file":
        path.write_bytes(b"library\n")
        os.chown(path, 65534, 65534)
        build.built_library()
        assert path.stat().st_uid == 0
    else:
        os.chown(cache, 65534, 65534)
        with pytest.raises(UnsupportedError, match="others may write"):
            build.built_library()


@pytest.mark.compiler
def test_a_folder_that_others_may_write_is_not_used(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    with pytest.raises(UnsupportedError, match="others may write"):
        build.built_library()


def test_without_a_compiler_the_reason_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="no C\\+\\+ compiler: install gcc or clang"):
        library.load()
    net = made((1, 8, 8), [(2, 3, 1)])
    with pytest.raises(UnsupportedError, match=r"no C\+\+ compiler"):
        checks.check(net.stages, net.widths)


@pytest.mark.compiler
def test_a_compiler_that_fails_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSAKD_KERNEL_MARCH", "no-such-processor")
    with pytest.raises(UnsupportedError, match=r"cannot build the kernel \(.*no-such-processor"):
        library.load()


@pytest.mark.compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="another processor")
def test_a_processor_without_wide_vectors_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSAKD_KERNEL_MARCH", "x86-64")
    with pytest.raises(UnsupportedError, match="neither AVX2 with FMA nor NEON"):
        library.load()


def test_the_compiler_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "ccache gcc")
    assert next(build.compilers()) == ["ccache", "gcc"]


@pytest.mark.compiler
def test_a_kernel_that_computes_something_else_is_switched_off(monkeypatch: pytest.MonkeyPatch, anew: None) -> None:
    def wrong(
        images: list[torch.Tensor], parameters: list[torch.Tensor], *rest: object, **more: object
    ) -> torch.Tensor:
        return 1.1 * right(images, parameters, *rest, **more)

    right = checks.network
    monkeypatch.setattr(checks, "network", wrong)
    net = made((1, 8, 8), [(2, 3, 1)], [3])
    with pytest.raises(UnsupportedError, match=r"differ by 0\.1 on this network"):
        checks.check(net.stages, net.widths)
