import pytest

from napari_seggpt.datasets.base import DatasetError
from napari_seggpt.datasets.mixture import PAPER_MIXTURE, open_mixture


def test_the_printed_weights_are_the_papers():
    assert [part.weight for part in PAPER_MIXTURE] == [
        0.22, 0.15, 0.15, 0.07, 0.07, 0.07, 0.07, 0.07, 0.06, 0.06
    ]  # fmt: skip
    assert [part.kind for part in PAPER_MIXTURE].count("instance") == 1


def test_all_parts_are_opened_for_training(miniatures, tmp_path):
    for part in PAPER_MIXTURE:
        for layout in part.layouts:
            miniatures.write(layout, tmp_path / layout)
    mixture = open_mixture(tmp_path)
    assert mixture.missing == ()
    assert len(mixture.datasets) == 14
    assert sum(one.weight for one in mixture.datasets) == pytest.approx(1)
    weights = {one.dataset.title: one.weight for one in mixture.datasets}
    assert weights["COCO instances"] == pytest.approx(0.22 / 0.99)
    # iSAID has two training images, LoveDA four.
    assert weights["LoveDA"] == pytest.approx(2 * weights["iSAID"])
    assert weights["LoveDA"] + weights["iSAID"] == pytest.approx(0.06 / 0.99)
    subsets = {one.dataset.title: one.dataset.subset for one in mixture.datasets}
    assert subsets["ADE20K"] == "training"
    assert subsets["COCO-Stuff"] == "train2017"
    for one in mixture.datasets:
        assert one.dataset[0].labels().max() > 0


def test_a_part_without_what_is_to_be_learned_from_is_missing(miniatures, tmp_path):
    for layout in ("coco-instances", "ade20k"):
        miniatures.write(layout, tmp_path / layout)
    for file in (tmp_path / "coco-instances" / "annotations").glob("*train*"):
        file.unlink()
    mixture = open_mixture(tmp_path)
    assert [one.dataset.title for one in mixture.datasets] == ["ADE20K"]
    assert "COCO instance" in mixture.missing


def test_what_is_missing_is_said(published):
    mixture = open_mixture(published("ade20k"))
    (one,) = mixture.datasets
    assert one.weight == 1
    assert len(mixture.missing) == 9
    with pytest.raises(DatasetError, match="Expected one of COCO instance, "):
        open_mixture(published("mose"))
