"""Reference frames, examples from elsewhere, and who may write them."""

from typing import Any

import numpy as np
import pytest

from napari_seggpt.inference.references import MAX_HELD
from napari_seggpt.prompts import Prompt
from napari_seggpt.session import FrameStatus, Session

EMPTY, REFERENCE, PREDICTED, STALE, CORRECTED, APPROVED = FrameStatus


def test_an_empty_frame_can_be_a_reference(session: Session) -> None:
    session.references.add(4)
    (reference,) = session.references.all
    assert (reference.frame, reference.is_labelled) == (4, False)
    assert session.frames.status(4) is REFERENCE
    session.references.remove(4)
    assert session.references.all == ()
    assert session.frames.status(4) is EMPTY


def test_removing_a_reference_leaves_it_protected(
    news: Any, predicted: Session, blob: Any, label: Any
) -> None:
    assert news(predicted, lambda: predicted.references.remove(0))[1] == 1
    assert predicted.references.all == ()
    assert predicted.frames.status(0) is CORRECTED
    predicted.references.add(3)
    assert predicted.frames.status(3) is REFERENCE
    predicted.references.remove(3)
    assert predicted.frames.status(3) is APPROVED
    assert news(predicted, lambda: predicted.references.remove(5)) == ([], 0)
    assert predicted.frames.status(5) is STALE


def test_switching_a_reference_off_and_on(predicted: Session) -> None:
    predicted.references.set_enabled(0, False)
    assert [reference.enabled for reference in predicted.references.all] == [False]
    assert predicted.frames.statuses == (REFERENCE, *(STALE,) * 5)
    predicted.references.set_enabled(0, True)
    assert predicted.frames.statuses == (REFERENCE, *(PREDICTED,) * 5)
    with pytest.raises(ValueError, match="a reference frame, got frame 1"):
        predicted.references.set_enabled(1, True)


def test_examples_from_elsewhere(news: Any, predicted: Session, blob: Any) -> None:
    prompt = Prompt(image=np.full((8, 8), 3, np.uint8), labels=blob(2))
    assert news(
        predicted, lambda: predicted.references.add_example(prompt, "mine")
    ) == (
        [1, 2, 3, 4, 5],
        1,
    )
    assert predicted.references.all[-1].name == "mine"
    assert predicted.frames.status(1) is STALE
    predicted.references.set_example_enabled("mine", False)
    assert predicted.frames.status(1) is PREDICTED
    assert news(predicted, lambda: predicted.references.remove_example("mine")) == (
        [],
        1,
    )
    assert len(predicted.references.all) == 1


def test_of_many_references_those_are_shown_that_have_what_others_lack(
    make_session: Any, blob: Any
) -> None:
    length, rare = 2 * MAX_HELD, 7
    data = np.stack([blob(1)] * length)
    data[rare] = blob(1) + blob(2, at=0, size=1)
    data[3] = blob(4, at=0, size=1)
    session: Session = make_session(data, stack=np.zeros((length, 8, 8), np.uint8))
    session.frames.labels_changed(range(length))
    session.references.set_hint(3, True)

    def shown(part: Any = None) -> list[int]:
        sources = session.references.sources((length - 1,), 1, part)
        assert len(sources) == MAX_HELD
        return [source.frame for source in sources if source.frame < MAX_HELD]

    assert shown() == [3, rare]
    read, reads = session.frames.labels.read, []
    session.frames.labels.read = lambda frame: (reads.append(frame), read(frame))[1]
    assert shown() == [3, rare]
    assert len(reads) == MAX_HELD  # what the others show is known by now
    assert shown((slice(2, 8), slice(2, 8))) == []
    assert shown((slice(0, 2), slice(0, 2))) == [3, rare]
