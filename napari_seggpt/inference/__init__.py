"""Prediction: numpy in, numpy out."""
