import json

import pytest

from napari_seggpt.evaluation.paper.plan import Plan, Unit, blocks
from napari_seggpt.evaluation.paper.results import Results, ResultsError, run_units


@pytest.fixture
def plan():
    """A plan of five units that note that they ran."""
    ran = []

    def unit(number):
        return Unit(key=f"u{number}", run=lambda: ran.append(number) or number**2)

    made = Plan(
        units=[unit(i) for i in range(5)],
        summarise=lambda done: done,
        facts={},
    )
    return made, ran


def test_blocks_cover_everything_once():
    assert blocks(5, 2) == [range(2), range(2, 4), range(4, 5)]
    assert blocks(0, 2) == []


def test_what_is_done_is_not_done_again(plan, tmp_path):
    made, ran = plan
    results = Results(tmp_path, {"a": 1})
    steps = run_units(made, results)
    assert [next(steps), next(steps)] == ["u0", "u1"]
    steps.close()
    assert list(run_units(made, Results(tmp_path, {"a": 1}))) == [
        f"u{i}" for i in range(5)
    ]
    assert ran == [0, 1, 2, 3, 4]
    assert results.done() == {f"u{i}": i**2 for i in range(5)}


def test_parts_share_the_work(plan, tmp_path):
    made, ran = plan
    results = Results(tmp_path, {})
    assert list(run_units(made, results, (2, 2))) == ["u1", "u3"]
    assert list(run_units(made, results, (1, 2))) == ["u0", "u2", "u4"]
    list(run_units(made, results))
    assert sorted(ran) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="Expected a part from 1/2 on, got 3/2"):
        list(run_units(made, results, (3, 2)))


def test_a_line_that_was_cut_off_is_done_again(plan, tmp_path):
    made, ran = plan
    results = Results(tmp_path, {})
    list(run_units(made, results))
    file = tmp_path / "part-1-of-1.jsonl"
    file.write_bytes(file.read_bytes()[:-4])
    assert "u4" not in results.done()
    list(run_units(made, results))
    assert ran[-1] == 4
    assert results.done()["u4"] == 16
    assert len(file.read_text().splitlines()) == 6


def test_results_of_other_facts_are_refused(tmp_path):
    Results(tmp_path / "a", {"model": "x", "seed": [1, (2, 3)]})
    Results(tmp_path / "a", {"model": "x", "seed": [1, (2, 3)]})
    with pytest.raises(ResultsError, match="Expected results of the same model in"):
        Results(tmp_path / "a", {"model": "y", "seed": [1, (2, 3)]})
    (tmp_path / "a" / "facts.json").write_text("{")
    with pytest.raises(ResultsError, match="Expected JSON in"):
        Results(tmp_path / "a", {})


def test_facts_are_for_people_to_read(tmp_path):
    Results(tmp_path / "a", {"model": "x"})
    assert json.loads((tmp_path / "a" / "facts.json").read_text()) == {"model": "x"}
