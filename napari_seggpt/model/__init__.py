"""The network: torch only, no files but weights, no knowledge of frames or labels."""
