import numpy as np
import pytest

from napari_seggpt.evaluation.datasets import find_sequences
from napari_seggpt.evaluation.measures import Measures


def test_a_perfect_frame_is_1_in_everything(root):
    sequence = {s.name: s for s in find_sequences(root)}["a"]
    measures = Measures()
    frame = measures.add(sequence, 0, sequence.labels(0), [1, 2])
    assert frame == {"iou": 1.0, "j": 1.0, "f": 1.0, "boundary_f_2px": 1.0}
    expected = {"miou": 1.0, "fb_iou": 1.0, "area_ratio": 1.0}
    assert measures.of_set("moving") == expected


def test_a_set_counts_pixels_and_a_frame_classes(make_sequence):
    labels = np.zeros((2, 10, 10), int)
    labels[0, :, :5] = 1
    labels[1, :, :1] = 1
    sequence = make_sequence(labels)
    measures = Measures()
    ious = [
        measures.add(sequence, i, predicted, [1])["iou"]
        for i, predicted in enumerate((labels[0], labels[1] * 0))
    ]
    assert ious == [1.0, 0.0]
    expected = {
        "miou": 50 / 60,
        "fb_iou": (50 / 60 + 140 / 150) / 2,
        "area_ratio": 50 / 60,
    }
    assert measures.of_set("toy") == pytest.approx(expected)


def test_classes_that_no_reference_shows_are_background(make_sequence):
    labels = np.array([[[1, 1, 2, 2]] * 4] * 2)
    sequence = make_sequence(labels)
    predicted = np.where(labels[0] == 1, 1, 0)
    measures = Measures()
    assert measures.add(sequence, 0, predicted, [1])["iou"] == 1.0
    assert measures.of_set("toy")["miou"] == 1.0


def test_a_frame_without_any_class_is_1_if_none_is_predicted(make_sequence):
    empty = np.zeros((2, 8, 8), int)
    sequence = make_sequence(empty)
    measures = Measures()
    frame = measures.add(sequence, 0, empty[0], [1])
    assert (frame["iou"], frame["left_empty"]) == (1.0, 1.0)
    assert measures.of_set("toy") == {"fb_iou": 1.0}  # no class, no mean over them
    frame = measures.add(sequence, 1, empty[1] + 1, [1])
    assert (frame["iou"], frame["left_empty"]) == (0.0, 0.0)


def test_objects_are_the_connected_regions(root):
    sequence = {s.name: s for s in find_sequences(root)}["objects"]
    objects = sequence.objects(0)  # two that touch
    measures = Measures()
    merged = measures.add(sequence, 0, (objects > 0).astype(int), [1])
    assert (merged["iou"], merged["f1"], merged["ap50"]) == (1.0, 2 / 3, 0.5)
    half = (objects == 1).astype(int)
    found = measures.add(sequence, 0, half, [1])
    assert (found["iou"], found["f1"], found["pq"]) == (0.5, 2 / 3, 2 / 3)
    assert found["f1_of_true_mask"] == merged["f1"]


@pytest.mark.parametrize(("shift", "fits"), [(2, 1.0), (4, 0.0)])
def test_fine_boundaries_may_lie_two_pixels_apart(make_sequence, shift, fits):
    labels = np.zeros((2, 400, 400), int)  # where DAVIS allows 5 pixels
    labels[:, :, 100:300] = 1
    sequence = make_sequence(labels)
    frame = Measures().add(sequence, 0, np.roll(labels[0], shift, axis=1), [1])
    assert (frame["f"], frame["boundary_f_2px"]) == (1.0, fits)
    assert "left_empty" not in frame
