"""The tables by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.evaluation.paper.few_shot import plan_table_1, plan_table_2
from napari_seggpt.evaluation.paper.panoptic import plan_table_6
from napari_seggpt.evaluation.paper.semantic import plan_table_5, plan_table_s1
from napari_seggpt.evaluation.paper.video_tables import (
    plan_table_3,
    plan_table_4a,
    plan_table_4b,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_seggpt.evaluation.paper.plan import PaperOptions, Plan

TABLES: dict[str, Callable[[PaperOptions], Plan]] = {
    "1": plan_table_1,
    "2": plan_table_2,
    "3": plan_table_3,
    "4a": plan_table_4a,
    "4b": plan_table_4b,
    "5": plan_table_5,
    "6": plan_table_6,
    "s1": plan_table_s1,
}
