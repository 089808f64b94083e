"""Predictors that answer with classes or with single objects."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.task_predictors import (
    ClassPredictor,
    ObjectPredictor,
    task_predictor,
)
from napari_seggpt.inference.tiling import make_tiles
from napari_seggpt.object_settings import CleanupSettings, ObjectSettings
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import SessionSettings

SHAPE = (40, 60)


def touching() -> np.ndarray:
    """Draw four squares in a row that touch, of 12 pixels each."""
    labels = np.zeros(SHAPE, np.uint16)
    for number in range(4):
        labels[10:22, 6 + 12 * number : 18 + 12 * number] = (5, 90, 7, 8)[number]
    return labels


def prompt(labels: np.ndarray, index: int | None = 0) -> Prompt:
    return Prompt(image=np.zeros(SHAPE, np.uint8), labels=labels, index=index)


def settings(task: Any = "auto", **cleanup: Any) -> SessionSettings:
    return SessionSettings(
        objects=ObjectSettings(task=task), cleanup=CleanupSettings(**cleanup)
    )


def partition(labels: np.ndarray) -> set[bytes]:
    """Return the objects, whatever their numbers are."""
    return {(labels == i).tobytes() for i in np.unique(labels) if i}


def test_touching_objects_are_told_apart_and_numbered(predictor: Any) -> None:
    found = task_predictor(predictor("model", [prompt(touching())]), settings())
    assert isinstance(found, ObjectPredictor)
    labels = found.predict(np.zeros(SHAPE, np.uint8), index=1).labels
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    assert partition(labels) == partition(touching())


def test_the_model_is_shown_few_labels_and_the_prompts_stay(predictor: Any) -> None:
    own = prompt(touching(), index=3)
    found = task_predictor(predictor("model", [own]), settings("objects"))
    (shown,) = found.predictor.prompts
    assert set(np.unique(shown.labels)) == {0, 1, 2}
    assert found.prompts == (own,)
    assert found.references == {3: own}


def test_the_predictor_that_was_given_stays_as_it_is(
    tiny_model: Any,
) -> None:
    own = prompt(touching())
    known = Predictor(tiny_model, [own])
    before = known.predict(own.image, index=1).labels
    task_predictor(known, settings("objects"))
    assert known.prompts == (own,)
    assert not known.tiling.enabled
    np.testing.assert_array_equal(known.predict(own.image, index=1).labels, before)


def test_classes_are_what_they_were_without_specks(predictor: Any) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:25, 5:25] = 3
    known = predictor("model", [prompt(labels)])
    found = task_predictor(known, settings("classes"))
    assert isinstance(found, ClassPredictor)
    speckled = labels.copy()
    speckled[30, 50] = 3
    known.set_prompts([prompt(speckled)])
    predicted = found.predict(np.zeros(SHAPE, np.uint8), index=1).labels
    np.testing.assert_array_equal(predicted, labels)
    keep = task_predictor(known, settings("classes", smallest=0))
    predicted = keep.predict(np.zeros(SHAPE, np.uint8), index=1).labels
    np.testing.assert_array_equal(predicted, speckled)


def test_thresholds_take_what_is_less_sure(predictor: Any) -> None:
    known = predictor("model", [prompt(touching())])  # sure by 0.95 at frame 0
    strict = task_predictor(known, settings("objects", thresholds=(0.99,)))
    assert not strict.predict(np.zeros(SHAPE, np.uint8), index=0).labels.any()


def test_memory_is_shown_as_the_prompts_are(predictor: Any) -> None:
    found = task_predictor(
        predictor("model", [prompt(touching())]), settings("objects")
    )
    remembered: list[Prompt] = []
    found.predictor.prepare = lambda one, **_: remembered.append(one)
    found.prepare(prompt(touching(), index=4), predicted=True)
    assert set(np.unique(remembered[0].labels)) == {0, 1, 2}


def test_borders_are_to_be_seen_unless_it_is_switched_off(predictor: Any) -> None:
    known = predictor("model", [prompt(touching())])
    found = task_predictor(known, settings("objects"))
    assert found.predictor.finest == found.encoding.border_width > 0
    off = SessionSettings(objects=ObjectSettings(task="objects", enlarge=False))
    assert task_predictor(known, off).predictor.finest is None


def test_a_hint_of_objects_is_shown_as_a_hint(predictor: Any) -> None:
    hint = replace(prompt(touching(), index=2), is_hint=True)
    found = task_predictor(
        predictor("model", [prompt(touching()), hint]), settings("objects")
    )
    assert [shown.is_hint for shown in found.predictor.prompts] == [False, True]
    assert found.prompts[1] is hint


def test_it_serves_as_its_predictor_does(predictor: Any) -> None:
    known = predictor("model", [prompt(touching())])
    known.encoding_seconds = 1.5
    found = task_predictor(known, settings("objects"))
    assert found.encoding_seconds == 1.5
    assert found.frames_at_once == known.frames_at_once
    found.before_pass = print
    assert found.predictor.before_pass is print


def test_objects_of_several_classes_tell_their_class(predictor: Any) -> None:
    labels = touching().astype(int)
    for old, new in ((5, 1001), (90, 2017), (7, 1002), (8, 2001)):
        labels[labels == old] = new
    found = task_predictor(predictor("model", [prompt(labels)]), settings())
    assert found.kinds == (1, 2)
    (shown,) = found.predictor.prompts
    assert set(np.unique(shown.labels)) == {0, 1, 2, 3}
    predicted = found.predict(np.zeros(SHAPE, np.uint8), index=1).labels
    assert partition(predicted) == partition(labels)
    kinds = {int(labels[predicted == i][0]) // 1000 for i in np.unique(predicted) if i}
    assert kinds == {1, 2}
    for i in np.unique(predicted[predicted > 0]):
        assert int(i) // 1000 == int(labels[predicted == i][0]) // 1000


@pytest.mark.parametrize("enlarge", [True, False])
def test_it_is_told_in_how_many_enlarged_parts_frames_are_shown(
    tiny_model: Any, enlarge: bool
) -> None:
    wanted = ObjectSettings(task="objects", enlarge=enlarge)
    known = Predictor(tiny_model, [prompt(touching())])
    found = task_predictor(known, SessionSettings(objects=wanted))
    assert (found.num_parts > 1) == enlarge
    if enlarge:
        assert found.num_parts == len(
            make_tiles(SHAPE, tiny_model.config.tile_size, found.predictor.tiling)
        )
    classes = task_predictor(known, settings("classes"))
    assert classes.num_parts == 1


def test_objects_of_large_frames_come_at_their_own_size(copying_model: Any) -> None:
    shape = (96, 120)  # the model sees 32 x 32
    labels = np.zeros(shape, int)
    for number, left in enumerate((4, 60), start=1):
        labels[20:80, left : left + 50] = number
    image = np.where(labels > 0, 200, 40).astype(np.uint8)
    known = Predictor(copying_model, [Prompt(image=image, labels=labels, index=0)])
    found = task_predictor(known, settings("objects")).predict(image, index=1)
    assert found.labels.shape == found.confidence.shape == shape
    overlap = [np.unique(found.labels[labels == i]).tolist() for i in (1, 2)]
    assert len(np.unique(found.labels)) == 3, overlap
    assert np.mean((found.labels > 0) == (labels > 0)) > 0.95
