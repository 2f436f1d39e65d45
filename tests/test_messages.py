"""tests/messages.txt has every message of our errors, for a person who reads them all at once.

``python tests/test_messages.py --write`` writes it again. Parts that are filled in are shown as ``{...}``.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src/osakd"
GOLDEN = Path(__file__).with_name("messages.txt")


def text_of(node: ast.expr) -> str:
    """The text of an expression; what is not a literal as ``{...}``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return f"[{text_of(node.body)} | {text_of(node.orelse)}]"
    return "{...}"


def is_error(name: str) -> bool:
    return name.endswith("Error") and not hasattr(builtins, name)


def messages(tree: ast.Module) -> Iterator[str]:
    """The messages of a module, in the order of its lines."""
    constants = {
        target.id: text_of(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if is_error(name):
            message = call.args[0]
            text = constants.get(message.id, "{...}") if isinstance(message, ast.Name) else text_of(message)
            if text.replace("{...}", "").strip(" :.'"):
                yield text


def all_messages() -> str:
    """Every message, module by module."""
    parts = []
    for path in sorted(SOURCE.rglob("*.py")):
        found = list(messages(ast.parse(path.read_text(encoding="utf-8"))))
        if found:
            parts.append("\n".join([f"# {path.relative_to(SOURCE).as_posix()}", *found, ""]))
    return "\n".join(parts)


def test_the_file_has_every_message() -> None:
    modules = re.findall(r"^# (\S+)\n(.*?)(?=\n# |\Z)", GOLDEN.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    there = [f"# {module}\n{text}" for module, text in modules if (SOURCE / module).exists()]  # but for a leaf
    assert "\n".join(there) == all_messages(), "python tests/test_messages.py --write"


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    GOLDEN.write_text(all_messages(), encoding="utf-8")
