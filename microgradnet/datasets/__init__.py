"""Data to learn from: digits that come with the package, MNIST from its files, and toy problems in the plane."""

from . import idx
from .digits import Digits
from .mnist import MNIST, FashionMNIST
from .toy import moons, spirals, xor

__all__ = ["MNIST", "Digits", "FashionMNIST", "idx", "moons", "spirals", "xor"]
