"""What the image datasets share: images and labels as two tensors, seen one example at a time or as whole arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..tensor import Tensor
from ..utils.data import Dataset


class ImageDataset(Dataset[tuple[Any, Any]]):
    """Grey images of one handwritten digit each, with their labels.

    `data` is a uint8 Tensor (n, height, width), `targets` an int64 Tensor (n,), `classes` a name per label.
    """

    classes: ClassVar[list[str]] = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip
    brightest: ClassVar[int]  # the largest value a pixel may have

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        transform: Callable[[np.ndarray], Any] | None,
        target_transform: Callable[[int], Any] | None,
    ) -> None:
        self.data = Tensor(images)
        self.targets = Tensor(labels.astype(np.int64))
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image, a uint8 ndarray (height, width) of its own, and the label, an int, each through its transform."""
        index = operator.index(index)  # a slice is no index: TypeError
        image: Any = self.data.numpy()[index].copy()  # a transform may write to it
        label: Any = int(self.targets.numpy()[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def arrays(self, flatten: bool = True, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
        """Copies, untransformed: images scaled to 0..1, (n, height·width) or unflattened, and labels, int64 (n,)."""
        images = np.divide(self.data.numpy(), self.brightest, dtype=dtype)
        return images.reshape(len(images), -1) if flatten else images, self.targets.numpy().copy()
