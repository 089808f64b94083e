"""Performance claims, measured as ratios side by side in one run."""

from napari_seggpt.evaluation.benchmarks.ensemble import benchmark_ensemble
from napari_seggpt.evaluation.benchmarks.frame import benchmark_frame

__all__ = ["benchmark_ensemble", "benchmark_frame"]
