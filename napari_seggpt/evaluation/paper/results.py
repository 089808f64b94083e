"""Results: what is done of a table, so that it goes on, by several processes too."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from napari_seggpt.files import PART_PATTERN, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_seggpt.evaluation.paper.plan import Plan

Part = tuple[int, int]  # the number of a part, from 1, and how many there are
WHOLE: Part = (1, 1)
FACTS = "facts.json"


class ResultsError(ValueError):
    """A folder of results that does not belong to this table."""


class Results:
    """The folder of a table: a line for every unit that is done, by each process.

    Parameters
    ----------
    folder : Path
        It is made if it is missing.
    facts : mapping of str to JSON
        What results are a function of.

    Raises
    ------
    ResultsError
        If the folder holds results of other facts, or something else.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._check(json.loads(json.dumps(facts)))

    def _check(self, facts: Mapping[str, Any]) -> None:
        file = self.folder / FACTS
        if not file.exists():
            # Several processes may begin at once, each with a draft.
            if any(not x.match(PART_PATTERN) for x in self.folder.iterdir()):
                raise ResultsError(
                    f"Expected a new folder, or one of results, got {self.folder}."
                )
            write_whole(file, json.dumps(facts, indent=2).encode())
        try:
            known = json.loads(file.read_text())
        except ValueError as error:
            raise ResultsError(f"Expected JSON in {file}, got: {error}") from None
        if known != facts:
            names = [x for x in {**facts, **known} if facts.get(x) != known.get(x)]
            raise ResultsError(
                f"Expected results of the same {', '.join(names)} in {self.folder}, "
                "got others: choose another folder with --output."
            )

    def done(self) -> dict[str, Any]:
        """Return what the units returned that are done, by their keys."""
        found: dict[str, Any] = {}
        for file in sorted(self.folder.glob("part-*.jsonl")):
            for line in file.read_text().splitlines():
                try:
                    key, value = json.loads(line)
                except ValueError:  # a process was killed while it wrote
                    continue
                found[key] = value
        return found

    def add(self, part: Part, key: str, value: Any) -> None:
        """Write down what a unit returned."""
        file = self.folder / f"part-{part[0]}-of-{part[1]}.jsonl"
        with file.open("a+b") as stream:
            if stream.tell():  # end the line of a process that was killed
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(json.dumps([key, value]).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def run_units(plan: Plan, results: Results, part: Part = WHOLE) -> Iterator[str]:
    """Do what is not done of a part of a plan; yields the key of every unit.

    Every nth unit is of the same part. The whole, (1, 1), does what no part has done:
    a last call without a part also mends what a process that broke has left.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    number, count = part
    if not 1 <= number <= count:
        raise ValueError(f"Expected a part from 1/{count} on, got {number}/{count}.")
    done = results.done()
    for unit in plan.units[number - 1 :: count]:
        if unit.key not in done:
            results.add(part, unit.key, unit.run())
        yield unit.key
