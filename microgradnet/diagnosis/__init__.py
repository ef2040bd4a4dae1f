"""Why a network learns slowly: `Monitor` watches a training, and its findings cite the book's equations."""

from .monitor import QUANTITIES, Monitor

__all__ = ["QUANTITIES", "Monitor"]
