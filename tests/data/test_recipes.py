"""Every data set's recipe can be used: its network exists and its numbers are in their ranges."""

import pytest

from osakd.data.recipes import DATA, recipe_for
from osakd.models.registry import MODELS


@pytest.mark.parametrize("name", [*DATA, "a set without a recipe of its own"])
def test_a_recipe_names_a_known_network_and_possible_numbers(name: str) -> None:
    recipe = recipe_for(name)
    assert recipe.model in MODELS
    assert recipe.scaling in ("half", "unit", "statistics")
    assert recipe.learning_rate > 0
    assert min(recipe.epochs, recipe.batch_size) >= 1
    assert recipe.soft_weight >= 0
    assert 0 <= recipe.momentum < 1
