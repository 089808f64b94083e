"""A session as files: what is saved comes back, whatever happens to the files."""

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from numpy.testing import assert_array_equal

from napari_seggpt.prompts import Prompt
from napari_seggpt.session import FrameStatus, Session
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.frames.status import TO_REVIEW, FrameRecord
from napari_seggpt.session.runs.region import Region
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.results import SessionLabels
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.stored_frames import frame_bytes, frame_files
from napari_seggpt.session.store.stored_session import StoredSession
from napari_seggpt.settings import PredictionSettings, SessionSettings

MIXED = SessionSettings(
    model="seggpt-vit-large", prediction=PredictionSettings(max_prompts=3)
)


def resume(stored, session):
    """Bring a session back; return the frames that are not as they were."""
    session.frames.take_scan(*session.frames.scan())
    session.restore_state(stored.state)
    return [
        frame.index
        for frame in stored.frames()
        if not session.frames.restore(frame.index, frame.records, frame.labels)
    ]


def same(one: Session, other: Session) -> None:
    assert one.frames.statuses == other.frames.statuses
    for frame in range(len(one)):
        assert_array_equal(
            one.frames.labels.read(frame), other.frames.labels.read(frame)
        )
        assert one.frames.confidence(frame) == other.frames.confidence(frame)


def worked(make_session, label, predict, blob):
    """A session with a frame of each status."""
    session = make_session(length=8)
    session.settings = replace(session.settings, prediction=MIXED.prediction)
    label(session, 2, blob())
    predict(session)
    session.frames.approve(4)
    label(session, 5, blob(3))
    session.frames.release(0)
    session.frames.locks.lock(7)
    prompt = Prompt(image=np.ones((9, 9), np.uint16), labels=np.eye(9, dtype=np.uint8))
    session.references.add_example(prompt, "elsewhere")
    session.references.set_example_enabled("elsewhere", False)
    return session


# -- there and back -------------------------------------------------------------------


def test_what_was_known_comes_back(make_session, label, predict, blob, begin, tmp_path):
    session = worked(make_session, label, predict, blob)
    saver = begin(session, about=About(name="x", classes={1: "nucleus"}))
    assert saver.flush()
    other = make_session(length=8)
    stored = StoredSession.read(tmp_path / "s")
    assert stored.num_frames == 8
    assert resume(stored, other) == []
    same(session, other)
    assert set(other.frames.statuses) >= {
        FrameStatus.REFERENCE, FrameStatus.STALE, FrameStatus.CORRECTED,
        FrameStatus.APPROVED,
    }  # fmt: skip
    assert other.settings == session.settings
    assert other.frames.locks.labels == {7}
    (reference,) = [r for r in other.references.all if r.name]
    assert not reference.enabled
    assert_array_equal(reference.prompt.labels, np.eye(9))
    assert stored.about.classes == {1: "nucleus"}


