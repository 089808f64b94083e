"""References: the labelled frames and other examples that the model is shown."""
