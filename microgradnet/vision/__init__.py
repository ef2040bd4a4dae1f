"""What scripts take from torchvision: MNIST and Fashion-MNIST, and the transforms that make tensors of images."""

from . import datasets, transforms

__all__ = ["datasets", "transforms"]
