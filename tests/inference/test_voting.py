"""The vote of several labels, and volumes that are labelled along several axes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from napari_seggpt.inference import labelling
from napari_seggpt.inference.task_predictors import ObjectPredictor
from napari_seggpt.inference.voting import label_volume, vote
from napari_seggpt.io.layout import StackError
from napari_seggpt.model import zoo
from napari_seggpt.object_settings import CleanupSettings, ObjectSettings
from napari_seggpt.objects.kinds import task_of
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import SessionSettings

CLASSES = SessionSettings(objects=ObjectSettings(task="classes"))


@pytest.fixture
def _builtin(monkeypatch: pytest.MonkeyPatch, predictor: Any) -> None:
    """The predictor that is made by default copies the nearest reference."""
    monkeypatch.setattr(labelling, "Predictor", predictor)
    monkeypatch.setattr(zoo, "load_model", lambda name: f"the {name} model")


def test_most_decide_and_the_first_where_all_differ() -> None:
    labels = [np.array([1, 1, 2, 3, 0]), np.array([1, 2, 1, 2, 5])]
    labels.append(np.array([0, 2, 1, 1, 5]))
    assert_array_equal(vote(labels), [1, 2, 1, 3, 5])
    assert_array_equal(vote(labels[1:]), [1, 2, 1, 2, 5])  # of two the first
    assert_array_equal(vote(labels[:1]), labels[0])


def test_a_vote_has_room_for_all_ids() -> None:
    merged = vote([np.array([1], np.uint8), *[np.array([70_000])] * 2])
    assert merged.tolist() == [70_000]


def test_no_type_holds_uint64_and_signed_labels_but_a_vote_does() -> None:
    large = 2**62 + 1  # a float would round it
    merged = vote([np.array([large], np.uint64), np.array([-1]), np.array([large])])
    assert merged.dtype == np.int64
    assert merged.tolist() == [large]
    with pytest.raises(StackError, match="label ids"):
        vote([np.array([2**63], np.uint64), np.array([1])])


def test_who_has_no_vote_does_not_count() -> None:
    labels = [np.array([1, 1, 1]), np.array([0, 0, 2]), np.array([0, 0, 2])]
    voters = [np.array([True]), np.array([True, False, True]), np.array([False])]
    assert_array_equal(vote(labels, voters), [1, 1, 1])
    assert_array_equal(vote(labels[1:], [np.array([False])] * 2), [0, 0, 0])


@pytest.mark.usefixtures("_builtin")
def test_slices_that_were_left_out_have_no_vote() -> None:
    truth = np.zeros((6, 6, 6), np.uint8)
    truth[:, 2:4] = 1
    references = {0: {0: truth[0]}, 1: {3: truth[:, 3]}, 2: {3: truth[:, :, 3]}}
    ahead = replace(CLASSES.propagation, direction="forward")
    settings = replace(CLASSES, propagation=ahead)
    output = np.zeros_like(truth)
    list(label_volume(np.zeros_like(truth), references, output, settings=settings))
    assert_array_equal(output[:, 2], truth[:, 2])  # of two axes, not of all three


@pytest.mark.parametrize("shapes", [[], [(2, 3), (3, 2)]])
def test_a_vote_takes_images_of_one_shape(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="label images of one shape"):
        vote([np.zeros(shape, int) for shape in shapes])


@pytest.mark.usefixtures("_builtin")
def test_a_volume_is_labelled_along_each_axis() -> None:
    volume = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.uint8)
    truth = np.zeros(volume.shape, np.uint8)
    truth[1:4, 2:5, 2:6] = 1
    references = {0: {2: truth[2]}, 1: {3: truth[:, 3]}, 2: {4: truth[:, :, 4]}}
    output = np.zeros_like(truth)
    steps = list(label_volume(volume, references, output, settings=CLASSES))
    assert [sum(each.axis == axis for each in steps) for axis in range(3)] == [5, 6, 7]
    # Along an axis alone the copied references would go through the whole volume.
    assert_array_equal(output, truth)


@pytest.mark.usefixtures("_builtin")
def test_references_stay_as_they_are() -> None:
    volume = np.zeros((4, 4, 4), np.uint8)
    odd = np.zeros((4, 4), np.uint8)
    odd[0, 0] = 3  # which no other axis knows of
    whole = np.full((4, 4), 1, np.uint8)
    output = np.zeros_like(volume)
    references = {0: {1: odd}, 1: {2: whole}, 2: {2: whole}}
    list(label_volume(volume, references, output, settings=CLASSES))
    assert_array_equal(output[1], odd)
    assert output[0, 0, 0] == 1


@pytest.mark.usefixtures("_builtin")
@pytest.mark.parametrize("label", [256, -1])
def test_labels_that_the_output_does_not_hold_are_refused(label: int) -> None:
    volume = np.zeros((4, 4, 4), np.uint8)
    output = np.full_like(volume, 9)
    references = {0: {1: np.full((4, 4), 1)}, 2: {3: np.full((4, 4), label)}}
    with pytest.raises(ValueError, match=f"got uint8 for {label}"):
        next(label_volume(volume, references, output, settings=CLASSES))
    assert (output == 9).all()
    wide = output.astype(np.int16)
    list(label_volume(volume, references, wide, settings=CLASSES))
    assert (wide[0, :, 3] == label).all()


@pytest.mark.usefixtures("_builtin")
def test_what_numbers_objects_is_refused(predictor: Any) -> None:
    labels = np.kron(np.array([[1, 2], [3, 4]]), np.ones((12, 12), int))
    prompt = Prompt(image=np.zeros((24, 24, 3)), labels=labels, index=1)
    objects = ObjectPredictor(predictor(None, [prompt]), CleanupSettings())
    volume = np.zeros((4, 24, 24), np.uint8)
    given = {0: {1: labels}}
    with pytest.raises(ValueError, match="Expected predictors of classes"):
        label_volume(volume, given, volume.copy(), predictors={0: objects})


@pytest.mark.parametrize(
    ("shape", "references"), [((4, 4), {0: {}}), ((4, 4, 5), {0: {}}), ((4, 4, 4), {})]
)
def test_what_is_no_volume_is_refused(
    shape: tuple[int, ...], references: dict[int, Any]
) -> None:
    output = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="Expected a volume"):
        label_volume(np.zeros(shape), references, output)


@pytest.mark.usefixtures("_builtin")
def test_labels_that_look_like_objects_are_classes_all_the_same() -> None:
    many = np.zeros((24, 24), np.uint8)
    many[2:22, 2:22] = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((4, 4)))
    volume = np.zeros((4, *many.shape), np.uint8)
    assert task_of("auto", [many], has_tuned=False).kind == "objects"
    output = np.zeros_like(volume)
    list(label_volume(volume, {0: {1: many}}, output))
    assert_array_equal(output, np.broadcast_to(many, volume.shape))
    objects = SessionSettings(objects=ObjectSettings(task="objects"))
    with pytest.raises(ValueError, match="labels that are classes"):
        label_volume(volume, {0: {1: many}}, output, settings=objects)
