"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28×28 (Y. LeCun, C. Cortes, C. Burges); and
Fashion-MNIST, as many pictures of clothes in files of the same names (H. Xiao, K. Rasul, R. Vollgraf).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import idx
from .images import ImageDataset

if TYPE_CHECKING:
    import http.client

@dataclass
class Source:
    """Where a data set comes from, and how its four files are known to be right."""

    name: str  # of the data set, and of torchvision's folder for it
    files: dict[str, tuple[int, str]]  # bytes of the uncompressed content, and its SHA-256 or the MD5 of the .gz
    mirrors: tuple[str, ...]


# The SHA-256 is of the content, which is the same however a mirror compressed it.
HANDWRITTEN = Source(
    "MNIST",
    {
        "train-images-idx3-ubyte": (47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        "train-labels-idx1-ubyte": (60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        "t10k-images-idx3-ubyte": (7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        "t10k-labels-idx1-ubyte": (10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    },
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)
# The MD5 sums its authors publish are of the compressed files: https://github.com/zalandoresearch/fashion-mnist
FASHION = Source(
    "FashionMNIST",
    {
        "train-images-idx3-ubyte": (47040016, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        "train-labels-idx1-ubyte": (60008, "25c81989df183df01b3e8a0aad5dffbe"),
        "t10k-images-idx3-ubyte": (7840016, "bef4ecab320f06d8554ea6380940ec79"),
        "t10k-labels-idx1-ubyte": (10008, "bb300cfdad3c16e7a12a480ee83cd310"),
    },
    (
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)
TIMEOUT = 30  # seconds a mirror may stay silent


def load(root: str | os.PathLike[str], train: bool = True,
         source: Source = HANDWRITTEN) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, 28, 28), and labels, uint8 (n,), from the IDX files, plain or gzipped.

    They lie in `root` or, as torchvision has it, in `root/MNIST/raw`. FileNotFoundError where they do not; ValueError
    where their content is not that of the data set.
    """
    part = "train" if train else "t10k"
    names = [name for name in source.files if name.startswith(part)]
    paths = {name: find(root, name, source) for name in names}
    missing = [name for name, path in paths.items() if not path]
    if missing:
        raise FileNotFoundError(
            f"{source.name}: no {' and no '.join(missing)} (plain or .gz) in {os.fspath(root)!r} or "
            f"{str(raw_folder(root, source))!r}; pass download=True, or put the files into one of these folders"
        )
    images, labels = (read(path, name, source) for name, path in paths.items() if path)
    return images, labels


def raw_folder(root: str | os.PathLike[str], source: Source = HANDWRITTEN) -> Path:
    """Where torchvision keeps the files, and where a download puts them."""
    return Path(root).expanduser() / source.name / "raw"


def find(root: str | os.PathLike[str], name: str, source: Source = HANDWRITTEN) -> Path | None:
    """The first of the places where the file may lie that holds one."""
    folders = Path(root).expanduser(), raw_folder(root, source)
    places = (folder / (name + suffix) for folder in folders for suffix in ("", ".gz"))
    return next((path for path in places if path.is_file()), None)


def read(path: Path, name: str, source: Source = HANDWRITTEN) -> np.ndarray:
    """The array in one of the four files, its content checked."""
    try:
        return idx.parse(verified(path.read_bytes(), name, path, source), path)
    except ValueError as error:
        raise ValueError(f"{error}; delete the file and pass download=True to fetch it anew") from error


def verified(raw: bytes, name: str, place: object, source: Source = HANDWRITTEN) -> bytes:
    """The content of `raw`, plain or gzipped, from `place`; ValueError unless it is that of the file `name`."""
    content = idx.decompress(raw, place)
    size, expected = source.files[name]
    if len(expected) == 64:
        kind, found = "SHA-256", hashlib.sha256(content).hexdigest()
    else:  # of the compressed file: of a plain one, the size alone is known
        kind, found = "MD5", expected if raw is content else hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if (len(content), found) != (size, expected):
        raise ValueError(f"{place}: expected the {size:,} bytes of {name} with {kind} {expected}, "
                         f"found {len(content):,} bytes with {found}")
    return content


def fetch(root: str | os.PathLike[str], source: Source = HANDWRITTEN) -> None:
    """Download those of the four files that `root` lacks; ConnectionError where no mirror gives one of them."""
    folder = raw_folder(root, source)
    for name in source.files:
        if find(root, name, source) is None:
            store(from_mirrors(name, folder, source), folder / f"{name}.gz")


def from_mirrors(name: str, folder: Path, source: Source = HANDWRITTEN) -> bytes:
    """The gzipped file from the first mirror that gives the right one; where none does, the error tells what to do."""
    import http.client

    failures = []
    for url in (f"{mirror}{name}.gz" for mirror in source.mirrors):
        try:
            compressed = transfer(url, name)
            verified(compressed, name, url, source)
            return compressed
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"  {url}\n    {error}")
    raise ConnectionError(
        f"{source.name}: no mirror gave {name}.gz:\n" + "\n".join(failures) + "\n"
        f"by hand: put {', '.join(f'{name}.gz' for name in source.files)} into {str(folder)!r}"
    )


def transfer(url: str, name: str) -> bytes:
    """What lies at `url`; stderr shows the progress if it is a terminal and tqdm is installed."""
    import shutil
    import urllib.request

    content = io.BytesIO()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response, progress(response, name) as stream:
        shutil.copyfileobj(stream, content)
    return content.getvalue()


def progress(response: http.client.HTTPResponse, name: str) -> contextlib.AbstractContextManager[Any]:
    """The response with a progress bar on its `read`, or as it is."""
    try:
        from tqdm import tqdm
    except ImportError:
        return contextlib.nullcontext(response)
    return tqdm.wrapattr(response, "read", total=response.length, desc=name, disable=None)  # None: unless a terminal


def store(content: bytes, path: Path) -> None:
    """Write the file so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class MNIST(ImageDataset):
    """MNIST from the folder `root`; `download=True` fetches what is missing there.

    Pixels have values 0..255. A transform gets an image as a uint8 ndarray (28, 28), a target transform an int.
    """

    brightest = 255
    source: ClassVar[Source] = HANDWRITTEN

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        download: bool = False,
    ) -> None:
        if download:
            fetch(root, self.source)
        super().__init__(*load(root, train, self.source), transform, target_transform)
        self.root = root
        self.train = train


class FashionMNIST(MNIST):
    """Fashion-MNIST from the folder `root`, in every respect as `MNIST`."""

    source = FASHION
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
