"""``python -m chaos.coverage READER -max_total_time=60``: bytes that reach new lines of a reader, found by atheris.

atheris is no dependency: install it beside this package, in an environment of its own. What follows the name of the
reader is for libFuzzer. A crash ends the process and leaves the bytes in a file; only our own errors may come out.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportMissingModuleSource=false

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["osakd"]):
    from osakd import records
    from osakd.data.decode import decode
    from osakd.data.encoded import EncodedSplit
    from osakd.data.options import ImageOptions
    from osakd.data.parquet import read_parquet
    from osakd.errors import InputError, RunError
    from osakd.runner.lock import current_runner

SOUND = Path(__file__).parents[1] / "records/comparison/cifar10-resnet8/osakd-paper-seed0"
PLACE = Path(tempfile.mkdtemp(prefix="osakd-coverage-"))


def _record(name: str) -> Callable[[bytes], object]:
    """Reads a run whose file of that name holds the bytes."""
    for one in (records.CONFIG, records.METRICS, records.RESULT):
        shutil.copy(SOUND / one, PLACE / one)

    def read(content: bytes) -> object:
        (PLACE / name).write_bytes(content)
        records.read_config(PLACE)
        records.read_metrics(PLACE)
        return records.read_run(PLACE)

    return read


def _note(content: bytes) -> object:
    (PLACE / ".runner.json").write_bytes(content)
    return current_runner(PLACE)


def _parquet(content: bytes) -> object:
    (PLACE / "made.parquet").write_bytes(content)
    return read_parquet([PLACE / "made.parquet"], ImageOptions())


_FILES = {"config": records.CONFIG, "curve": records.METRICS, "result": records.RESULT}
READERS: dict[str, Callable[[], Callable[[bytes], object]]] = {
    **{name: partial(_record, file) for name, file in _FILES.items()},
    "note": lambda: _note,
    "images": lambda: lambda content: decode(EncodedSplit([content], [0], ["x"]), (4, 4)),
    "parquet": lambda: _parquet,
}


def main() -> None:
    """Fuzzes the reader that is named first, from a sound file where there is one."""
    name = sys.argv.pop(1)
    read = READERS[name]()
    corpus = PLACE / "corpus"
    corpus.mkdir()
    if name in _FILES:
        shutil.copy(SOUND / _FILES[name], corpus)

    def one(content: bytes) -> None:
        with suppress(InputError, RunError):
            read(content)

    atheris.Setup([*sys.argv, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
