"""Evaluation: metrics, protocols and benchmarks; where published figures come from."""
