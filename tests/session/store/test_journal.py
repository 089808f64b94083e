"""What is appended to the journal is read again, whatever was cut short."""

import json
import os

import pytest

from napari_seggpt.session.frames.status import UNKNOWN, FrameRecord
from napari_seggpt.session.store.journal import Journal, read_journal

MINE = FrameRecord(checksum=b"mine", is_reference=True)
APPROVED = FrameRecord(checksum=b"other", is_approved=True)
PREDICTED = FrameRecord(
    checksum=b"run", predicted=b"run", key=b"key", confidence=0.25, is_enabled=False
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "frames.jsonl"


def test_the_last_line_of_a_frame_counts(file):
    journal = Journal(file)
    journal.note(3, MINE)
    journal.note(3, APPROVED)
    journal.note(4, PREDICTED, writing=True)
    journal.note(5, MINE)
    journal.note(5, PREDICTED, writing=True)
    journal.close()
    assert read_journal(file) == {
        3: [APPROVED], 4: [UNKNOWN, PREDICTED], 5: [MINE, PREDICTED],
    }  # fmt: skip


def test_a_frame_of_which_nothing_is_known_any_more_is_as_one_without_a_line(file):
    journal = Journal(file)
    journal.note(3, MINE)
    journal.note(3, UNKNOWN)
    journal.note(4, MINE)
    journal.note(4, UNKNOWN)
    journal.note(4, PREDICTED, writing=True)
    journal.close()
    assert read_journal(file) == {4: [UNKNOWN, PREDICTED]}
    Journal(file).close()
    assert read_journal(file) == {4: [UNKNOWN, PREDICTED]}


def test_what_counts_no_more_is_dropped_when_it_is_opened_again(file):
    journal = Journal(file)
    for _ in range(50):
        journal.note(3, MINE)
    journal.close()
    before = read_journal(file)
    Journal(file).close()
    assert file.read_bytes().count(b"\n") == 1
    assert read_journal(file) == before


@pytest.mark.parametrize("length", [0, 1, 9, 40, 120])
def test_a_line_that_was_cut_short_does_not_swallow_the_next(file, monkeypatch, length):
    journal, write = Journal(file), os.write
    journal.note(1, MINE)
    monkeypatch.setattr(os, "write", lambda to, data: write(to, data[:length]))
    with pytest.raises(OSError, match="only a part"):
        journal.note(2, MINE)
    monkeypatch.setattr(os, "write", write)
    journal.note(3, APPROVED)
    journal.note(2, MINE)  # tried again
    journal.close()
    assert read_journal(file) == {1: [MINE], 3: [APPROVED], 2: [MINE]}


def test_a_full_disk_is_told_and_swallows_nothing(file, monkeypatch):
    journal, write = Journal(file), os.write

    def fail(to, data):
        write(to, data[:30])
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space"):
        journal.note(2, MINE)
    monkeypatch.setattr(os, "write", write)
    journal.note(3, APPROVED)
    journal.close()
    assert read_journal(file) == {3: [APPROVED]}


def test_lines_that_version_0_1_has_run_together_are_read(file):
    content = {
        "checksum": b"other".hex(), "predicted": None, "key": None, "confidence": None,
        "is_approved": True, "is_corrected": False, "is_reference": False,
        "is_asked": False, "is_enabled": True,
    }  # fmt: skip
    line = json.dumps({"frame": 7, "record": content, "writing": False})
    file.write_text(f"{line[:50]}{line}\n{line.replace('7', '8', 1)}")
    assert read_journal(file) == {7: [APPROVED], 8: [APPROVED]}


NO_HEXADECIMAL = (
    b'{"frame":1,"record":{"checksum":"xyz","predicted":null,"key":null,'
    b'"confidence":null,"is_approved":false,"is_corrected":false,'
    b'"is_reference":false,"is_asked":false,"is_enabled":true},"writing":false}'
)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"[]", b"[" * 9000, b'{"frame":-1,"record":{},"writing":false}',
        b'{"frame":1.5,"record":null,"writing":0}', b"\x00" * 40, b"{" * 40_000,
        NO_HEXADECIMAL,
    ],
    ids=lambda line: repr(line[:12]),
)  # fmt: skip
def test_nonsense_is_left_out(file, line):
    journal = Journal(file)
    journal.note(1, MINE)
    journal.close()
    good = file.read_bytes()
    file.write_bytes(line + b"\n" + good + line)
    assert read_journal(file) == {1: [MINE]}


def test_a_file_that_was_deleted_is_noticed(file):
    journal = Journal(file)
    assert journal.is_there
    file.unlink()
    assert not journal.is_there
    journal.close()


def test_no_file_is_an_empty_journal(file):
    assert read_journal(file) == {}
