"""The code of docs/deployed-network.md runs."""

import re
from pathlib import Path

import pytest


def test_the_loop_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs/deployed-network.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})
    weights, epoch, temperature = capsys.readouterr().out.split()
    assert weights in ("averaged", "last")
    assert 1 <= int(epoch) <= 5
    assert 0.1 <= float(temperature) <= 10
