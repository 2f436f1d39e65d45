"""The notebooks run from their first cell to their last, and are committed without outputs."""

from pathlib import Path

import pytest

from tests.needs import needs

nbclient, nbformat = needs("nbclient"), needs("nbformat")
needs("ipykernel")
NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["soft_labels", "to_a_board"]


@pytest.mark.filterwarnings("default")  # those of the kernel's own packages
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    if path.stem == "to_a_board":
        needs("onnxruntime")
        needs("executorch.runtime")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in cells)
