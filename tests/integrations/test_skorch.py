"""The recipe for skorch gives probabilities and trains."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.needs import needs

needs("skorch")
PAGE = (Path(__file__).parents[2] / "docs/scikit-learn.md").read_text(encoding="utf-8")


def test_the_recipe_runs() -> None:
    names: dict[str, Any] = {}
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(block, names)  # the page's own lines
    probabilities, net = names["probabilities"], names["net"]
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert (probabilities.argmax(1) == names["test_classes"]).mean() > 0.9
    assert {parameter.dtype for parameter in net.module_.parameters()} == {torch.float32}
    net.set_params(predict_nonlinearity="auto")  # what the page warns of: these are logits
    assert abs(net.predict_proba(names["test"].astype("float32")).sum(1) - 1).max() > 0.1
