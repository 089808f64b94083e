"""Measures of agreement between predicted and true labels."""
