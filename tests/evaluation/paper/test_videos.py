import numpy as np
import pytest
from PIL import Image

from napari_seggpt.datasets.base import DatasetError
from napari_seggpt.datasets.videos import Video, VideoObject, open_davis2017
from napari_seggpt.evaluation.paper import videos
from napari_seggpt.evaluation.paper.videos import (
    follow_objects,
    score_video,
    voc_colors,
    write_objects,
)
from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.metrics.video import ObjectScore
from napari_seggpt.settings import PredictionSettings

SETTINGS = PredictionSettings(device="cpu", labels_per_pass=1)


class Knowing:
    """Stands for a predictor: knows by its colour which object a pixel is of.

    Attributes
    ----------
    remembered : list of (int, set of int)
        The frames that were remembered, and which objects they show.
    """

    remembered: list[tuple[int, set[int]]]

    def __init__(self, model, prompts, *, settings):
        (self.prompt,) = prompts

    def predict_batch(self, frames, *, indices, memory):
        (frame,) = frames
        known = np.where(np.isin(frame[..., 0], self.prompt.ids), frame[..., 0], 0)
        confidence = np.full(known.shape, 0.5, np.float32)
        return [Prediction(labels=known.astype(int), confidence=confidence, colors=())]

    def prepare(self, prompt, *, predicted):
        assert predicted
        self.remembered.append((prompt.index, {int(i) for i in prompt.ids}))
        return []


@pytest.fixture
def knowing(monkeypatch):
    kind = type("Knowing", (Knowing,), {"remembered": []})
    monkeypatch.setattr(videos, "Predictor", kind)
    return kind


@pytest.fixture
def make_video(tmp_path):
    """Make a video whose frames have the ids of objects as grey values."""

    def make(truth, *, objects=None, labelled=None):
        images, labels = [], []
        for index, frame in enumerate(truth):
            grey = frame.astype(np.uint8)
            for kind, files in (("image", images), ("labels", labels)):
                file = tmp_path / f"{kind}{index:02}.png"
                Image.fromarray(grey).save(file)
                files.append(file)
        kept = range(len(truth)) if labelled is None else labelled
        return Video(
            name="toy",
            image_files=tuple(images),
            label_files=tuple(x if i in kept else None for i, x in enumerate(labels)),
            decode=lambda values: values.astype(np.int32),
            objects=objects,
        )

    return make


def follow(video, memory=0):
    frames = follow_objects("model", video, settings=SETTINGS, memory=memory)
    return dict(frames)


def moving(count, ids):
    """Return frames (count, 20, 60) of strips that move down."""
    still = np.zeros((20, 60), int)
    for place, one in enumerate(ids):
        still[2:8, 3 * place : 3 * place + 2] = one
    return np.stack([np.roll(still, index, axis=0) for index in range(count)])


@pytest.mark.usefixtures("knowing")
def test_18_objects_keep_their_ids(make_video):
    truth = moving(11, range(1, 19))
    found = follow(make_video(truth), memory=7)
    for index, labels in found.items():
        np.testing.assert_array_equal(labels, truth[index])


def test_18_objects_are_18_passes_of_the_network(tiny_model, make_video):
    truth = moving(4, range(1, 19))
    frames = follow_objects(tiny_model, make_video(truth), settings=SETTINGS, memory=2)
    found = dict(frames)
    np.testing.assert_array_equal(found[0], truth[0])
    assert set(np.unique(found[3])) <= set(range(19))


def test_objects_begin_where_they_are_given(knowing, make_video):
    truth = moving(6, [1, 5, 9])
    truth[:2][truth[:2] == 5] = 0
    truth[:4][truth[:4] == 9] = 0
    truth[3] = 0  # nothing is there
    objects = {
        1: VideoObject(first=0), 5: VideoObject(first=2), 9: VideoObject(first=4)
    }  # fmt: skip
    found = follow(make_video(truth, objects=objects), memory=3)
    for index, labels in found.items():
        np.testing.assert_array_equal(labels, truth[index])
    # The last frame is not remembered, nor is an object where it is not.
    assert knowing.remembered == [
        (1, {1}), (2, {1}), (3, set()), (3, set()), (4, {1}), (4, {5})
    ]  # fmt: skip


