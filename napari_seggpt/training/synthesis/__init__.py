"""Simulated microscopy and medical images with exact labels."""

from napari_seggpt.training.synthesis.simulate import (
    KINDS,
    simulate,
    simulate_pair,
    simulate_sequence,
)
from napari_seggpt.training.synthesis.types import SimulatedImage

__all__ = ["KINDS", "SimulatedImage", "simulate", "simulate_pair", "simulate_sequence"]
