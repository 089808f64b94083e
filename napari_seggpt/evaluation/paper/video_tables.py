"""Tables 3, 4a and 4b: objects of videos, and ensembles."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_seggpt.datasets.layouts import find_folders, needs_of, open_dataset
from napari_seggpt.datasets.videos import VideoDataset
from napari_seggpt.evaluation.paper import choices, few_shot, published
from napari_seggpt.evaluation.paper.few_shot import FewShotData, Setting, check_found
from napari_seggpt.evaluation.paper.plan import Plan, Unit
from napari_seggpt.evaluation.paper.report import Report, Row, paper_row, percent
from napari_seggpt.evaluation.paper.videos import score_video
from napari_seggpt.metrics.video import ObjectScore, mean_score, score_seen
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_seggpt.datasets.videos import Video
    from napari_seggpt.evaluation.paper.plan import PaperOptions
    from napari_seggpt.settings import Ensemble

EXAMPLES = 8  # the paper's best
SETS = ("youtube-vos", "davis2017", "mose")
MORE_SETS = ("davis2016",)  # not in the paper; 83.7 J&F are told of it elsewhere
SKIPS_LAST = {"youtube-vos": False, "davis2017": True, "davis2016": True, "mose": True}
SHORT = {"youtube-vos": "YTVOS", "davis2017": "DAVIS17", "davis2016": "DAVIS16",
         "mose": "MOSE"}  # fmt: skip
G_COLUMNS = tuple(f"YTVOS {x}" for x in ("G", "Js", "Fs", "Ju", "Fu"))
JF = ("J&F", "J", "F")
NO_CATEGORIES = (
    "Without train/meta.json of YouTube-VOS nobody knows which of its objects are "
    "unseen: its columns are empty."
)
COLUMNS_3 = (*G_COLUMNS, *(f"{SHORT[x]} {y}" for x in SETS[1:] for y in JF))
COLUMNS_4A = (*(f"DAVIS17 {x}" for x in JF), "FSS mIoU", "FSS FB-IoU")
COLUMNS_4B = tuple(f"DAVIS17 {x}" for x in JF)


class VideoData:
    """The data sets of videos that were found."""

    def __init__(self, options: PaperOptions, names: Iterable[str]) -> None:
        self._options = options
        self.folders = find_folders(options.data, needs_of(*names))
        self.sets = {name: self._open(name) for name in self.folders}

    def _open(self, name: str) -> VideoDataset:
        folder = self.folders[name]
        dataset = open_dataset(folder, layout=name, subset=self._options.subset)
        assert isinstance(dataset, VideoDataset)
        return dataset

    def videos(self, name: str) -> Sequence[Video]:
        """Return those that are tested."""
        return self._options.first(self.sets[name].videos)

    def facts(self) -> dict[str, Any]:
        """Say what results are a function of."""
        return {
            name: [self.sets[name].subset, len(self.videos(name))] for name in self.sets
        }

    def notes(self) -> list[str]:
        """Say what makes figures not comparable."""
        limit = self._options.limit
        return [] if limit is None else [f"Only {limit} videos of a set were tested."]


def _unit(
    options: PaperOptions,
    name: str,
    video: Video,
    examples: int,
    ensemble: Ensemble,
    folder: Path | None = None,
) -> Unit:
    return Unit(
        key=f"{name}/{examples}-{ensemble}/{video.name}",
        run=partial(_run, options, name, video, examples, ensemble, folder),
    )


def _run(
    options: PaperOptions,
    name: str,
    video: Video,
    examples: int,
    ensemble: Ensemble,
    folder: Path | None,
) -> dict[str, list[float]]:
    scores = score_video(
        options.model,
        video,
        settings=replace(options.prediction, ensemble=ensemble),
        memory=examples - 1,
        skips_last=SKIPS_LAST[name],
        folder=folder and folder / video.name,
    )
    return {str(i): [one.j, one.f] for i, one in scores.items()}


def _objects(
    done: Mapping[str, Any], start: str, videos: Iterable[Video]
) -> dict[tuple[str, int], ObjectScore]:
    """Return the scores of the objects of some videos, by video and id."""
    return {
        (video.name, int(i)): ObjectScore(j=j, f=f)
        for video in videos
        for i, (j, f) in done[start + video.name].items()
    }


def _jf(short: str, scores: Iterable[ObjectScore]) -> dict[str, float]:
    mean = mean_score(scores)
    names = (f"{short} {x}" for x in JF)
    return percent(dict(zip(names, (mean.j_and_f, mean.j, mean.f), strict=True)))


# -- Table 3 -----------------------------------------------------------------------


def plan_table_3(options: PaperOptions) -> Plan:
    """Plan Table 3: video objects. Result files for the servers are written, too."""
    data = VideoData(options, (*SETS, *MORE_SETS))
    check_found(data.folders, SETS, options.data)
    counts = options.examples or (EXAMPLES,)
    ensemble = options.prediction.ensemble
    units = [
        _unit(options, name, video, n, ensemble, _result_folder(options, name, n))
        for n in counts
        for name in data.sets
        for video in data.videos(name)
    ]

    def summarise(done: Mapping[str, Any]) -> Report:
        notes = data.notes()
        found = {n: _row_of_3(options, data, done, n, notes) for n in counts}
        missing = [SHORT[x] for x in SETS if x not in data.sets]
        notes += [f"{x} was not found." for x in missing]
        names = dict.fromkeys(x for ours in found.values() for x in ours)
        columns = COLUMNS_3 + tuple(x for x in names if x not in COLUMNS_3)
        rows = [paper_row(x, COLUMNS_3, row) for x, row in published.VIDEOS.items()]
        rows += [
            Row(name=f"SegGPT, {count_of(n, 'example')}", values=ours, ours=True)
            for n, ours in found.items()
        ]
        return Report(
            title="Table 3: objects of videos, in %",
            columns=columns,
            rows=tuple(rows),
            choices=choices.VIDEOS,
            notes=tuple(notes),
        )

    return Plan(units=units, summarise=summarise, facts={"videos": data.facts()})


def _row_of_3(
    options: PaperOptions,
    data: VideoData,
    done: Mapping[str, Any],
    examples: int,
    notes: list[str],
) -> dict[str, float]:
    """Return the figures with so many examples; add what is to be said of them."""
    ours: dict[str, float] = {}
    for name, dataset in data.sets.items():
        start = f"{name}/{examples}-{options.prediction.ensemble}/"
        scores = _objects(done, start, data.videos(name))
        if not scores:
            notes.append(
                f"The labels of {dataset.title} ({dataset.subset}) are not public: "
                "send the folder to its server. "
                f"{_result_folder(options, name, examples)}"
            )
        elif name != "youtube-vos":
            ours |= _jf(SHORT[name], scores.values())
        elif dataset.seen is not None:
            ours |= _seen(dataset, dataset.seen, scores)
        elif NO_CATEGORIES not in notes:
            notes.append(NO_CATEGORIES)
    return ours


def _result_folder(options: PaperOptions, name: str, examples: int) -> Path:
    """Return where files for the servers are; of several rows each has a folder."""
    folder = options.results / name
    if len(options.examples or ()) > 1:
        folder /= count_of(examples, "example").replace(" ", "-")
    return folder / "Annotations"


def _seen(
    dataset: VideoDataset,
    seen: frozenset[str],
    scores: Mapping[tuple[str, int], ObjectScore],
) -> dict[str, float]:
    videos = {video.name: video.known_objects() for video in dataset.videos}
    found = score_seen(
        (one, videos[video][i].category in seen) for (video, i), one in scores.items()
    )
    parts = (found.g, found.seen.j, found.seen.f, found.unseen.j, found.unseen.f)
    return percent(dict(zip(G_COLUMNS, parts, strict=True)))


# -- Tables 4a and 4b --------------------------------------------------------------


def plan_table_4a(options: PaperOptions) -> Plan:
    """Plan Table 4a: spatial and feature ensemble, of videos and few shots."""
    videos = VideoData(options, ("davis2017",))
    few = FewShotData(options, ("fss-1000",))
    names = ("davis2017", "fss-1000")
    check_found({**videos.folders, **few.folders}, names, options.data)
    seeds = options.seeds or few_shot.SEEDS
    pairs = {(n, name): (n, _ensemble(name)) for n, name in published.ENSEMBLES}
    settings = {
        pair: [Setting(shots=n, seed=seed, ensemble=how) for seed in seeds]
        for pair, (n, how) in pairs.items()
    }
    units = [
        _unit(options, "davis2017", video, n, how)
        for n, how in pairs.values()
        for video in (videos.videos("davis2017") if videos.sets else ())
    ]
    if few.folders:
        every = [setting for each in settings.values() for setting in each]
        units += few_shot.units_of(options, few, "fss-1000", every)

    def summarise(done: Mapping[str, Any]) -> Report:
        rows = []
        for pair, theirs in published.ENSEMBLES.items():
            name = f"{pair[0]} {pair[1]}"
            rows.append(paper_row(name, COLUMNS_4A, theirs))
            ours = _davis(done, videos, *pairs[pair])
            if few.folders:
                found = few_shot.score(done, few, "fss-1000", settings[pair])
                ours |= percent({"FSS mIoU": found.miou, "FSS FB-IoU": found.fb_iou})
            rows.append(Row(name=name, values=ours, ours=True))
        return Report(
            title="Table 4a: examples and ensembles, in %",
            columns=COLUMNS_4A,
            rows=tuple(rows),
            choices=choices.ENSEMBLES,
            notes=(*videos.notes(), *few.notes()),
        )

    return Plan(
        units=units,
        summarise=summarise,
        facts={"videos": videos.facts(), **few_shot.facts(few)},
    )


def _davis(
    done: Mapping[str, Any], videos: VideoData, examples: int, ensemble: Ensemble
) -> dict[str, float]:
    """Return the figures of DAVIS 2017; none if it was not found."""
    if not videos.sets:
        return {}
    start = f"davis2017/{examples}-{ensemble}/"
    scores = _objects(done, start, videos.videos("davis2017"))
    return _jf("DAVIS17", scores.values())


def _ensemble(name: str) -> Ensemble:
    """Return the ensemble of a row; of one example it plays no role."""
    return "spatial" if name == "spatial" else "feature"


def plan_table_4b(options: PaperOptions) -> Plan:
    """Plan Table 4b: how many frames of a video are examples."""
    data = VideoData(options, ("davis2017",))
    check_found(data.folders, ("davis2017",), options.data)
    counts = options.frames or tuple(published.FRAMES)
    units = [
        _unit(options, "davis2017", video, count, "feature")
        for count in counts
        for video in data.videos("davis2017")
    ]

    def summarise(done: Mapping[str, Any]) -> Report:
        rows = []
        for count in counts:
            name = count_of(count, "frame")
            if count in published.FRAMES:
                rows.append(paper_row(name, COLUMNS_4B, published.FRAMES[count]))
            start = f"davis2017/{count}-feature/"
            scores = _objects(done, start, data.videos("davis2017"))
            ours = _jf("DAVIS17", scores.values())
            rows.append(Row(name=name, values=ours, ours=True))
        return Report(
            title="Table 4b: frames, the first among them, in %",
            columns=COLUMNS_4B,
            rows=tuple(rows),
            choices=choices.VIDEOS,
            notes=tuple(data.notes()),
        )

    return Plan(units=units, summarise=summarise, facts={"videos": data.facts()})
