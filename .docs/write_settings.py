"""Write settings.md, which tells of every setting, from what the settings say.

Run it after a setting was changed::

    python.docs / write_settings.py
"""

from pathlib import Path

from napari_seggpt.fields import markdown_table
from napari_seggpt.settings import SessionSettings, TuningSettings
from napari_seggpt.training.recipe import Recipe

PAGE = Path(__file__).with_name("settings.md")
TOP = """# Settings

Written by `.docs/write_settings.py` from `napari_seggpt/settings.py` and
`napari_seggpt/training/recipe.py`, where the settings are told.
"""
SECTIONS = {
    "Labelling (`SessionSettings`)": SessionSettings,
    "Tuning a prompt (`TuningSettings`)": TuningSettings,
    "Training (`Recipe`)": Recipe,
}


def page() -> str:
    """Return the page as Markdown."""
    parts = [
        f"## {title}\n\n{markdown_table(kind)}" for title, kind in SECTIONS.items()
    ]
    return "\n".join([TOP, *parts])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
