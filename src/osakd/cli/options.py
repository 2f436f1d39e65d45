"""The options of a command, from the signature and the docstring of the function that it calls."""

import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from osakd.api.signatures import argument_texts
from osakd.methods.lookup import given_method

GROUPS = {
    "optimizer and schedule": "momentum nesterov weight_decay max_grad_norm schedule warmup_epochs milestones gamma "
    "class_weights",
    "the deployed network, evaluation and logs": "deploy ema_epochs ema patience refit evaluate_every log",
    "images": "scaling fraction resize test_fraction label_column image_column",
    "augmentation": "crop crop_padding flip augment mixup cutmix",
    "where and how it is computed": "processes executor kernels precision trust",
}
"""Options that the help of a long command shows below the common ones. An option that is not named here is common."""


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: name in Python; ``method.k`` for the setting ``k`` of the method.
        kind: type hint of the value; a ``bool``, or None, is a switch, ``--flip`` and ``--no-flip``.
        default: value where none is given; ``inspect.Parameter.empty`` where a value is needed.
    """

    name: str
    kind: Any
    default: Any
    help: str
    positional: bool = False

    @property
    def flag(self) -> str:
        """The name on the terminal: ``--learning-rate``; ``RUN`` for a positional one."""
        return self.name.upper() if self.positional else f"--{self.name.replace('_', '-')}"

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is inspect.Parameter.empty


CONFIG = Option("config", str | Path | None, None, "YAML file with any of these options, by the same names")


def options_of(
    function: Callable[..., Any], positional: Collection[str] = (), without: Collection[str] = ()
) -> list[Option]:
    """The parameters of a function as options; its docstring has ``Args``.

    A type that is written as text needs a library that only a call imports (``"Data"``): the terminal gives text. The
    first sentence of the description is the help; what follows is for callers from Python. The terminal takes those in
    ``positional`` without their names; only a caller from Python can give those in ``without``.
    """
    texts = argument_texts(function)
    options = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD or parameter.name in without:
            continue
        kind = parameter.annotation
        if isinstance(kind, str):
            kind = str | None if kind.endswith("| None") else str
        kind = bool if kind == bool | None else kind
        text = re.split(r"\.(?: |$)", texts.get(parameter.name, ""))[0].replace("``", "")
        options.append(Option(parameter.name, kind, parameter.default, text, parameter.name in positional))
    return options


def settings_options(method: str) -> list[Option]:
    """The settings of a method as options, ``method.k`` and so on.

    Raises:
        InputError: an unknown method.
    """
    settings = given_method(method)[1]  # a shorthand is its method with other defaults
    return [
        Option(f"method.{field.name}", field.type, getattr(settings, field.name), field.metadata["help"])
        for field in fields(settings)
    ]
