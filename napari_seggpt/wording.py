"""How numbers of things are said, in the dock and on the command line."""


def count_of(number: int, thing: str) -> str:
    """Return a number of things in words, such as "1 frame" or "3 classes"."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing}es" if thing.endswith("s") else f"{number} {thing}s"
