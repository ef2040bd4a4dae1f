"""From pictures to tensors: the transforms that scripts for small images use, by their names in torchvision."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import random
from ..nn import functional as F
from ..ops import flip
from ..tensor import Tensor
from .image import Image, pixels_of

__all__ = ["Compose", "ConvertImageDtype", "Lambda", "Normalize", "PILToTensor", "RandomCrop", "RandomHorizontalFlip",
           "RandomVerticalFlip", "Resize", "ToPILImage", "ToTensor"]


class Compose:
    """One transform after another."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "Compose(" + "".join(f"\n    {transform}" for transform in self.transforms) + "\n)"


class Lambda:
    """A function of one's own as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class PILToTensor:
    """A picture as a tensor (C, H, W) of the same dtype."""

    def __call__(self, pic: Any) -> Tensor:
        pixels = pixels_of(type(self).__name__, pic)
        return Tensor(np.array(np.moveaxis(np.atleast_3d(pixels), 2, 0), order="C"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToTensor(PILToTensor):
    """A picture as a tensor (C, H, W): uint8 as float32 between 0 and 1, other dtypes as they are."""

    def __call__(self, pic: Any) -> Tensor:
        tensor = super().__call__(pic)
        return tensor.float() / 255 if tensor.dtype == np.uint8 else tensor


class ToPILImage:
    """A tensor (C, H, W) or (H, W), floating between 0 and 1 or uint8, as an Image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Image:
        array = np.moveaxis(pic.detach().numpy(), -3, -1) if isinstance(pic, Tensor) and pic.ndim == 3 else pic
        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = (array * 255).astype(np.uint8)
        return Image(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array)

    def __repr__(self) -> str:
        return "ToPILImage()"


class ConvertImageDtype:
    """A tensor of an image in another dtype, its range scaled along: 0 to 255 of uint8 is 0 to 1 of a floating one."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def __call__(self, image: Tensor) -> Tensor:
        if image.dtype == self.dtype:
            return image
        if image.is_floating_point() and self.dtype.kind == "f":
            return image.to(self.dtype)
        if image.dtype.kind in "iu" and self.dtype.kind == "f":
            return image.to(self.dtype) / np.iinfo(image.dtype).max
        if image.is_floating_point() and self.dtype == np.uint8:
            return (image * (256 - 1e-3)).to(self.dtype)
        raise TypeError(f"ConvertImageDtype(): no conversion from {image.dtype} to {self.dtype}; use tensor.to()")


class Normalize:
    """(x - mean) / std, channel by channel, of a floating tensor (…, C, H, W)."""

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float, inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"img should be Tensor Image. Got {type(tensor)}: put ToTensor() before Normalize()")
        if not tensor.is_floating_point():
            raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}: put ToTensor() first")
        if tensor.ndim < 3:
            raise ValueError(f"Normalize() expects (…, C, H, W), got {tuple(tensor.shape)}")
        mean, std = (Tensor(np.asarray(v, tensor.dtype).reshape(-1, 1, 1)) for v in (self.mean, self.std))
        if (std.array == 0).any():
            raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero")
        return (tensor if self.inplace else tensor.clone()).sub_(mean).div_(std)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


# --- what changes a picture's size: of tensors (…, H, W) and of pictures alike ---------------------------------------


def _through_tensor(image: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change a tensor (…, H, W); a picture is made one on the way, and comes back as a picture."""
    if isinstance(image, Tensor):
        return change(image)
    return ToPILImage()(change(PILToTensor()(image)))


def _pair(size: Any) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, numbers.Number) else tuple(size) * (3 - len(size))
    return int(height), int(width)  # type: ignore[call-overload]


def _padded(image: Tensor, padding: Any, fill: float, mode: str) -> Tensor:
    sides = tuple(padding) if not isinstance(padding, numbers.Number) else (padding,)
    left, top, right, bottom = sides * (4 // len(sides))
    widths = (left, right, top, bottom)
    if mode == "constant":
        return F.pad(image, widths, value=fill)
    return F.pad(image.float()[None], widths, mode={"edge": "replicate"}.get(mode, mode))[0].to(image.dtype)


class RandomCrop:
    """`size` pixels from anywhere, after `padding` has been added around."""

    def __init__(self, size: Any, padding: Any = None, pad_if_needed: bool = False, fill: float = 0,
                 padding_mode: str = "constant") -> None:
        if pad_if_needed:
            raise NotImplementedError("RandomCrop(pad_if_needed=True) is not supported: give the padding")
        self.size, self.padding, self.fill, self.padding_mode = _pair(size), padding, fill, padding_mode

    def __call__(self, img: Any) -> Any:
        return _through_tensor(img, self._crop)

    def _crop(self, image: Tensor) -> Tensor:
        if self.padding is not None:
            image = _padded(image, self.padding, self.fill, self.padding_mode)
        height, width = self.size
        if image.shape[-2] < height or image.shape[-1] < width:
            raise ValueError(f"Required crop size {self.size} is larger than input image size "
                             f"{tuple(image.shape[-2:])}")
        top, left = (int(random.randint(0, have - want + 1, (1,))) for have, want in zip(image.shape[-2:], self.size))
        return image[..., top : top + height, left : left + width]

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip:
    """Mirrored left to right with probability p."""

    dim = -1

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return _through_tensor(img, lambda x: flip(x, (self.dim,))) if float(random.rand(1)) < self.p else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomVerticalFlip(RandomHorizontalFlip):
    """Turned upside down with probability p."""

    dim = -2


class Resize:
    """Another size, by bilinear interpolation that smooths first: (height, width), or a number for the shorter side."""

    def __init__(self, size: Any, antialias: bool = True) -> None:
        self.size, self.antialias = size, antialias

    def __call__(self, img: Any) -> Any:
        return _through_tensor(img, self._resized)

    def _resized(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        size = self.size if isinstance(self.size, numbers.Number) else tuple(self.size)
        if not isinstance(size, tuple):
            short = int(size)  # type: ignore[call-overload]
            size = (short, short * width // height) if height <= width else (short * height // width, short)
        batch = image.reshape(-1, 1, height, width)
        batch = batch if batch.is_floating_point() else batch.float()
        resized = F.interpolate(batch, size, mode="bilinear", antialias=self.antialias)
        resized = resized if image.is_floating_point() else resized.round()
        return resized.to(image.dtype).reshape(*image.shape[:-2], *size)

    def __repr__(self) -> str:
        return f"Resize(size={self.size}, interpolation=bilinear, max_size=None, antialias={self.antialias})"
