"""Examples: labelled images that are not frames of the stack."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import chain, count

import numpy as np

from napari_seggpt.files import array_digest
from napari_seggpt.prompts import Prompt
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.references.reference import PromptSource, Reference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Example:
    prompt: Prompt
    digest: bytes  # of image and labels
    is_labelled: bool
    enabled: bool = True


class Examples:
    """Labelled images from elsewhere, by name; each can be switched off."""

    def __init__(self) -> None:
        self._examples: dict[str, _Example] = {}

    def add(self, prompt: Prompt, name: str) -> None:
        """Add a copy of an example; without labels it shows that nothing is there.

        Raises
        ------
        ValueError
            If the name is taken.
        """
        if name in self._examples:
            raise ValueError(f"Expected a name that is not taken yet, got {name!r}.")
        own = Prompt(image=np.array(prompt.image), labels=np.array(prompt.labels))
        self._examples[name] = _Example(
            prompt=own, digest=_digest(own), is_labelled=bool(own.labels.any())
        )

    def add_new(self, prompt: Prompt, name: str) -> str | None:
        """Add a copy of an example and return its name, unless it is there already.

        If another one has its name, it is called "NAME (2)" or so.
        """
        digest = _digest(prompt)
        for free in chain([name], (f"{name} ({number})" for number in count(2))):
            known = self._examples.get(free)
            if known is None:
                break
            if known.digest == digest:
                return None
        self.add(prompt, free)
        return free

    def restore(self, example: Reference) -> None:
        """Take an example of an earlier session; unnamed ones, and those there, not.

        If another one has its name, it gets another: else it would be lost once the
        session is saved.
        """
        prompt, name = example.prompt, example.name
        if prompt is None or not name:
            return
        taken = self.add_new(prompt, name)
        if taken is not None:
            self.set_enabled(taken, example.enabled)

    def remove(self, name: str) -> None:
        """Remove an example."""
        self._known(name)
        del self._examples[name]

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Switch an example on or off."""
        self._examples[name] = replace(self._known(name), enabled=enabled)

    def _known(self, name: str) -> _Example:
        if name not in self._examples:
            raise ValueError(f"Expected the name of an example, got {name!r}.")
        return self._examples[name]

    @property
    def references(self) -> list[Reference]:
        """The examples as they are shown."""
        return [
            Reference(
                name=name,
                prompt=each.prompt,
                enabled=each.enabled,
                is_labelled=each.is_labelled,
            )
            for name, each in self._examples.items()
        ]

    @property
    def sources(self) -> list[PromptSource]:
        """Those that are switched on, as they are handed to a run."""
        return [
            PromptSource(
                identity=(name, each.digest),
                image=each.prompt.image,
                labels=each.prompt.labels,
            )
            for name, each in self._examples.items()
            if each.enabled
        ]

    @property
    def digest(self) -> bytes:
        """A digest of those that are switched on; their names play no role."""
        used = sorted(each.digest for each in self._examples.values() if each.enabled)
        return hashlib.sha256(b"".join(used)).digest()


def _digest(prompt: Prompt) -> bytes:
    """Return a digest of image and labels."""
    return array_digest(prompt.image) + checksum(prompt.labels)
