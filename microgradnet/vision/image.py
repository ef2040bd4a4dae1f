"""A picture: pixels with the few attributes of a PIL image that scripts read. Pillow is not needed."""

from __future__ import annotations

from typing import Any

import numpy as np

_MODES = {"L": 1, "RGB": 3, "RGBA": 4}  # and their channels


class Image:
    """Pixels, uint8 of (height, width) in mode "L", of (height, width, channels) in "RGB" and "RGBA".

    `np.asarray(image)` shows them, and matplotlib's imshow takes it as it is; `size` is (width, height), as in PIL.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        pixels = np.asarray(pixels)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1 if pixels.ndim == 2 else 0
        modes = {count: mode for mode, count in _MODES.items() if (count > 1) == (pixels.ndim == 3)}
        if pixels.dtype != np.uint8 or channels not in modes:
            raise TypeError(f"an Image is made of uint8 pixels of (H, W), (H, W, 3) or (H, W, 4), got {pixels.dtype} "
                            f"of {pixels.shape}")
        self.mode = modes[channels]
        self._pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.width, self.height

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self._pixels.shape[1]

    @property
    def height(self) -> int:
        """Rows."""
        return self._pixels.shape[0]

    def getbands(self) -> tuple[str, ...]:
        """A letter for each channel."""
        return tuple(self.mode)

    def copy(self) -> Image:
        """With pixels of its own."""
        return Image(self._pixels.copy())

    def show(self, title: str | None = None) -> None:
        """Show the picture in a window, which needs Pillow."""
        try:
            from PIL import Image as pillow
        except ImportError:
            raise ImportError("Image.show() needs Pillow (pip install pillow); matplotlib's imshow(image, cmap='gray') "
                              "does without") from None
        pillow.fromarray(self._pixels).show(title)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # np.asarray(self)
        return np.array(self._pixels, dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and np.array_equal(self._pixels, other._pixels)

    __hash__ = None  # type: ignore[assignment]  # as in PIL: pixels can be written

    def __repr__(self) -> str:
        return f"<microgradnet.vision.Image mode={self.mode} size={self.width}x{self.height}>"


def pixels_of(caller: str, image: Any) -> np.ndarray:
    """The pixels of an Image, of a PIL image, or of an ndarray (H, W) or (H, W, C)."""
    if not (isinstance(image, (Image, np.ndarray)) or (hasattr(image, "getbands") and hasattr(image, "size"))):
        raise TypeError(f"{caller}() expects a picture or an ndarray, got {type(image).__name__}")
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"{caller}(): a picture has 2 or 3 dimensions, got {pixels.ndim}")
    return pixels
