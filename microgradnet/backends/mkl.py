"""Intel's library of mathematics: NumPy may use it, on its own account."""


def is_available() -> bool:
    """False."""
    return False
