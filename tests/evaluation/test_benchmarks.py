from napari_seggpt.evaluation.benchmarks import benchmark_ensemble
from napari_seggpt.model.config import TINY


def test_the_benchmark_compares_equal_functions():
    report = benchmark_ensemble([1, 3], runs=2, config=TINY)
    assert [row["prompts"] for row in report["rows"]] == [1, 3]
    for row in report["rows"]:
        assert row["largest_difference"] < 1e-4 * row["output_deviation"]
        assert row["ratio"] == row["transformers_seconds"] / row["seconds"]
        assert len(row["all_seconds"]) == len(row["all_transformers_seconds"]) == 2
        assert row["gflops"] > 0
    assert report["matmul_gflops"] > 0


def test_our_work_grows_slower_than_theirs():
    one, eight = benchmark_ensemble([1, 8], runs=1, config=TINY)["rows"]
    ours = eight["gflops"] * eight["seconds"] / (one["gflops"] * one["seconds"])
    theirs = (
        eight["transformers_gflops"]
        * eight["transformers_seconds"]
        / (one["transformers_gflops"] * one["transformers_seconds"])
    )
    assert ours < 0.8 * theirs
