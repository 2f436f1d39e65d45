"""The table of latencies: what is measured, what is recorded, what is shown."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import osakd
import osakd.deploy.latency
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.deploy.latency import Latencies, Latency, latency_text
from osakd.deploy.memory import added_memory
from tests.engine.runs import digits_run


def test_run_folders_and_files_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(osakd.deploy.latency, "added_memory", lambda path: measured.append(path) or 1.5)
    run = digits_run(tmp_path)
    file = osakd.export(run.folder, tmp_path / "x.made").path
    threads = torch.get_num_threads()
    found = osakd.latency([run.folder, file], calls=21, record=tmp_path / "record.json")
    assert torch.get_num_threads() == threads
    network, exported = found.rows
    assert (network.name, network.runtime, exported.name, exported.runtime) == (
        "run",
        "PyTorch",
        "x.made",
        "made up",
    )
    for row in found.rows:
        assert row.accuracy == run.result.deployed_scores()["accuracy"]
        assert (row.network, row.data, row.numbers, row.parameters) == ("lenet-digits", "digits", "float32", 13_706)
        assert row.data_content == load_data("digits").content
        assert row.commit == run.result.environment["commit"]
        assert row.macs == 8 * 8 * 16 * 9 + 4 * 4 * 32 * 9 * 16 + 128 * 64 + 64 * 10
        assert 1 < row.median_us <= row.p95_us
        assert row.memory_mib == 1.5
    assert measured == [run.folder, file]
    memory = added_memory(run.folder)  # in a process of its own
    assert memory is None or 0 < memory < 1000
    assert exported.bytes == file.stat().st_size
    assert main(["latency", str(tmp_path / "record.json")]) == 0
    printed = capsys.readouterr().out
    assert "| lenet-digits | digits |     13,706 | 0.09 M |" in printed
    assert f"\n| x.made |  {100 * exported.accuracy:.2f} % | " in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert "of 21 calls" in printed


def test_the_table_fits_a_terminal() -> None:
    """The longest name of the record, the largest numbers; int8 is said where the name does not say it."""
    row = Latency(
        "lenet-fashion-int8.onnx", "lenet-fashion", "fashion_mnist", "0" * 16, None, "ONNX", "int8", 1.0, 1_744_562,
        431_080, 2_290_000, 1294.0, 2141.0, 109.3,
    )  # fmt: skip
    other = replace(row, name="a|b.pte", memory_mib=None)
    lines = latency_text(Latencies([row, other], 1000, {"system": "Linux"})).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2] == "| lenet-fashion | fashion_mnist |    431,080 | 2.29 M |"
    assert lines[6] == "| lenet-fashion-int8.onnx | 100.00 % | 1,744.6 |     1,294 |  2,141 | 109.3 |"
    assert lines[7] == r"| a\|b.pte (int8)         | 100.00 % | 1,744.6 |     1,294 |  2,141 |     - |"


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"rows": [{}]}))
    assert main(["latency", str(tmp_path)]) == 2
    assert main(["latency", str(tmp_path / "other.json")]) == 2
    assert main(["latency", str(tmp_path / "none.json")]) == 2
    with pytest.raises(osakd.InputError, match="`calls` must be at least 1"):
        osakd.latency([tmp_path], calls=0)
    with pytest.raises(osakd.InputError, match="`models` must be at least 1"):
        osakd.latency([])
