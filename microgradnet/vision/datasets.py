"""MNIST and Fashion-MNIST as torchvision has them: an example is an image, not an array, until it is transformed."""

from __future__ import annotations

import os
from typing import Any

from .. import datasets
from ..datasets.mnist import raw_folder
from .image import Image

__all__ = ["MNIST", "FashionMNIST"]


class _OfImages(datasets.MNIST):
    """What the two have in common. A transform gets an Image, a target transform an int."""

    root: str | os.PathLike[str]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its label, an int, each through its transform."""
        image: Any = Image(self.data.numpy()[index].copy())  # a transform may write to it
        label: Any = int(self.targets.numpy()[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: label for label, name in enumerate(self.classes)}

    @property
    def raw_folder(self) -> str:
        """Where a download puts the files."""
        return str(raw_folder(self.root, self.source))

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {os.fspath(self.root)}",
                 f"Split: {'Train' if self.train else 'Test'}"]
        transforms = [("Transform", self.transform), ("Target transform", self.target_transform)]
        given = [(name, transform) for name, transform in transforms if transform is not None]
        if given:
            lines.append("StandardTransform")
        body = "\n".join(f"    {line}" for line in lines)
        for name, transform in given:
            body += f"\n{name}: " + repr(transform).replace("\n", "\n" + " " * (len(name) + 2))
        return f"Dataset {type(self).__name__}\n{body}"


class MNIST(_OfImages):
    """Handwritten digits from the folder `root`; `download=True` fetches what is missing there."""


class FashionMNIST(_OfImages):
    """Pictures of clothes from the folder `root`; `download=True` fetches what is missing there."""

    source = datasets.FashionMNIST.source
    classes = datasets.FashionMNIST.classes
