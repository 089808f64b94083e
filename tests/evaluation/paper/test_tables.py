"""What the tables compute, with a predictor that knows the answers."""

import numpy as np
import pytest

from napari_seggpt.cli.paper import TABLES as TOLD
from napari_seggpt.datasets.coco import open_panoptic
from napari_seggpt.evaluation.paper import few_shot, semantic, tuned
from napari_seggpt.evaluation.paper.panoptic import (
    GRID,
    SMALLEST_STUFF,
    SMALLEST_THING,
    PlacedObjects,
    join,
    place_of,
)
from napari_seggpt.evaluation.paper.plan import PaperOptions
from napari_seggpt.evaluation.paper.tables import TABLES
from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.palette import Palette
from napari_seggpt.settings import PredictionSettings
from napari_seggpt.training.dataset_tuning import DATASET_TUNING
from napari_seggpt.training.tuning_data import FrameTile, augment


@pytest.fixture
def options(tiny_model, tmp_path):
    def make(data, **more):
        return PaperOptions(
            data=data,
            results=tmp_path / "results",
            model=tiny_model,
            tuning=DATASET_TUNING,
            prediction=PredictionSettings(device="cpu"),
            **more,
        )

    return make


def run(plan):
    for one in plan.preparations:
        list(one.steps())
    return plan.summarise({unit.key: unit.run() for unit in plan.units})


def ours(report):
    return [row.values for row in report.rows if row.ours]


class Painter:
    """Paints white what looks like what is white in its prompts."""

    def __init__(self, model, prompts=(), *, tuned=(), settings=None):
        self.settings = settings

    def set_prompts(self, prompts):
        self.prompts = list(prompts)
        shown = [p.image[p.labels == 1] for p in self.prompts]
        self.color = np.concatenate(shown).mean(0)

    def predict(self, image):
        return self.predict_batch([image])[0]

    def predict_batch(self, images):
        made = []
        for image in images:
            near = np.exp(-((image - self.color) ** 2).sum(-1) / 500)
            white = np.repeat(near[..., None], 3, -1).astype(np.float32)
            labels = (near > 0.5).astype(int)
            made.append(Prediction(labels=labels, confidence=near, colors=(white,)))
        return made


def test_the_command_line_knows_the_tables():
    assert list(TOLD) == list(TABLES)


def test_few_shots_by_who_knows(options, published, monkeypatch):
    monkeypatch.setattr(few_shot, "Predictor", Painter)
    report = run(TABLES["2"](options(published("fss-1000"), shots=[1])))
    (values,) = ours(report)
    assert values["FSS-1000 one"] > 75  # jpeg blurs the borders
    assert values["FSS-1000 one FB"] > 75


def test_with_a_limit_only_classes_that_were_looked_for_count(
    options, published, monkeypatch
):
    monkeypatch.setattr(few_shot, "Predictor", Painter)
    one = options(published("fss-1000"), shots=[1], limit=1)
    (values,) = ours(run(TABLES["2"](one)))
    assert values["FSS-1000 one"] > 75


def test_no_example_of_a_class_finds_nothing(options, published, monkeypatch):
    monkeypatch.setattr(few_shot, "Predictor", Painter)
    data = few_shot.FewShotData(options(published("fss-1000")), ["fss-1000"])
    fold = data.fold("fss-1000", 0)
    episode = next(fold.episodes(1, 0))

    class Nothing:
        name = "empty"

        def image(self):
            return episode.query.image()

        def labels(self):
            return np.zeros((36, 48), int)

    class OneFold:
        def episodes(self, shots, seed, count):
            yield type(episode)(class_id=1, query=episode.query, supports=(Nothing(),))

    setting = few_shot.Setting(shots=1, seed=0)
    ((_, _, found, _, union),) = few_shot.run_episodes(
        options(published("fss-1000")), OneFold(), setting, range(1)
    )
    assert found == 0
    assert union == (episode.query.labels() == 1).sum()


def test_examples_of_all_classes_are_merged_by_brightness(
    options, published, monkeypatch
):
    monkeypatch.setattr(semantic, "Predictor", Painter)
    plan = TABLES["s1"](options(published("ade20k"), examples=[1, 4], seeds=[1000]))
    report = run(plan)
    for values in ours(report):
        assert values["mIoU"] > 90
        assert values["mAcc"] > 90


def test_fewer_examples_are_the_first_of_more(options, published):
    plan = TABLES["s1"](options(published("ade20k"), examples=[1], seeds=[1000]))
    (unit,) = plan.units
    shown = unit.run.args[1]
    list(plan.preparations[0].steps())
    assert shown.classes() == [1, 2]
    two, one = (shown.draw(2, count, 1000) for count in (2, 1))
    assert [len(two), len(one)] == [2, 1]
    np.testing.assert_array_equal(two[0].image, one[0].image)
    firsts = {shown.draw(2, 1, seed)[0].image.tobytes() for seed in range(8)}
    assert len(firsts) > 1


