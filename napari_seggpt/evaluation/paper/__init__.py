"""The paper's tables, each from its published data to figures beside the paper's."""
