"""The Python of docs/your-own-loop.md, section by section."""

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs/your-own-loop.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(title: str = "In your own loop") -> list[str]:
    """The blocks of a section; without a title those before the first section."""
    text = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    (section,) = (part for part in text if part.startswith(f"{title}\n"))
    return BLOCK.findall(section)


SAMPLES = 1400
"""Training samples of the examples."""


def run(*code: str, samples: int = SAMPLES) -> dict[str, Any]:
    """The names that the data of the examples, of so many samples, and further blocks leave."""
    names: dict[str, Any] = {}
    (data,) = blocks()
    assert str(SAMPLES) in data
    for block in (data.replace(str(SAMPLES), str(samples)), *code):
        exec(block, names)  # the page's own lines
    return names
