"""The site of the documentation is built strictly: no link leads nowhere, and every page has its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import needs

needs("material")
needs("mkdocstrings_handlers.python")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not included in the" not in done.stderr, "add the page to `nav` in mkdocs.yml"
    return folder


def test_every_page_is_built_and_links_to_files_that_are_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        path = page.relative_to(ROOT / "docs")
        assert (
            site / (path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html"))
        ).exists()
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links begin at the root of a server
            continue
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text(encoding="utf-8")):
            assert re.match(r"[a-z]+:", target) or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_first_page_is_the_readme_and_the_api_has_its_docstrings(site: Path) -> None:
    assert "In your own loop" in (site / "index.html").read_text()
    assert (site / "repository/examples/osakd_cifar10.py").read_text() == (
        ROOT / "examples/osakd_cifar10.py"
    ).read_text()
    api = (site / "api.html").read_text()
    assert "Cross-entropy plus online self-acquired distillation" in api
    assert ":math:" not in api


def test_a_diagram_is_drawn_in_the_browser(site: Path) -> None:
    assert '<pre class="mermaid"><code>flowchart TD' in (site / "architecture.html").read_text()


def test_formulas_are_drawn_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    card = (site / "methods/tf-kd.html").read_text()
    assert card.count('<svg role="img" aria-label=') >= 6
    assert "$`" not in card
    for page in site.rglob("*.html"):
        assert not re.search(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="https?:', page.read_text())
