"""The Python of docs/devices.md: what needs no extra runs, the rest names what there is."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import osakd
from osakd.deploy.exported import FORMATS

PAGE = (Path(__file__).parents[2] / "docs/devices.md").read_text("utf-8")
FIRST, *REST = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With a format that needs no extra in the place of ONNX, which is in tests/integrations."""
    monkeypatch.setitem(FORMATS, ".onnx", FORMATS[".made"])
    monkeypatch.chdir(tmp_path)
    image = np.zeros((8, 8, 1), np.uint8)
    Image.fromarray(image[:, :, 0]).save("one.png")
    exec(FIRST, {"image": image})  # the page's own lines
    assert "probability" in capsys.readouterr().out
    assert (tmp_path / "model.onnx").is_file()


def test_the_rest_calls_what_there_is() -> None:
    (hub,) = REST
    called = {node.attr for node in ast.walk(ast.parse(hub)) if isinstance(node, ast.Attribute)}
    assert {"from_pretrained", "save_pretrained"} <= called
    assert {"from_pretrained", "save_pretrained"} <= set(dir(osakd.OSAKDModel))
