"""The table of latencies: what is measured, what is recorded, what is shown."""

import json
from pathlib import Path

import pytest
import torch

import osakd
import osakd.deploy.latency
from osakd.cli.main import main
from osakd.deploy.memory import added_memory
from tests.deploy.runs import digits_run


def test_run_folders_and_files_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(osakd.deploy.latency, "added_memory", lambda path: measured.append(path) or 1.5)
    run = digits_run(tmp_path)
    file = osakd.export(run.folder, tmp_path / "model.pt2").path
    threads = torch.get_num_threads()
    found = osakd.latency([run.folder, file], calls=21, record=tmp_path / "record.json")
    assert torch.get_num_threads() == threads
    network, exported = found.rows
    assert (network.name, network.runtime, exported.name, exported.runtime) == (
        "run",
        "PyTorch",
        "model.pt2",
        "torch.export",
    )
    for row in found.rows:
        assert row.accuracy == run.result.last["test"]["accuracy"]
        assert (row.data, row.numbers, row.parameters) == ("digits", "float32", 13_706)
        assert row.macs == 8 * 8 * 16 * 9 + 4 * 4 * 32 * 9 * 16 + 128 * 64 + 64 * 10
        assert 1 < row.median_us <= row.p95_us
        assert row.memory_mib == 1.5
    assert measured == [run.folder, file]
    memory = added_memory(file)  # in a process of its own
    assert memory is None or 0 < memory < 1000
    assert exported.bytes == file.stat().st_size
    assert main(["latency", str(tmp_path / "record.json")]) == 0
    printed = capsys.readouterr().out
    assert f"| model.pt2 | digits | torch.export | float32 | {100 * exported.accuracy:.2f} % |" in printed
    assert "of 21 calls" in printed


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"rows": [{}]}))
    assert main(["latency", str(tmp_path)]) == 2
    assert main(["latency", str(tmp_path / "other.json")]) == 2
    assert main(["latency", str(tmp_path / "none.json")]) == 2
    with pytest.raises(osakd.InputError, match="`calls` must be at least 1"):
        osakd.latency([tmp_path], calls=0)
    with pytest.raises(osakd.InputError, match="`models` must be at least 1"):
        osakd.latency([])
