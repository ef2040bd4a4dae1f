"""The processor."""


def get_cpu_capability() -> str:
    """"DEFAULT": NumPy chooses its instructions itself."""
    return "DEFAULT"
