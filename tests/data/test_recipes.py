"""Recipes can be used: networks exist, numbers are in their ranges; images of characters are not mirrored."""

import pytest

from osakd.data.recipes import DATA, photos_recipe, recipe_for, why_not_flipped
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


@pytest.mark.parametrize("side", [1, 8, 40, 41, 500])
@pytest.mark.parametrize("images", [2, 5_000, 10**6])
def test_the_recipe_of_photos_names_a_known_network_and_possible_numbers(side: int, images: int) -> None:
    recipe = photos_recipe(images, (3, side, side + 5), ["cat", "dog"])
    assert recipe.model in MODELS
    assert 20 <= recipe.epochs <= 100
    assert recipe.crop < side
    assert photos_recipe(images + 1, (3, side, side), ["cat", "dog"]).epochs <= recipe.epochs
    assert photos_recipe(images, (3, side, side), ["cat", "dog"], optimizer="adamw").learning_rate < 0.01


@pytest.mark.parametrize(
    ("names", "channels", "flipped"),
    [
        ("0 1 2 3 4 5 6 7 8 9", 3, False),
        ("A B a b +", 3, False),
        ("digit_3 digit_5", 3, False),
        ("Zero One Two", 1, False),
        ("0 1 2 3", 1, False),
        ("0 1 2 3", 3, True),
        ("left-hand right-hand left-foot right-foot", 3, False),
        ("Pulli T-shirt Bag 3D-glasses", 1, True),
        ("copyright leftover", 3, True),
    ],
)
def test_what_may_be_mirrored(names: str, channels: int, flipped: bool) -> None:
    assert (not why_not_flipped(names.split(), channels)) == flipped
