"""A hook of MkDocs: pages written for GitHub become pages of the site, see ``mkdocs.yml``.

The README is the first page. Files outside ``docs`` that a page links to go into the site's folder ``repository``;
links to folders there become plain text. Formulas in GitHub's notation are drawn by matplotlib, so that a page needs no
script for them. Below the tables of ``api.md`` the site has the docstring of each name.
"""

import re
from functools import cache
from html import escape, unescape
from pathlib import Path
from posixpath import relpath
from typing import Any

import griffe
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>(?![a-z]+:|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^(```.*?^```)$", re.DOTALL | re.MULTILINE)
BLOCK_MATH = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE_MATH = re.compile(r"\$`([^`]+)`\$")
DOCSTRING_MATH = re.compile(r":math:<code>(.*?)</code>")
CASES = re.compile(r"\\begin\{cases\}(.*?)\\\\(.*?)\\end\{cases\}", re.DOTALL)
API_ROW = re.compile(r"^\| `(osakd\.[\w.]+)` \|", re.MULTILINE)
COMMANDS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
"""The commands of SVG for matplotlib's codes of a path."""


class Examples(griffe.Extension):
    """Reads the section ``Example`` of a docstring, as the section ``Examples`` is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Renames it."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Adds the README, and the files outside ``docs`` that pages link to."""
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    while pages:
        page = pages.pop()
        if files.get_file_from_path(uri(page)) is None:
            files.append(File.generated(config, uri(page), content=page.read_text(encoding="utf-8")))
        for found in LINK.finditer(page.read_text(encoding="utf-8")):
            target = (page.parent / found["target"]).resolve()
            if target.is_file() and not target.is_relative_to(DOCS) and not files.get_file_from_path(uri(target)):
                if target.suffix == ".md":
                    pages.append(target)
                else:
                    files.append(File.generated(config, uri(target), abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with links and formulas as the site has them."""
    here = page.file.src_uri
    if here == "api.md":
        markdown += "".join(f"\n\n::: {name}\n" for name in API_ROW.findall(markdown))
    parts = FENCE.split(markdown)
    for number, part in enumerate(parts):
        formula = BLOCK_MATH.fullmatch(part)
        if formula:
            equations = "".join(f"<div>{drawn(one)}</div>" for one in re.split(r",\s+\\qquad\s+", formula[1]))
            parts[number] = f'<div class="formula">{equations}</div>'
        elif not part.startswith("```"):
            part = INLINE_MATH.sub(lambda found: drawn(found[1]), part)
            parts[number] = LINK.sub(lambda link: _on_site(link, here), part)
    return "".join(parts)


def on_page_content(html: str, **_: Any) -> str:
    """The page with the formulas of docstrings."""
    return DOCSTRING_MATH.sub(lambda found: drawn(unescape(found[1])), html)


@cache
def drawn(formula: str) -> str:
    """A formula as inline SVG, as high as the text around it and of its colour."""
    text = CASES.sub(lambda rows: rf"\left\{{\substack{{{rows[1]}\\{rows[2]}}}\right.".replace("&", r"\quad"), formula)
    text = re.sub(r"\\[bB]ig(?![a-z])", "", text).replace(r"\!", "")
    text = " ".join(re.sub(r"\\(le|ge|ne)(?![a-z])", r"\\\1q", text).split())
    path = TextPath((0, 0), f"${text}$", size=100, prop=FontProperties(math_fontfamily="cm"))
    steps = []
    for points, code in path.iter_segments(simplify=False):
        numbers = [f"{-one if number % 2 else one:.0f}" for number, one in enumerate(points)]  # SVG's y goes down
        steps.append(COMMANDS[int(code)] + ("" if COMMANDS[int(code)] == "Z" else " ".join(numbers)))
    lines = "".join(steps)
    box = path.get_extents()
    size = f"height: {box.height / 100 + 0.1:.2f}em; vertical-align: {box.y0 / 100 - 0.05:.2f}em"
    view = f"{box.x0 - 5:.0f} {-box.y1 - 5:.0f} {box.width + 10:.0f} {box.height + 10:.0f}"
    return f'<svg role="img" aria-label="{escape(formula)}" style="{size}" viewBox="{view}"><path d="{lines}"/></svg>'


def uri(path: Path) -> str:
    """Where a file of the repository is on the site."""
    if path == ROOT / "README.md":
        return "index.md"
    inside = path.is_relative_to(DOCS)
    return path.relative_to(DOCS).as_posix() if inside else f"repository/{path.relative_to(ROOT).as_posix()}"


def _on_site(link: re.Match[str], here: str) -> str:
    """A link of a page of the site."""
    source = ROOT / "README.md" if here == "index.md" else DOCS / here
    if here.startswith("repository/"):
        source = ROOT / here.removeprefix("repository/")
    target = (source.parent / link["target"]).resolve()
    if target.is_dir():
        return link["text"]
    to = relpath(uri(target), Path(here).parent.as_posix())
    return f"{link['image']}[{link['text']}]({to}{link['anchor'] or ''})"
