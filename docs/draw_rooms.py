"""Draws the rooms of the package and their imports: ``python docs/draw_rooms.py``, or ``make docs``.

A room is a module or a package directly under ``osakd``. An arrow means "imports"; arrows that follow from others are
left out. A test compares the picture with one drawn from the imports as they are.
"""

import importlib
import re
import textwrap
from collections.abc import Collection, Mapping
from html import escape
from itertools import pairwise
from pathlib import Path

import grimp

PICTURE = Path(__file__).resolve().parent / "images/rooms.svg"
WIDTH, HEIGHT, GAP, PITCH, MARGIN = 190, 60, 40, 100, 16
STYLE = (
    "text { font: 12px system-ui, sans-serif; text-anchor: middle; fill: #444 } "
    ".name { font-size: 15px; font-weight: 600; fill: #111 } "
    "rect { fill: #fff; stroke: #666 } .torch { fill: #fde9d9 } path { fill: none; stroke: #888 }"
)
TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8z" style="fill: #888; stroke: none"/></marker></defs>'
)
Arrows = dict[str, set[str]]


def read_imports() -> tuple[Arrows, set[str]]:
    """What each room imports of the other rooms, and the rooms that import torch somewhere."""
    graph = grimp.build_graph(
        "osakd", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    rooms = sorted(room for room in graph.find_children("osakd") if not room.startswith("osakd._"))
    arrows: Arrows = {}
    with_torch = set()
    for room in rooms:
        modules = {room, *graph.find_descendants(room)}
        imported = {name for module in modules for name in graph.find_modules_directly_imported_by(module)}
        tops = {".".join(name.split(".")[:2]) for name in imported}
        arrows[room.split(".")[1]] = {other.split(".")[1] for other in tops & set(rooms) - {room}}
        if "torch" in imported:
            with_torch.add(room.split(".")[1])
    return arrows, with_torch


def without_shortcuts(arrows: Mapping[str, set[str]]) -> Arrows:
    """The arrows but for those whose end is also reached by way of another room.

    Example:
        >>> without_shortcuts({"a": {"b", "c"}, "b": {"c"}, "c": set()})
        {'a': {'b'}, 'b': {'c'}, 'c': set()}
    """

    def below(room: str) -> set[str]:
        return arrows[room].union(*(below(end) for end in arrows[room]))

    return {room: ends.difference(*(below(end) for end in ends)) for room, ends in arrows.items()}


def floors_and_routes(arrows: Mapping[str, set[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """The rooms floor by floor from the top, and for each arrow the places that it passes.

    A room stands one floor below the lowest room that imports it. An arrow that passes a floor has a place there.

    Example:
        >>> floors_and_routes({"a": {"b", "c"}, "b": {"d"}, "c": set(), "d": set()})[0]
        [['a'], ['b', 'c'], ['d']]
        >>> floors_and_routes({"a": {"b", "c"}, "b": {"c"}, "c": set()})[1]
        [['a', 'b'], ['a', 'a to c, 1', 'c'], ['b', 'c']]
    """
    level = dict.fromkeys(arrows, 0)
    for _ in arrows:  # no path has more arrows than there are rooms
        for room, ends in arrows.items():
            level.update({end: max(level[end], level[room] + 1) for end in ends})
    floors = [sorted(room for room in arrows if level[room] == number) for number in range(max(level.values()) + 1)]
    routes = []
    for room, end in sorted((room, end) for room, ends in arrows.items() for end in ends):
        passed = {number: f"{room} to {end}, {number}" for number in range(level[room] + 1, level[end])}
        for number, place in passed.items():
            floors[number].append(place)
        routes.append([room, *passed.values(), end])
    return _untangled(floors, routes), routes


def draw(arrows: Mapping[str, set[str]], with_torch: Collection[str], words: Mapping[str, str]) -> str:
    """The picture as SVG.

    Args:
        arrows: what each room imports, without shortcuts.
        with_torch: rooms that import torch; they are tinted.
        words: a few words about each room.
    """
    floors, routes = floors_and_routes(arrows)
    width = max(sum(_widths(floor, arrows)) + GAP * (len(floor) - 1) for floor in floors) + 2 * MARGIN
    height = PITCH * (len(floors) - 1) + HEIGHT + 2 * MARGIN
    at: dict[str, tuple[float, int]] = {}
    for number, floor in enumerate(floors):
        widths = _widths(floor, arrows)
        left = (width - sum(widths) - GAP * (len(floor) - 1)) / 2
        for place, wide in zip(floor, widths, strict=True):
            at[place] = left + wide / 2, MARGIN + PITCH * number
            left += wide + GAP
    parts = [_line([at[place] for place in route]) for route in routes]
    parts += [_box(room, words[room], *at[room], "torch" if room in with_torch else "") for room in sorted(arrows)]
    said = "; ".join(f"{room} imports {', '.join(sorted(ends))}" for room, ends in sorted(arrows.items()) if ends)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    ground = f'<rect width="{width}" height="{height}" style="stroke: none"/>'
    about = f"<title>The rooms of osakd</title>\n<desc>{said}.</desc>"
    return "\n".join([head, about, f"<style>{STYLE}</style>", TIP, ground, *parts, "</svg>\n"])


def picture() -> str:
    """The picture of the package as it is; the words are the beginning of each room's docstring."""
    arrows, with_torch = read_imports()
    words = {room: re.split(r"[.:;,(]", importlib.import_module(f"osakd.{room}").__doc__ or "")[0] for room in arrows}
    return draw(without_shortcuts(arrows), with_torch, words)


def _untangled(floors: list[list[str]], routes: list[list[str]]) -> list[list[str]]:
    """Each floor ordered by the mean place of what its places are joined to, above and below, a few times over."""
    joined: dict[str, list[str]] = {place: [] for floor in floors for place in floor}
    for upper, lower in (pair for route in routes for pair in pairwise(route)):
        joined[upper].append(lower)
        joined[lower].append(upper)
    for _ in range(8):
        share = {place: (number + 0.5) / len(floor) for floor in floors for number, place in enumerate(floor)}
        mean = {place: sum(share[one] for one in ones) / len(ones) if ones else 0.5 for place, ones in joined.items()}
        floors = [sorted(floor, key=lambda place: (round(mean[place], 6), place)) for floor in floors]
    return floors


def _widths(floor: list[str], rooms: Collection[str]) -> list[int]:
    return [WIDTH if place in rooms else 0 for place in floor]


def _line(points: list[tuple[float, int]]) -> str:
    """An arrow from the bottom of the first room to the top of the last, straight down where it passes a floor."""
    path = ""
    for (x1, y1), (x2, y2) in pairwise(points):
        start, middle = y1 + HEIGHT, (y1 + HEIGHT + y2) / 2
        path += f"L{x1:g} {start}" if path else f"M{x1:g} {start}"
        path += f"C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2}"
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _box(name: str, words: str, x: float, y: int, kind: str) -> str:
    lines = textwrap.wrap(words, 28, max_lines=2, placeholder=" ...")
    texts = [f'<text x="{x:g}" y="{y + 35 + 15 * row}">{escape(line)}</text>' for row, line in enumerate(lines)]
    rect = f'<rect class="{kind}" x="{x - WIDTH / 2:g}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    return "\n".join([rect, f'<text class="name" x="{x:g}" y="{y + 18}">{name}</text>', *texts])


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
