"""Examples from elsewhere."""

import numpy as np
import pytest

from napari_seggpt.prompts import Prompt
from napari_seggpt.session.references.examples import Examples


def make(label: int = 1, image: int = 5) -> Prompt:
    labels = np.zeros((4, 4), np.uint8)
    labels[1:3, 1:3] = label
    return Prompt(image=np.full((4, 4), image, np.uint8), labels=labels)


@pytest.fixture
def examples() -> Examples:
    examples = Examples()
    examples.add(make(), "one")
    examples.add(make(2), "two")
    return examples


def test_examples_are_shown_and_used_as_they_are_added(examples: Examples) -> None:
    assert [each.name for each in examples.references] == ["one", "two"]
    assert all(each.enabled and each.frame is None for each in examples.references)
    assert [source.labels.max() for source in examples.sources] == [1, 2]
    assert [source.frame for source in examples.sources] == [None, None]


def test_examples_are_copies() -> None:
    prompt, examples = make(), Examples()
    examples.add(prompt, "one")
    prompt.image[:], prompt.labels[:] = 0, 0
    (source,) = examples.sources
    assert source.labels.any()
    assert source.image is not None
    assert source.image.any()


def test_an_example_that_is_switched_off_is_shown_and_not_used(
    examples: Examples,
) -> None:
    digest = examples.digest
    examples.set_enabled("one", False)
    assert [each.enabled for each in examples.references] == [False, True]
    assert [source.labels.max() for source in examples.sources] == [2]
    assert examples.digest != digest
    examples.set_enabled("one", True)
    assert examples.digest == digest


def test_the_digest_stands_for_what_examples_show_whatever_they_are_called(
    examples: Examples,
) -> None:
    others = Examples()
    others.add(make(2), "b")
    assert others.digest != examples.digest
    others.add(make(), "a")
    assert others.digest == examples.digest
    others.remove("a")
    others.add(make(image=6), "a")  # other pixels, the same labels
    assert others.digest != examples.digest


def test_an_example_of_the_same_name_is_another_one(examples: Examples) -> None:
    (before, _) = examples.sources
    examples.remove("one")
    examples.add(make(3), "one")
    after = examples.sources[-1]
    assert after.identity != before.identity


def test_what_is_there_is_no_new_example_and_another_one_gets_a_free_name() -> None:
    examples = Examples()
    assert examples.add_new(make(), "one") == "one"
    assert examples.add_new(make(), "one") is None
    assert examples.add_new(make(2), "one") == "one (2)"
    assert examples.add_new(make(3), "one") == "one (3)"
    assert examples.add_new(make(2), "one") is None  # by another name than was asked
    assert [source.labels.max() for source in examples.sources] == [1, 2, 3]


def test_an_example_without_labels_shows_that_nothing_is_there() -> None:
    examples = Examples()
    examples.add(make(0), "none")
    (shown,) = examples.references
    assert not shown.is_labelled
    (used,) = examples.sources
    assert not used.labels.any()
    others = Examples()
    others.restore(shown)
    assert others.digest == examples.digest


def test_what_is_no_example_is_refused(examples: Examples) -> None:
    with pytest.raises(ValueError, match="a name that is not taken yet, got 'one'"):
        examples.add(make(), "one")
    for act in (examples.remove, lambda name: examples.set_enabled(name, True)):
        with pytest.raises(ValueError, match="the name of an example, got 'four'"):
            act("four")
    assert len(examples.references) == 2
