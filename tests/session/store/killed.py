"""Works on a session until it is killed, again and again, and looks at what is left.

A script: ``killed.py FOLDER {memory,disk} ROUNDS SEED``. Each round forks a child that
goes on with the session, paints, runs, undoes and saves; it is killed (SIGKILL) at a
random moment. Then the session is opened, and every frame must be in a state that it
had no more than SECONDS before, or later.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from napari_seggpt.session import FrameResult, Session
from napari_seggpt.session.autosave import Autosave
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.stored_session import StoredSession

LENGTH, SIDE = 12, 96
SECONDS = 0.6  # what is older than that is not lost; a second is promised
IMAGE = np.ones((SIDE, SIDE), np.uint16)
STACK = np.arange(LENGTH, dtype=np.uint16)[:, None, None] * IMAGE


class ArrayLabels:
    """Labels in memory, or in a file that is mapped into it."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def read(self, frame):
        return np.array(self.data[frame])

    def write(self, frame, labels):
        half = SIDE // 2  # it may be killed between the two
        self.data[frame, :half] = labels[:half]
        time.sleep(random.random() * 0.002)
        self.data[frame, half:] = labels[half:]


def open_labels(folder, mode):
    if mode == "memory":
        return ArrayLabels(np.zeros((LENGTH, SIDE, SIDE), np.uint8))
    file = folder / "labels.npy"
    if not file.exists():
        np.save(file, np.zeros((LENGTH, SIDE, SIDE), np.uint8))
    return ArrayLabels(np.load(file, mmap_mode="r+"))


def open_session(folder, mode):
    """Go on where the last child was killed."""
    session = Session(STACK, open_labels(folder, mode))
    session.frames.take_scan(*session.frames.scan())
    same = set()
    if (folder / "s" / "session.json").exists():
        stored = StoredSession.read(folder / "s")
        assert stored.signature.difference(ImageSignature.of(STACK)) is None
        session.restore_state(stored.state)
        for frame in stored.frames():
            assert not frame.is_damaged
            if session.frames.restore(frame.index, frame.records, frame.labels):
                same.add(frame.index)
    return session, same


def state(session, frame):
    return (
        checksum(session.frames.labels.read(frame)).hex(),
        session.frames.record(frame).is_protected,
    )


class Child:
    """What is killed."""

    def __init__(self, folder, mode, log, seed):
        self.random = random.Random(seed)
        self.log = log
        self.clock = 0.0
        self.session, same = open_session(folder, mode)
        self.saver = Autosave(self.session, About)
        place = None if mode == "memory" else str(folder / "labels.npy")
        self.saver.begin(SessionStore(folder / "s", ImageSignature.of(STACK), place))
        for frame in same:
            self.saver.skip(frame)
        self.before = {}
        for frame in range(LENGTH):
            self.tell("done", frame, *state(self.session, frame))

    def tell(self, kind, *facts):
        line = " ".join(map(str, (kind, f"{self.clock:.3f}", *facts)))
        os.write(self.log, line.encode() + b"\n")

    def work(self):
        since = time.monotonic()
        acts = [self.paint, self.paint, self.run, self.run, self.approve, self.undo]
        while True:
            self.random.choice(acts)()
            self.saver.save()
            time.sleep(0.02)
            now = time.monotonic()
            self.clock += min(
                now - since, 0.1
            )  # a machine that stands still is not late
            since = now
            self.tell("tick")

    def paint(self):
        frame, label = self.random.randrange(LENGTH), self.random.randrange(1, 5)
        labels = self.session.frames.labels.read(frame)
        y, x = (self.random.randrange(SIDE - 20) for _ in range(2))
        labels[y : y + 20, x : x + 20] = label
        self.tell("maybe", frame, checksum(labels).hex(), True)
        self.session.frames.labels.data[frame] = labels
        self.session.frames.labels_changed([frame])
        self.tell("done", frame, *state(self.session, frame))

    def run(self):
        try:
            run = self.session.start("all", 0)
        except ValueError:
            return
        self.before = {f: state(self.session, f) for f in run.frames}
        for frame in run.frames[: self.random.randrange(1, LENGTH)]:
            labels = np.full((SIDE, SIDE), self.random.randrange(1, 200), np.uint8)
            labels[: self.random.randrange(SIDE)] = 0
            self.tell("maybe", frame, checksum(labels).hex(), False)
            result = FrameResult(
                run=run.number, index=frame, labels=labels, confidence=0.5
            )
            self.session.runs.commit(result)
            self.saver.save(0.001)
            self.tell("done", frame, *state(self.session, frame))
        self.session.runs.finish()

    def approve(self):
        frame = self.random.randrange(LENGTH)
        mark, is_protected = state(self.session, frame)
        self.tell("maybe", frame, mark, not is_protected)
        if self.random.random() < 0.5:
            self.session.frames.approve(frame)
        else:
            self.session.frames.release(frame)
        self.tell("done", frame, *state(self.session, frame))

    def undo(self):
        if not self.session.runs.can_undo:
            return
        for frame, facts in self.before.items():
            self.tell("maybe", frame, *facts)
        for frame in self.session.runs.undo():
            self.tell("done", frame, *state(self.session, frame))
        for frame in self.before:
            self.tell("done", frame, *state(self.session, frame))


def allowed_states(lines):
    """Return what each frame may be now: all since the last state that is old."""
    told = [line.split() for line in lines]
    end = max(float(words[1]) for words in told)
    allowed = {}
    for kind, at, *facts in told:
        if kind == "tick":
            continue
        frame, *rest = facts
        mark, is_protected = rest if len(rest) == 2 else ("", rest[0])
        known = allowed.setdefault(int(frame), [])
        if kind == "done" and end - float(at) > SECONDS:
            known.clear()
        known.append((mark, is_protected == "True"))
    return allowed


def check(folder, mode, lines):
    session, _ = open_session(folder, mode)
    if not lines:
        return 0
    for frame, known in allowed_states(lines).items():
        mark, is_protected = state(session, frame)
        marks = {mark for mark, _ in known}
        if mode == "disk" and mark not in marks:
            assert is_protected, f"frame {frame} was cut short and is not protected"
            continue
        assert mark in marks, f"the labels of frame {frame} are lost"
        flags = {flag for other, flag in known if other == mark}
        assert is_protected in flags, f"frame {frame}: protected is {is_protected}"
    return len(lines)


def main():
    folder, mode, rounds, seed = Path(sys.argv[1]), *sys.argv[2:]
    chance, total = random.Random(int(seed)), 0
    for number in range(int(rounds)):
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        child = os.fork()
        if not child:
            os.close(reading)
            try:
                Child(folder, mode, writing, f"{seed} {number}").work()
            finally:
                os._exit(1)  # it is to be killed, not to end
        os.close(writing)
        time.sleep(chance.choice((0.05, 0.4, 2.0)) * chance.uniform(0.4, 1))
        os.kill(child, signal.SIGKILL)
        with os.fdopen(reading, "rb") as log:
            text = log.read().decode()
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the child ended by itself"
        lines = text.splitlines()
        total += check(folder, mode, lines if text.endswith("\n") else lines[:-1])
    sys.stdout.write(f"{total}\n")


if __name__ == "__main__":
    main()