# -- tuned prompts -----------------------------------------------------------------


class Fixed:
    """A predictor of some passes that paints given colours."""

    def __init__(self, palettes, colors):
        self.palettes, self._colors = palettes, colors

    def predict(self, image):
        from napari_seggpt.inference.decoding import combine_passes

        passes = [p.decode(c) for p, c in zip(self.palettes, self._colors, strict=True)]
        labels, confidence = combine_passes(passes)
        return Prediction(labels=labels, confidence=confidence, colors=self._colors)


def test_with_one_prompt_every_pixel_gets_the_nearest_class():
    palette = Palette.painter(range(1, 151))
    labels = np.array([[3, 77, 150]])
    painted = palette.encode(labels)
    painted[0, 2] *= 0.9
    found = tuned.nearest_classes(Fixed([palette], (painted,)), None)
    np.testing.assert_array_equal(found, labels)
    black = tuned.nearest_classes(Fixed([palette], (painted * 0,)), None)
    assert black.min() > 0


def test_of_several_prompts_the_clearest_counts():
    palettes = Palette.of([1, 2, 3, 4]).split(2)
    first = palettes[0].encode(np.array([[1, 0, 0, 0]]))
    second = palettes[1].encode(np.array([[0, 4, 0, 3]]))
    first[0, 2] = 0.1  # no class, but brighter than the other
    second[0, 3] *= 0.8
    found = tuned.nearest_classes(Fixed(palettes, (first, second)), None)
    assert found[0, [0, 1, 3]].tolist() == [1, 4, 3]
    assert found[0, 2] in (1, 2)


def test_any_number_of_prompts_paints_classes():
    palettes = Palette.of(range(1, 141)).split(2)
    painted = [np.zeros((1, 3, 3)) for _ in palettes]
    painted[68] = palettes[68].encode(np.array([[137, 0, 138]]))
    found = tuned.nearest_classes(Fixed(palettes, painted), None)
    assert found[0, [0, 2]].tolist() == [137, 138]


# -- panoptic ----------------------------------------------------------------------


def test_objects_are_placed_by_their_centre(published):
    mask = np.zeros((80, 160), bool)
    mask[:10, -20:] = True
    assert place_of(mask) == GRID
    mask[:] = True
    assert place_of(mask) == (GRID // 2 - 1) * GRID + GRID // 2
    dataset = open_panoptic(published("coco-panoptic"), "val2017")
    sample = PlacedObjects(sample=dataset[0], things=dataset.things)
    classes, places = dataset[0].labels(), sample.labels()
    assert len(np.unique(places[classes == 1])) == 1
    assert (places[np.isin(classes, [-1, 149])] == 0).all()


def test_objects_are_tuned_where_they_are_placed(options, published, monkeypatch):
    asked = []
    monkeypatch.setattr(
        tuned, "tune_on_dataset",
        lambda model, dataset, palette, *, settings, **more: asked.append(settings),
    )  # fmt: skip
    plan = TABLES["6"](options(published("coco-panoptic")))
    for one in plan.preparations:
        with pytest.raises(TypeError):  # no steps
            list(one.steps())
    classes, places = asked
    assert classes == DATASET_TUNING
    rng, labels = np.random.default_rng(0), np.arange(32 * 32).reshape(32, 32)
    tile = FrameTile(
        picture=np.zeros((32, 32, 3), np.uint8), labels=labels, frame=0, place=0.0,
        center=(0.5, 0.5),
    )  # fmt: skip
    for _ in range(20):
        _, shown, _ = augment(tile, places, rng)
        np.testing.assert_array_equal(shown, labels)


def test_segments_are_objects_and_the_stuff_between_them():
    classes = np.full((128, 128), 9)  # stuff
    classes[:64, :40] = 1  # things
    classes[:64, 60:100] = 2
    places = np.zeros_like(classes)
    places[:64, :20] = 5  # two objects of one class that touch
    places[:64, 20:40] = 6
    places[:64, 60:100] = 5  # the same place again, but apart
    places[100:103, :4] = 7  # too small
    places[110:128, 60:128] = 8  # shows no thing
    found = join(classes, places, {1, 2})
    assert sorted(found.classes.values()) == [1, 1, 2, 9]
    ids = found.ids
    assert len(np.unique(ids[:64, :20])) == 1
    assert ids[0, 0] != ids[0, 30] != 0
    stuff = next(i for i, one in found.classes.items() if one == 9)
    assert ids[101, 1] == ids[120, 100] == stuff
    assert SMALLEST_THING <= 64 * 20
    assert (ids == stuff).sum() >= SMALLEST_STUFF


def test_little_stuff_and_lost_things_are_void():
    classes = np.full((60, 60), 9)
    classes[:30] = 1  # a thing that no object covers
    found = join(classes, np.zeros_like(classes), {1})
    assert found.classes == {}
    assert not found.ids.any()
