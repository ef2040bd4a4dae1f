"""Intel's library of layers: not used."""


def is_available() -> bool:
    """False."""
    return False