def test_an_object_remembers_no_frame_in_which_it_was_not_found(
    tiny_model, make_video, monkeypatch
):
    kept = []
    add = videos.Memory.add

    def spy(memory, tiles):
        add(memory, tiles)
        kept.append([np.unique(x.labels).tolist() for f in memory.frames for x in f])

    monkeypatch.setattr(videos.Memory, "add", spy)
    monkeypatch.setattr(videos, "combine_passes", lambda _: (next(answers), None))
    truth = moving(4, [1, 2])
    answers = iter([truth[1], np.where(truth[2] == 2, 2, 0), truth[3]])
    frames = follow_objects(tiny_model, make_video(truth), settings=SETTINGS, memory=3)
    assert len(dict(frames)) == 4
    one, two = kept[-2:]
    assert one == [[0, 1]]  # in the second of the two predicted frames it was lost
    assert two == [[0, 2], [0, 2]]


@pytest.mark.usefixtures("knowing")
def test_before_any_object_frames_are_empty(make_video):
    truth = moving(4, [1])
    truth[:2] = 0
    video = make_video(truth, objects={1: VideoObject(first=2)})
    found = follow(video)
    assert [labels.any() for labels in found.values()] == [False, False, True, True]


@pytest.mark.usefixtures("knowing")
def test_what_is_given_lies_over_what_is_predicted(make_video):
    truth = moving(3, [1])
    truth[1][truth[1] == 1] = 2  # the same place is given as another object
    objects = {1: VideoObject(first=0), 2: VideoObject(first=1)}
    found = follow(make_video(truth, objects=objects))
    np.testing.assert_array_equal(found[1], truth[1])


@pytest.mark.usefixtures("knowing")
def test_an_object_must_be_where_it_is_given(make_video):
    video = make_video(moving(3, [1]), objects={7: VideoObject(first=1)})
    with pytest.raises(
        DatasetError, match=r"objects \[7\] of toy in its frame image01"
    ):
        follow(video)


@pytest.mark.usefixtures("knowing")
@pytest.mark.parametrize("skips_last", [True, False])
def test_frames_that_do_not_count(make_video, skips_last, monkeypatch):
    truth = moving(4, [1, 2])
    video = make_video(truth)
    seen = []

    def record(frames, first):
        seen.extend(index for index, _, _ in frames)
        return {i: ObjectScore(j=1.0, f=1.0) for i in first}

    monkeypatch.setattr(videos, "score_objects", record)
    score(video, skips_last=skips_last)
    assert seen == ([0, 1, 2] if skips_last else [0, 1, 2, 3])


def score(video, *, skips_last=True, folder=None):
    return score_video(
        "model",
        video,
        settings=SETTINGS,
        memory=0,
        skips_last=skips_last,
        folder=folder,
    )


@pytest.mark.usefixtures("knowing")
def test_who_knows_the_answer_gets_all_points(make_video, tmp_path):
    truth = moving(4, [1, 2])
    scores = score(make_video(truth), folder=tmp_path / "out")
    assert scores == {i: ObjectScore(j=1.0, f=1.0) for i in (1, 2)}
    written = np.asarray(Image.open(tmp_path / "out" / "image02.png"))
    np.testing.assert_array_equal(written, truth[2])


@pytest.mark.usefixtures("knowing")
def test_without_public_labels_files_are_written_alone(make_video, tmp_path):
    video = make_video(moving(4, [1]), labelled=[0])
    assert score(video, folder=tmp_path / "out") == {}
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_the_colours_are_those_of_davis(published, tmp_path):
    colors = voc_colors()
    assert colors[:5].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]
    ]  # fmt: skip
    assert colors[8].tolist() == [64, 0, 0]
    assert colors[255].tolist() == [224, 224, 192]
    assert len(np.unique(colors, axis=0)) == 256


def test_more_than_255_objects_fit_in_no_file(tmp_path):
    with pytest.raises(ValueError, match="Expected ids up to 255, got 256"):
        write_objects(tmp_path / "a.png", np.array([[256]]))


def test_davis_itself_is_followed(tiny_model, published):
    video = open_davis2017(published("davis2017"), "val")[0]
    scores = score_video(
        tiny_model, video, settings=SETTINGS, memory=1, skips_last=True
    )
    assert set(scores) == {1, 2}
