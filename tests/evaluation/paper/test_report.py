import json
import math

import numpy as np
from PIL import Image

from napari_seggpt.evaluation.paper import published
from napari_seggpt.evaluation.paper.report import Report, Row, paper_row, percent

REPORT = Report(
    title="Table 9: toys, in %",
    columns=("mIoU", "mAcc"),
    rows=(
        paper_row("SegGPT", ("mIoU", "mAcc"), (56.1, math.nan)),
        Row(name="SegGPT", values=percent({"mIoU": 0.1234}), ours=True),
    ),
    choices=("Toys are painted white.",),
    notes=("Only 3 toys were there.",),
)


def test_ours_are_beside_the_papers():
    lines = REPORT.as_text().splitlines()
    assert lines[0] == "Table 9: toys, in %"
    assert lines[2].split() == ["mIoU", "mAcc"]
    assert lines[3].split() == ["SegGPT,", "paper", "56.1", "-"]
    assert lines[4].split() == ["SegGPT,", "here", "12.3", "-"]
    assert "- Toys are painted white." in lines
    assert lines[-1] == "Note: Only 3 toys were there."


def test_json_has_null_for_what_is_missing():
    content = json.loads(REPORT.as_json())
    assert content["rows"][0]["values"] == {"mIoU": 56.1, "mAcc": None}
    assert [row["ours"] for row in content["rows"]] == [False, True]


def test_it_is_drawn(tmp_path):
    REPORT.draw(tmp_path / "report.png")
    pixels = np.asarray(Image.open(tmp_path / "report.png").convert("RGB"))
    ours = (pixels == (0, 0x72, 0xB2)).all(-1).sum()
    theirs = (pixels == (0x99, 0x99, 0x99)).all(-1).sum()
    assert theirs > 3 * ours > 0  # 56.1 against 12.3


def test_the_papers_rows_are_as_long_as_its_columns():
    assert {len(row) for row in published.FEW_SHOT.values()} == {4}
    assert {len(row) for row in published.VIDEOS.values()} == {11}
    assert {len(row) for row in published.ENSEMBLES.values()} == {5}
    # J&F is the mean of J and F, but for rounding.
    for jf, j, f in published.FRAMES.values():
        assert abs(jf - (j + f) / 2) < 0.11
    for row in published.VIDEOS.values():
        assert math.isnan(row[5]) or abs(row[5] - (row[6] + row[7]) / 2) < 0.11
    g = [row for row in published.VIDEOS.values() if not math.isnan(row[2])]
    for row in g:
        assert abs(row[0] - sum(row[1:5]) / 4) < 0.11
