"""Performance claims, measured as ratios side by side in one run."""

from napari_seggpt.evaluation.benchmarks.ensemble import benchmark_ensemble
from napari_seggpt.evaluation.benchmarks.frame import benchmark_frame
from napari_seggpt.evaluation.benchmarks.parts import benchmark_parts
from napari_seggpt.evaluation.benchmarks.peers import benchmark_peers
from napari_seggpt.evaluation.benchmarks.scale import benchmark_scale

__all__ = [
    "benchmark_ensemble",
    "benchmark_frame",
    "benchmark_parts",
    "benchmark_peers",
    "benchmark_scale",
]
