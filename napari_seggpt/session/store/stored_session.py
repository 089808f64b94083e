"""StoredSession: a session as it was saved, to be read; see `folder`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from napari_seggpt.prompts import PromptFileError, TunedPrompt
from napari_seggpt.session.store.contents import About, entry
from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.files import (
    FRAMES_FOLDER,
    JOURNAL_FILE,
    last_change,
    read_example,
    read_state_file,
)
from napari_seggpt.session.store.journal import read_journal
from napari_seggpt.session.store.places import (
    STATE_FILE,
    locate,
)
from napari_seggpt.session.store.settings import restored
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.stored_frames import (
    StoredFrame,
    frame_files,
    read_frame,
)
from napari_seggpt.settings import SessionSettings
from napari_seggpt.untrusted import as_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import Self


LABELS_TYPE: Any = str | None
MAX_ID = 2**63 - 1  # of a label that can be locked
TunedName = (
    Annotated[str, msgspec.Meta(pattern=r"^tuned/[0-9A-Za-z]+\.safetensors$")] | None
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredSession:
    """A session as it was saved, to be read; nothing is changed by that.

    Attributes
    ----------
    path : Path
        The folder.
    signature : ImageSignature
        Of the image.
    labels_path : str or None
        The zarr that labels are in, as it was written, see `labels`; None if they are
        in the folder.
    saved : datetime
        When it was saved last.
    about : About
        What the window knows.
    """

    path: Path
    signature: ImageSignature
    labels_path: str | None
    saved: datetime
    about: About
    _content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what a session is about.

        Raises
        ------
        SessionError
            If there is no session at `path`, or it is of another version.
        """
        content = read_state_file(path)
        try:
            return cls(
                path=path,
                signature=ImageSignature.from_json(content["image"]),
                labels_path=as_type(content["labels"], LABELS_TYPE),
                saved=last_change(path),
                about=About.of(content.get("about")),
                _content=content,
            )
        except (KeyError, ValueError, OSError) as error:
            raise SessionError(
                f"Expected a session in {path}, but {STATE_FILE} lacks something: "
                f"{error}"
            ) from error

    @property
    def labels(self) -> Path | None:
        """Where the labels are, if they are not in the folder."""
        if self.labels_path is None:
            return None
        way = entry(self._content, "way_to_labels", LABELS_TYPE, None)
        return locate(self.labels_path, self.path, way)

    @property
    def num_frames(self) -> int:
        """How many frames something is stored of."""
        if self.labels_path is None:
            return len(self.frame_files)
        return len(read_journal(self.path / JOURNAL_FILE))

    @property
    def frame_files(self) -> dict[int, Path]:
        """The files of frames, by frame."""
        files = frame_files(self.path / FRAMES_FOLDER)
        length = self.signature.length
        return {index: file for index, file in files.items() if index < length}

    @property
    def frames_set_aside(self) -> list[int]:
        """The frames of which other labels were kept, see `SessionStore.set_aside`."""
        files = (self.path / FRAMES_FOLDER).glob("*.kept")
        stems = {file.name.partition(".")[0] for file in files}
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    @property
    def state(self) -> SessionState:
        """What was known beside the frames; what is damaged is left out."""
        content = self._content
        examples: list[Any] = entry(content, "examples", list[Any], [])
        locked: tuple[int, ...] = entry(content, "locked", tuple[int, ...], ())
        return SessionState(
            settings=restored(
                SessionSettings(), entry(content, "settings", dict[str, Any], {})
            ),
            stacks=entry(content, "stacks", int, 1),
            locked=tuple(label for label in locked if 1 <= label <= MAX_ID),
            examples=tuple(
                example
                for each in examples
                if (example := read_example(self.path, each)) is not None
            ),
            tuned=self._tuned,
        )

    @property
    def tuned_file(self) -> Path | None:
        """The file of the tuned prompt that was used."""
        name = entry(self._content, "tuned", TunedName, None)
        return None if name is None else self.path / name

    @property
    def _tuned(self) -> TunedPrompt | None:
        if self.tuned_file is None or not self.tuned_file.is_file():
            return None
        try:
            return TunedPrompt.load(self.tuned_file)
        except PromptFileError:
            return None

    def frames(self) -> Iterator[StoredFrame]:
        """Read one frame after the other, in a worker."""
        if self.labels_path is None:
            for index, file in self.frame_files.items():
                yield read_frame(index, file, self.signature.frame_shape)
            return
        for index, records in read_journal(self.path / JOURNAL_FILE).items():
            if index < self.signature.length:
                yield StoredFrame(index=index, records=tuple(records))
