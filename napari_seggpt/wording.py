"""How numbers of things are said, in the dock and on the command line."""


def count_of(number: int, thing: str) -> str:
    """Return a number of things in words, such as "1 frame" or "3 frames"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
