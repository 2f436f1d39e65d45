"""A ``.pt2`` file before PyTorch sees it: nothing in it may be unpickled, called by its name, or evaluated as text.

``torch.export.load`` does all three, and loads compiled code, for whoever made the file. Here only what
``osakd export`` writes is let through, and written again, so that PyTorch reads what was checked.
"""

import io
import json
import re
import zipfile
from typing import Any

from osakd.errors import InputError

_PROGRAM, _EXAMPLE = "models/model.json", "data/sample_inputs/model.pt"
_ENTRIES = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json|extra/[\w.]+|archive_format|archive_version|\.data/version"
    r"|\.data/serialization_id|byteorder"
)
_NAME = re.compile(r"[\w.+-]*")
_OPERATOR = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.(getitem|add|sub|mul|floordiv|mod|neg|eq|ge|gt|le|lt)")
_SIZE = re.compile(r"(Symbol\('[su]\d+'(, \w+=True)*\)|Integer\(-?\d+\)|(Add|Mul|FloorDiv|Mod|Max|Min)\(|[), ])+")
_STRUCTURE = re.compile(r'[\w\s.,:"{}\[\]-]*')
_KINDS = {"target": _OPERATOR, "expr_str": _SIZE, "in_spec": _STRUCTURE, "out_spec": _STRUCTURE}
_FOR_READERS = ("metadata", "stack_trace")


def checked(content: bytes) -> bytes:
    """The content of a ``.pt2`` file with nothing but weights, what it says about itself, and operators of PyTorch.

    Raises:
        InputError: it has anything else.
        Exception: of any kind, where it is damaged.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(stream, "w") as written:
        for entry in given.infolist():
            name = entry.filename.partition("/")[2]  # after the name that the archive was first written under
            if not _ENTRIES.fullmatch(name) or entry.compress_type != zipfile.ZIP_STORED:
                raise _refused(f"the entry {entry.filename!r}")
            text = given.read(entry)
            if name == _EXAMPLE:
                text = b""  # a pickle, which nothing needs
            elif name == _PROGRAM:
                text = json.dumps(_of_names(json.loads(text))).encode()
            elif name.endswith("_config.json"):
                text = json.dumps(_without_pickles(json.loads(text))).encode()
            written.writestr(f"archive/{name}", text)
    return stream.getvalue()


def _of_names(value: Any, key: str = "") -> Any:
    """A program whose texts are all names, operators or sizes; what was written for readers is left out."""
    if isinstance(value, dict):
        texts = [name for name in value if not _NAME.fullmatch(name)]
        if texts:
            raise _refused(f"the text {texts[0]!r}")
        return {name: {} if name in _FOR_READERS else _of_names(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_of_names(one, key) for one in value]
    if isinstance(value, str) and not _KINDS.get(key, _NAME).fullmatch(value):
        raise _refused(f"the text {value!r}")
    return value


def _without_pickles(config: Any) -> Any:
    """The list of the weights or constants, all of them plain tensors."""
    for name, one in config["config"].items():
        if one["use_pickle"] is not False or not re.fullmatch(r"(weight|tensor)_\d+", one["path_name"]):
            raise _refused(f"the pickle {name!r}")
    return config


def _refused(what: str) -> InputError:
    return InputError(
        f"A .pt2 file must hold only weights and operators of PyTorch, this one has {what[:80]}, which could run code: "
        "export it again from its run folder, or give it to torch.export.load if you trust whoever made it."
    )