def test_predicted_frames_are_up_to_date_after_resuming(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session(settings=MIXED)
    label(session, 2, blob())
    predict(session)
    begin(session).flush()
    other = make_session()
    resume(StoredSession.read(tmp_path / "s"), other)
    assert other.frames.statuses.count(FrameStatus.PREDICTED) == 5
    other.set_stack(np.array(other.stack))
    assert other.frames.statuses.count(FrameStatus.STALE) == 5


def test_a_region_of_a_frame_is_not_up_to_date_after_resuming(
    make_session, label, blob, begin, tmp_path
):
    session = make_session()
    label(session, 2, blob())
    run = session.start("all", 0, Region(mask=blob() > 0))
    for result in run.results():
        session.runs.commit(result)
    session.runs.finish()
    begin(session).flush()
    other = make_session()
    resume(StoredSession.read(tmp_path / "s"), other)
    assert other.frames.statuses.count(FrameStatus.PREDICTED) == 5
    assert other.runs.up_to_date == set()


def test_only_what_changed_is_written_again(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    predict(session)
    saver = begin(session)
    saver.flush()
    files = {file: file.stat().st_mtime_ns for file in tmp_path.glob("s/frames/*")}
    assert len(files) == 6
    label(session, 3, blob(2))
    saver.flush()
    changed = [f.name for f, at in files.items() if f.stat().st_mtime_ns != at]
    assert changed == ["000003.tif"]


def test_undone_frames_are_stored_no_more(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    saver = begin(session)
    predict(session)
    saver.flush()
    assert StoredSession.read(tmp_path / "s").num_frames == 6
    session.runs.undo()
    saver.flush()
    assert StoredSession.read(tmp_path / "s").num_frames == 1


def test_labels_are_plain_tiffs(make_session, label, blob, begin, tmp_path):
    session = make_session()
    label(session, 1, blob(9))
    begin(session).flush()
    assert_array_equal(tifffile.imread(tmp_path / "s/frames/000001.tif"), blob(9))


# -- nothing of a person's is lost ----------------------------------------------------


def test_labels_that_are_there_win_and_are_protected(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    predict(session)
    begin(session).flush()
    other = make_session()
    for frame in (1, 3):
        other.frames.labels.data[frame] = blob(8)
    assert resume(StoredSession.read(tmp_path / "s"), other) == [1, 3]
    assert {1, 3} <= other.frames.protected
    assert_array_equal(other.frames.labels.read(3), blob(8))
    assert other.frames.status(4) is FrameStatus.STALE  # the reference is another


def test_a_correction_replaces_what_is_known_to_be_predicted(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    predict(session)
    before = session.frames.labels.data.copy()  # as somebody may have saved it
    label(session, 3, blob(5))
    begin(session).flush()
    other = make_session(before)
    assert resume(StoredSession.read(tmp_path / "s"), other) == []
    same(session, other)


def test_what_is_done_before_resuming_stays(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    predict(session)
    begin(session).flush()
    other = make_session(session.frames.labels.data.copy())
    other.frames.take_scan(*other.frames.scan())
    other.frames.approve(4)
    stored = StoredSession.read(tmp_path / "s")
    for frame in stored.frames():
        other.frames.restore(frame.index, frame.records, frame.labels)
    assert other.frames.status(4) is FrameStatus.APPROVED
    assert other.frames.status(5) in TO_REVIEW


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_a_persons_frames_replace_what_a_run_wrote_meanwhile(
    make_session, label, predict, blob, begin, tmp_path, is_looked_at
):
    session = make_session()
    for frame, labels in ((1, blob()), (3, blob(5)), (4, blob())):
        label(session, frame, labels)
    begin(session).flush()
    other = make_session()
    label(other, 0, blob())
    predict(other)
    assert other.frames.status(3) in TO_REVIEW
    for frame in StoredSession.read(tmp_path / "s").frames():
        found = checksum(other.frames.labels.read(frame.index))
        assert other.frames.restore(
            frame.index, frame.records, frame.labels, found if is_looked_at else None
        )
    assert {1, 3, 4} <= other.frames.protected
    assert_array_equal(other.frames.labels.read(3), blob(5))
    list(other.runs.undo_steps())
    assert_array_equal(other.frames.labels.read(3), blob(5))


def test_what_a_person_painted_meanwhile_is_not_replaced(
    make_session, label, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    begin(session).flush()
    other = make_session()
    label(other, 1, blob(8))
    assert resume(StoredSession.read(tmp_path / "s"), other) == [1]
    assert_array_equal(other.frames.labels.read(1), blob(8))
    assert 1 in other.frames.protected


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_was_set_aside_before_stays(
    make_session, label, blob, begin, tmp_path, is_damaged
):
    saver, frames = begin(make_session()), tmp_path / "s/frames"
    for content in (b"1", b"2", b"3"):
        (frames / "000001.tif").write_bytes(content)
        saver.store.set_aside(1, is_damaged=is_damaged)
    ending = "damaged" if is_damaged else "kept"
    names = [f"000001.{ending}", f"000001.2.{ending}", f"000001.3.{ending}"]
    assert [(frames / name).read_bytes() for name in names] == [b"1", b"2", b"3"]
    assert not frame_files(frames)


def test_a_stroke_that_nobody_told_of_is_protected(
    make_session, label, predict, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    predict(session)
    session.frames.labels.data[4] = blob(6)
    begin(session).flush()
    other = make_session()
    resume(StoredSession.read(tmp_path / "s"), other)
    assert other.frames.status(4) is FrameStatus.CORRECTED
    assert_array_equal(other.frames.labels.read(4), blob(6))


@pytest.mark.parametrize("content", [b"", b"II*\0", b"nonsense", None])
def test_a_damaged_frame_is_protected_and_the_rest_opens(
    make_session, label, predict, blob, begin, tmp_path, content
):
    session = make_session()
    label(session, 1, blob())
    predict(session)
    begin(session).flush()
    file = tmp_path / "s/frames/000004.tif"
    if content is None:  # a picture without a record
        tifffile.imwrite(file, np.zeros((8, 8), np.uint8))
    else:
        file.write_bytes(content)
    stored = StoredSession.read(tmp_path / "s")
    assert [f.index for f in stored.frames() if f.is_damaged] == [4]
    other = make_session()
    resume(stored, other)
    assert other.frames.status(4) is FrameStatus.CORRECTED
    assert other.frames.status(3) is FrameStatus.PREDICTED


def test_locked_ids_that_no_label_has_are_left_out(
    make_session, label, blob, begin, tmp_path
):
    session = make_session()
    label(session, 1, blob())
    begin(session).flush()
    file = tmp_path / "s/session.json"
    content = json.loads(file.read_text())
    content["locked"] = [0, -3, 2, 2**63, 2**70, 2**63 - 1]
    file.write_text(json.dumps(content))
    other = make_session()
    assert resume(StoredSession.read(tmp_path / "s"), other) == []
    assert other.frames.locks.labels == {2, 2**63 - 1}
    assert 1 in other.frames.protected


def test_no_damage_raises(make_session, tmp_path, blob):
    session = make_session(length=2)
    store = SessionStore(tmp_path / "s", ImageSignature.of(session.stack))
    mark = checksum(blob())
    store.write_frame(1, blob(), FrameRecord(checksum=mark, is_reference=True))
    store.write_state(SessionState(), About())
    store.close()
    file, random = tmp_path / "s/frames/000001.tif", np.random.default_rng(0)
    whole = file.read_bytes()
    logging.getLogger("tifffile").disabled = True
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(256)
        file.write_bytes(data[: random.integers(len(data) // 2, len(data) + 1)])
        (frame,) = StoredSession.read(tmp_path / "s").frames()
        other = make_session(length=2)
        other.frames.restore(1, frame.records, frame.labels)
        is_other_record = frame.labels is not None and not frame.records[0].is_protected
        assert 1 in other.frames.protected or is_other_record
    logging.getLogger("tifffile").disabled = False


# -- labels that are on disk ----------------------------------------------------------


def test_records_of_labels_on_disk(make_session, label, predict, blob, begin, tmp_path):
    session = worked(make_session, label, predict, blob)
    assert begin(session, labels_path="labels.zarr").flush()
    assert not list(tmp_path.glob("s/frames/*"))
    session.frames.unapprove(4)
    stored = StoredSession.read(tmp_path / "s")
    assert stored.labels_path == "labels.zarr"
    other = make_session(session.frames.labels.data.copy())
    assert resume(stored, other) == []
    same(session, other)


@pytest.mark.parametrize(
    ("found", "status"),
    [("old", FrameStatus.EMPTY), ("new", FrameStatus.STALE), ("torn", "corrected")],
)
def test_the_checksum_decides_what_a_killed_write_left(
    make_session, blob, tmp_path, found, status
):
    session = make_session()
    store = SessionStore(tmp_path / "s", ImageSignature.of(session.stack), "labels")
    mark = checksum(blob())
    record = FrameRecord(checksum=mark, predicted=mark, key=b"k", confidence=0.5)
    store.write_state(SessionState(), About())
    store.note(3, record, writing=True)
    store.close()
    with (tmp_path / "s/frames.jsonl").open("ab") as file:
        file.write(b'{"frame": 3, "rec')  # cut short
    again = SessionStore(tmp_path / "s", ImageSignature.of(session.stack), "labels")
    again.close()  # opening it keeps both possibilities
    left = {"old": 0, "new": blob(), "torn": blob() * (np.arange(8) < 4)}[found]
    session.frames.labels.data[3] = left
    resume(StoredSession.read(tmp_path / "s"), session)
    assert session.frames.status(3) == status
    assert not [r for r in session.references.all if r.frame == 3]


# -- whose session it is --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expected a session in"),
        ("[]", "Expected object, got array"),
        ('{"format": "napari-seggpt session", "version": 2}', "version 1, got 2"),
        ('{"format": "napari-seggpt session", "version": 1}', "lacks something"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    (tmp_path / "session.json").write_text(text)
    with pytest.raises(SessionError, match=words):
        StoredSession.read(tmp_path)


# -- a killed program -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
@pytest.mark.parametrize(("mode", "seed"), [("memory", 1), ("disk", 2)])
def test_a_killed_program_loses_nothing_that_is_a_second_old(tmp_path, mode, seed):
    script = Path(__file__).with_name("killed.py")
    result = subprocess.run(
        [sys.executable, script, tmp_path, mode, "16", str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 300  # so much was done


def test_a_tuned_prompt_comes_back(tmp_path, session, make_tuned):
    tuned = session.references.tuned = make_tuned(step=3)
    store = SessionStore(
        tmp_path / "a.seggpt", ImageSignature.of(session.stack, "axis 0")
    )
    store.write_state(session.state, About())
    store.write_state(session.state, About())
    store.close()
    stored = StoredSession.read(tmp_path / "a.seggpt")
    found = stored.state.tuned
    assert found is not None
    assert found.digest == tuned.digest
    stored.tuned_file.write_bytes(b"damaged")
    assert stored.state.tuned is None


# -- hostile and broken files ----------------------------------------------------------


def write_content(folder, **changes):
    """Write a session file with some of its entries changed."""
    content = {
        "format": "napari-seggpt session", "version": 1, "labels": None, "about": {},
        "image": {
            "place": "", "length": 3, "frame_shape": [8, 8], "dtype": "uint8",
            "hashes": [[0, "aa"]],
        },
    }  # fmt: skip
    (folder / "session.json").write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    "image",
    [
        {"length": 10**9}, {"length": 0}, {"length": 3.0}, {"length": True},
        {"length": "3"}, {"frame_shape": [10**9, 8]}, {"frame_shape": [8]},
        {"frame_shape": "8x8"}, {"hashes": [[0, 1]]}, {"hashes": [[0, ""]] * 10**4},
        {"dtype": None}, {"place": 3}, {"hashes": [[-1, "aa"]]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_session_of_nonsense_is_refused_in_one_line(tmp_path, image):
    good = {
        "place": "", "length": 3, "frame_shape": [8, 8], "dtype": "uint8",
        "hashes": [[0, "aa"]],
    }  # fmt: skip
    write_content(tmp_path, image={**good, **image})
    with pytest.raises(SessionError, match="lacks something") as caught:
        StoredSession.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "null", "[]", "3", "NaN"],
    ids=lambda text: text[:6],
)
def test_json_that_is_no_session_is_refused(tmp_path, text):
    (tmp_path / "session.json").write_text(text)
    with pytest.raises(SessionError, match="Expected a session"):
        StoredSession.read(tmp_path)


def test_what_is_odd_beside_the_frames_is_left_out_and_the_rest_opens(tmp_path):
    write_content(
        tmp_path,
        settings={
            "model": 3, "corrections_become_references": "no",
            "prediction": {"max_prompts": 3.5, "batch": 7, "tiling": []},
            "propagation": {"start": 1.5, "stop": 2, "memory": True},
            "contrast": {"limits": ["a", None], "percentiles": [1, 99]},
        },
        stacks="many", locked=[1, "2"], examples=[None, {"file": "/etc/passwd"}, 3],
        tuned="../../elsewhere.safetensors", about=[],
    )  # fmt: skip
    stored = StoredSession.read(tmp_path)
    state, plain = stored.state, SessionSettings()
    assert state.settings.prediction == replace(plain.prediction, batch=7)
    assert state.settings.propagation == replace(plain.propagation, stop=2)
    assert state.settings.contrast == replace(plain.contrast, percentiles=(1.0, 99.0))
    assert state.settings.model == plain.model
    assert (state.stacks, state.locked, state.examples) == (1, (), ())
    assert stored.tuned_file is None
    assert stored.about == About()


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
@pytest.mark.parametrize(
    "name",
    [
        "session.json",
        "frames/000001.tif",
        "frames.jsonl",
        "lock",
        "tuned/a.safetensors",
    ],
)
def test_pipes_are_not_waited_for(tmp_path, name):
    folder = tmp_path / "s"
    (folder / "frames").mkdir(parents=True)
    (folder / "tuned").mkdir()
    write_content(folder, tuned="tuned/a.safetensors", labels="labels.zarr")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    script = (
        "import sys, pathlib\n"
        "from napari_seggpt.session.store.folder import SessionStore\n"
        "from napari_seggpt.session.store.errors import SessionError\n"
        "from napari_seggpt.session.store.stored_session import StoredSession\n"
        "from napari_seggpt.session.store.places import is_locked\n"
        "try:\n"
        "    stored = StoredSession.read(pathlib.Path(sys.argv[1]))\n"
        "    stored.state, stored.num_frames, list(stored.frames())\n"
        "    is_locked(stored.path)\n"
        "    SessionStore(stored.path, stored.signature, 'x').close()\n"
        "except SessionError as error:\n"
        "    print(error)\n"
    )
    subprocess.run([sys.executable, "-c", script, folder], check=True, timeout=60)


def test_a_frame_that_declares_more_than_the_memory_is_damaged(tmp_path):
    file = tmp_path / "frames" / "000001.tif"
    file.parent.mkdir()
    write_content(tmp_path)
    tifffile.imwrite(file, np.zeros((8, 8), np.uint8), metadata=None)
    with tifffile.TiffFile(file, mode="r+b") as tiff:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages.first.tags[tag].overwrite(1_000_000)
    (frame,) = StoredSession.read(tmp_path).frames()
    assert frame.is_damaged
    assert frame.records[0].is_protected


def test_a_frame_without_a_width_is_damaged(tmp_path):
    file = tmp_path / "frames" / "000001.tif"
    file.parent.mkdir()
    write_content(tmp_path)
    record = FrameRecord(checksum=b"x", is_corrected=True)
    file.write_bytes(frame_bytes(np.ones((8, 8), np.uint8), record))
    with tifffile.TiffFile(file, mode="r+b") as tiff:
        tiff.pages.first.tags["ImageWidth"].overwrite(0)
    (frame,) = StoredSession.read(tmp_path).frames()
    assert frame.is_damaged
    assert not SessionLabels(tmp_path)[1].any()


def test_frames_beyond_the_stack_are_no_frames(tmp_path):
    (tmp_path / "frames").mkdir()
    write_content(tmp_path)
    for name in ("000003", "999999999", "9" * 40, "-1", "x"):
        (tmp_path / "frames" / f"{name}.tif").touch()
    assert StoredSession.read(tmp_path).num_frames == 0


# -- the folder is removed -------------------------------------------------------------


def test_a_session_of_another_person_decides_not_where_is_computed(tmp_path, session):
    own = session.settings = replace(session.settings, scheduler="tcp://mine:8786")
    store = SessionStore(
        tmp_path / "a.seggpt", ImageSignature.of(session.stack, "axis 0")
    )
    store.write_state(session.state, About())
    store.close()
    state = StoredSession.read(tmp_path / "a.seggpt").state
    assert state.settings == own.for_anybody()
    theirs = replace(state, settings=replace(own, scheduler="tcp://theirs:8786"))
    session.restore_state(theirs)
    assert session.settings == own


def test_a_copy_of_a_folder_above_the_session_has_its_own_labels(
    make_session, begin, tmp_path
):
    labels = tmp_path / "one/labels/all.zarr"
    zarr.create_array(labels, shape=(6, 8, 8), dtype="uint8")
    (tmp_path / "one/images").mkdir()
    begin(make_session(), "one/images/s", str(labels)).close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name in ("one", "two"):
        stored = StoredSession.read(tmp_path / name / "images/s")
        assert stored.labels == tmp_path / name / "labels/all.zarr"
    (tmp_path / "three/images").mkdir(parents=True)
    shutil.copytree(tmp_path / "one/images/s", tmp_path / "three/images/s")
    assert StoredSession.read(tmp_path / "three/images/s").labels == labels
