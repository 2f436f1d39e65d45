"""Draws the imports of the package as the Mermaid block of docs/architecture.md: ``python docs/imports.py``.

An arrow means "imports"; arrows that follow from others are left out. A test compares the block with the imports.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import grimp

PAGE = Path(__file__).resolve().parent / "architecture.md"
BLOCK = re.compile(r"(?<=<!-- imports -->\n).*?(?=<!-- end -->)", re.DOTALL)


def read_imports() -> tuple[dict[str, set[str]], set[str]]:
    """What each module or package under ``osakd`` imports of the others, and those that import torch somewhere."""
    graph = grimp.build_graph(
        "osakd", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    imports, with_torch = {}, set()
    packages = {child.split(".")[1]: child for child in graph.find_children("osakd") if not child.startswith("osakd._")}
    for package, child in packages.items():
        modules = {child, *graph.find_descendants(child)}
        imported = {name for module in modules for name in graph.find_modules_directly_imported_by(module)}
        imports[package] = {name.split(".")[1] for name in imported if "." in name} & set(packages) - {package}
        if "torch" in imported:
            with_torch.add(package)
    return imports, with_torch


def without_shortcuts(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The arrows but for those whose end is also reached by way of another package."""

    def below(package: str) -> set[str]:
        return imports[package].union(*(below(other) for other in imports[package]))

    return {package: others.difference(*map(below, others)) for package, others in imports.items()}


def mermaid(imports: Mapping[str, set[str]], with_torch: set[str]) -> str:
    """The block: the arrows, and the packages with torch in another colour."""
    arrows = [f"  {package} --> {other}" for package in sorted(imports) for other in sorted(imports[package])]
    colour = ["  classDef torch fill:#fde9d9,stroke:#666,color:#111", f"  class {','.join(sorted(with_torch))} torch"]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, *colour, "```", ""])


def filled(page: str) -> str:
    """The text of the page with the imports as they are."""
    imports, with_torch = read_imports()
    return BLOCK.sub(mermaid(without_shortcuts(imports), with_torch), page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
