"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28×28 (Y. LeCun, C. Cortes, C. Burges)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import idx
from .images import ImageDataset

if TYPE_CHECKING:
    import http.client

# Bytes and SHA-256 of the uncompressed content, which is the same however a mirror compressed it.
FILES = {
    "train-images-idx3-ubyte": (47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30  # seconds a mirror may stay silent


def load(root: str | os.PathLike[str], train: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, 28, 28), and labels, uint8 (n,), from the IDX files, plain or gzipped.

    They lie in `root` or, as torchvision has it, in `root/MNIST/raw`. FileNotFoundError where they do not; ValueError
    where their content is not that of MNIST.
    """
    part = "train" if train else "t10k"
    names = [name for name in FILES if name.startswith(part)]
    paths = {name: find(root, name) for name in names}
    missing = [name for name, path in paths.items() if not path]
    if missing:
        raise FileNotFoundError(
            f"MNIST: no {' and no '.join(missing)} (plain or .gz) in {os.fspath(root)!r} or {str(raw_folder(root))!r}; "
            "pass download=True, or put the files into one of these folders"
        )
    images, labels = (read(path, name) for name, path in paths.items() if path)
    return images, labels


def raw_folder(root: str | os.PathLike[str]) -> Path:
    """Where torchvision keeps the files, and where a download puts them: Fashion-MNIST has files of the same names."""
    return Path(root).expanduser() / "MNIST" / "raw"


def find(root: str | os.PathLike[str], name: str) -> Path | None:
    """The first of the places where the file may lie that holds one."""
    folders = Path(root).expanduser(), raw_folder(root)
    places = (folder / (name + suffix) for folder in folders for suffix in ("", ".gz"))
    return next((path for path in places if path.is_file()), None)


def read(path: Path, name: str) -> np.ndarray:
    """The array in one of the four files, its content checked."""
    try:
        content = idx.decompress(path.read_bytes(), path)
        verify(content, name, path)
    except ValueError as error:
        raise ValueError(f"{error}; delete the file and pass download=True to fetch it anew") from error
    return idx.parse(content, path)


def verify(content: bytes, name: str, source: object) -> None:
    """ValueError unless `content`, which came from `source`, is that of MNIST's file `name`."""
    expected, found = FILES[name], (len(content), hashlib.sha256(content).hexdigest())
    if found != expected:
        raise ValueError(
            f"{source}: expected the {expected[0]:,} bytes of {name} with SHA-256 {expected[1]}, "
            f"found {found[0]:,} bytes with {found[1]}"
        )


def fetch(root: str | os.PathLike[str]) -> None:
    """Download those of the four files that `root` lacks; ConnectionError where no mirror gives one of them."""
    folder = raw_folder(root)
    for name in FILES:
        if find(root, name) is None:
            store(from_mirrors(name, folder), folder / f"{name}.gz")


def from_mirrors(name: str, folder: Path) -> bytes:
    """The gzipped file from the first mirror that gives the right one; where none does, the error tells what to do."""
    import http.client

    failures = []
    for url in (f"{mirror}{name}.gz" for mirror in MIRRORS):
        try:
            compressed = transfer(url, name)
            verify(idx.decompress(compressed, url), name, url)
            return compressed
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"  {url}\n    {error}")
    raise ConnectionError(
        f"MNIST: no mirror gave {name}.gz:\n" + "\n".join(failures) + "\n"
        f"by hand: put {', '.join(f'{name}.gz' for name in FILES)} into {str(folder)!r}"
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

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        download: bool = False,
    ) -> None:
        if download:
            fetch(root)
        super().__init__(*load(root, train), transform, target_transform)
        self.root = root
        self.train = train
