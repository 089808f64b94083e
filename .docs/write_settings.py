"""Write settings.md, which tells of every setting, from what the settings say.

Run ``python .docs/write_settings.py`` after a setting was changed.
"""

from pathlib import Path

from napari_seggpt.cli import arguments
from napari_seggpt.fields import markdown_table
from napari_seggpt.settings import SessionSettings, TuningSettings
from napari_seggpt.training.recipe import Recipe

PAGE = Path(__file__).with_name("settings.md")
TOP = """# Settings

Everything that can be set, with its limits and its default. In the dock, the settings of
labelling are under *Model and settings*. On the command line they are the flags that are
named here; `--tiles` sets whether frames are cut into tiles, and their scale. In Python
they are arguments of the class in the heading: `prediction.batch` is
`SessionSettings(prediction=PredictionSettings(batch=...))`.

`.docs/write_settings.py` writes this page from `napari_seggpt/settings.py`,
`napari_seggpt/object_settings.py` and `napari_seggpt/training/recipe.py`.
"""
SESSION_FLAGS = (
    *arguments.MODEL,
    *arguments.PREDICTION,
    *arguments.RANGE,
    *arguments.ORDER,
    *arguments.OBJECTS,
    *arguments.CLEANUP,
)
SECTIONS = {
    "Labelling (`SessionSettings`)": (SessionSettings, SESSION_FLAGS),
    "Tuning a prompt (`TuningSettings`)": (TuningSettings, arguments.TUNING),
    "Training (`Recipe`)": (Recipe, ("steps",)),
}


def page() -> str:
    """Return the page as Markdown."""
    parts = [TOP]
    for title, (kind, paths) in SECTIONS.items():
        flags = {path: arguments.flag(kind, path) for path in paths}
        parts.append(f"## {title}\n\n{markdown_table(kind, flags)}")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
