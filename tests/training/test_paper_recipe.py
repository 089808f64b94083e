import json
from pathlib import Path

from napari_seggpt.training.recipe import Recipe

FILE = Path(__file__).parents[2] / ".docs" / "reference" / "paper-recipe.json"


def test_the_papers_recipe_is_one():
    values = json.loads(FILE.read_text())
    recipe = Recipe(**{**values, "image_sizes": tuple(values["image_sizes"])})
    assert recipe.config == "vit_large"
    assert recipe.steps * recipe.warmup == 1800
    assert (recipe.batch_size * recipe.accumulate, recipe.learning_rate) == (2048, 1e-4)
    assert recipe.block_masks == 0.9  # half masks in the others, as in Painter
