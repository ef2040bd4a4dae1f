"""The data sets: IDX files, MNIST and its download, the digits that come with the package, the toy problems."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgradnet.datasets import MNIST, Digits, FashionMNIST, digits, idx, mnist, moons, spirals, xor
from microgradnet.utils.data import DataLoader

# IDX


def idx_file(array):
    """The bytes of an IDX file, written independently of the reader."""
    code = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}[array.dtype.name]
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 5), (0, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_reads_what_was_written(tmp_path, dtype, shape, compress):
    array = np.asarray(np.random.default_rng(0).integers(0, 100, shape)).astype(dtype)
    path = tmp_path / "array"  # gzip is told by the content, so the name says nothing
    path.write_bytes(compress(idx_file(array)))
    found = idx.read(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype and found.dtype.isnative and found.flags.writeable


def test_idx_reads_bytes_written_by_hand():
    content = bytes.fromhex("00000b02 00000001 00000002 0102 ffff".replace(" ", ""))
    np.testing.assert_array_equal(idx.parse(content, "hand"), [[258, -1]])


def test_idx_truncated_anywhere_or_over_long_raises():
    content = idx_file(np.zeros((2, 3), np.int16))
    for length in range(len(content)):
        with pytest.raises(ValueError, match="digits.idx: "):
            idx.parse(content[:length], "digits.idx")
    message = r"digits.idx: expected 24 bytes for shape \(2, 3\) of int16, found 25"
    with pytest.raises(ValueError, match=message):
        idx.parse(content + b"\0", "digits.idx")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found nothing"),
        (b"\x89PNG\r\n\x1a\n", "found 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\0", "found 00 00 0a 01"),
        (b"<html>", "found 3c 68 74 6d"),
    ],
)
def test_idx_foreign_file_raises(tmp_path, content, found):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"foreign: not an IDX file: expected 00 00.*{found}"):
        idx.read(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[:-9],
        lambda c: c[:12],
        lambda c: c[:10] + b"\xff" + c[11:],
        lambda c: c[:-6] + b"wrong!",
        lambda c: c + c[:5],
    ],
)
def test_idx_damaged_gzip_raises(tmp_path, damage):
    path = tmp_path / "damaged.gz"
    path.write_bytes(damage(gzip.compress(idx_file(np.arange(1000, dtype=np.int32)))))
    with pytest.raises(ValueError, match=r"damaged\.gz: expected a whole gzip file"):
        idx.read(path)


@given(st.binary(max_size=40).map(lambda tail: b"\0\0\x08" + tail))
def test_idx_gives_an_array_or_a_value_error(content):
    try:
        assert idx_file(idx.parse(content, "fuzz")) == content
    except ValueError as error:
        assert "fuzz" in str(error)


# MNIST, on stand-ins for its four files


@pytest.fixture
def files(monkeypatch):
    """The content of a small MNIST by file name, its sizes and sums in place of the real ones."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (50, 28, 28), np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 50, np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 20, np.uint8),
    }
    assert list(arrays) == list(mnist.HANDWRITTEN.files)
    content = {name: idx_file(array) for name, array in arrays.items()}
    sums = {name: (len(c), hashlib.sha256(c).hexdigest()) for name, c in content.items()}
    monkeypatch.setattr(mnist.HANDWRITTEN, "files", sums)
    return content


def write(folder, files, compress=gzip.compress, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (name + suffix)).write_bytes(compress(content))


@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
@pytest.mark.parametrize(("compress", "suffix"), [(bytes, ""), (gzip.compress, ".gz")], ids=["plain", "gzip"])
def test_mnist_reads_every_layout(tmp_path, files, folder, compress, suffix):
    write(tmp_path / folder, files, compress, suffix)
    for train, part in [(True, "train"), (False, "t10k")]:
        images, labels = mnist.load(str(tmp_path), train)
        np.testing.assert_array_equal(images, idx.parse(files[f"{part}-images-idx3-ubyte"], part))
        np.testing.assert_array_equal(labels, idx.parse(files[f"{part}-labels-idx1-ubyte"], part))


def test_mnist_dataset_has_torchvisions_shape(tmp_path, files):
    write(tmp_path, files)
    dataset = MNIST(tmp_path, train=False)
    images, labels = mnist.load(tmp_path, train=False)
    assert dataset.data.shape == (20, 28, 28) and dataset.data.dtype == np.uint8
    assert dataset.targets.shape == (20,) and dataset.targets.dtype == np.int64
    assert len(dataset) == 20 and len(dataset.classes) == 10 and dataset.classes[7] == "7 - seven"
    assert dataset.train is False and dataset.root == tmp_path
    image, label = dataset[3]
    np.testing.assert_array_equal(image, images[3])
    assert type(image) is np.ndarray and type(label) is int and label == labels[3]


def test_fashion_mnist_is_known_by_the_md5_of_its_compressed_files(tmp_path, files, monkeypatch):
    packed = {name: gzip.compress(content, mtime=0) for name, content in files.items()}
    sums = {name: (len(files[name]), hashlib.md5(packed[name]).hexdigest()) for name in files}
    monkeypatch.setattr(mnist.FASHION, "files", sums)
    write(tmp_path / "FashionMNIST" / "raw", packed, bytes)
    dataset = FashionMNIST(tmp_path)
    assert len(dataset) == 50 and dataset.classes[9] == "Ankle boot"
    write(tmp_path / "plain", files, bytes, "")  # of a plain file the size alone is known
    assert len(FashionMNIST(tmp_path / "plain", train=False)) == 20
    write(tmp_path / "other", files, lambda content: gzip.compress(content[:-1] + b"!"))
    with pytest.raises(ValueError, match="with MD5 .*delete the file"):
        FashionMNIST(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="FashionMNIST: no train-images.*FashionMNIST"):
        FashionMNIST(tmp_path / "nowhere")


def test_mnist_missing_files_are_named_with_the_ways_out(tmp_path, files):
    write(tmp_path, files)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    assert len(MNIST(tmp_path)) == 50
    with pytest.raises(FileNotFoundError) as error:
        MNIST(tmp_path, train=False)
    for part in ["no t10k-labels-idx1-ubyte ", str(tmp_path), os.path.join("MNIST", "raw"), "download=True"]:
        assert part in str(error.value)
    assert "images" not in str(error.value)


@pytest.mark.parametrize("damage", [lambda c: c[:-1] + bytes([c[-1] ^ 1]), lambda c: c[:-1], lambda c: c + b"\0"])
def test_p78_mnist_wrong_content_is_named_with_both_sums(tmp_path, files, damage):
    name = "train-labels-idx1-ubyte"
    wrong = damage(files[name])
    write(tmp_path, files | {name: wrong})
    with pytest.raises(ValueError, match="delete the file and pass download=True") as error:
        mnist.load(tmp_path)
    for part in [str(tmp_path / f"{name}.gz"), mnist.HANDWRITTEN.files[name][1], hashlib.sha256(wrong).hexdigest()]:
        assert part in str(error.value)


def test_p78_mnist_damaged_gzip_says_what_to_do(tmp_path, files):
    write(tmp_path, files, lambda content: gzip.compress(content)[:-10])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz: .* whole gzip file.*; delete the file"):
        mnist.load(tmp_path)


# MNIST's download, from mirrors on this machine


@pytest.fixture
def mirrors(monkeypatch):
    """Start mirrors: each is given as a function (file name) -> bytes to send, `None` for status 404."""
    servers = []
    monkeypatch.setenv("no_proxy", "*")

    def start(*contents):
        for content in contents:
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler(content))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            servers.append(server)
        urls = tuple(f"http://127.0.0.1:{server.server_port}/mnist/" for server in servers)
        monkeypatch.setattr(mnist.HANDWRITTEN, "mirrors", urls)
        return urls

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def handler(content):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = content(self.path.removeprefix("/mnist/").removesuffix(".gz"))
            if body is None:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(getattr(body, "promised", len(body))))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return Handler


class Interrupted(bytes):
    """The first half of a body, after which the mirror closes the connection."""

    def __new__(cls, body):
        half = super().__new__(cls, body[: len(body) // 2])
        half.promised = len(body)
        return half


def good(files):
    return lambda name: gzip.compress(files[name], 1)


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_p78_download_fetches_all_files_once(tmp_path, files, mirrors):
    requests = []

    def content(name):
        requests.append(name)
        return good(files)(name)

    mirrors(content)
    assert len(MNIST(tmp_path / "new", train=True, download=True)) == 50
    assert len(MNIST(tmp_path / "new", train=False)) == 20  # the training set's download fetched the test set too
    assert left_in(tmp_path / "new") == sorted(os.path.join("MNIST", "raw", f"{name}.gz") for name in files)
    assert requests == list(files)
    MNIST(tmp_path / "new", download=True)
    assert requests == list(files)


def test_p78_download_fetches_only_what_is_missing(tmp_path, files, mirrors):
    write(tmp_path, files)
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    mirrors(good({"train-images-idx3-ubyte": files["train-images-idx3-ubyte"]}))
    assert len(MNIST(tmp_path, download=True)) == 50


BAD = {
    "absent": (lambda files: lambda name: None, "404"),
    "another file": (lambda files: lambda name: gzip.compress(files[name] + b"!"), "SHA-256"),
    "a web page": (lambda files: lambda name: b"<html>log in first</html>", "found 25 bytes"),
    "interrupted": (lambda files: lambda name: Interrupted(gzip.compress(files[name])), "whole gzip file"),
    "silent": (lambda files: lambda name: time.sleep(0.6), "timed out"),
}


@pytest.mark.parametrize("bad", BAD)
def test_p78_download_falls_back_to_the_second_mirror(tmp_path, files, mirrors, monkeypatch, bad):
    monkeypatch.setattr(mnist, "TIMEOUT", 0.3)
    mirrors(BAD[bad][0](files), good(files))
    mnist.fetch(tmp_path)
    np.testing.assert_array_equal(mnist.load(tmp_path)[1], idx.parse(files["train-labels-idx1-ubyte"], ""))


@pytest.mark.parametrize("bad", BAD)
def test_p78_download_that_fails_leaves_nothing_and_lists_each_mirror(tmp_path, files, mirrors, monkeypatch, bad):
    monkeypatch.setattr(mnist, "TIMEOUT", 0.3)
    content, reason = BAD[bad]
    urls = mirrors(content(files), BAD["absent"][0](files))
    with pytest.raises(ConnectionError) as error:
        MNIST(tmp_path, download=True)
    for part in [*urls, reason, "404", "by hand", str(tmp_path / "MNIST" / "raw"), *files]:
        assert part in str(error.value)
    assert left_in(tmp_path) == []


def test_p78_offline_says_so_for_each_mirror(tmp_path, monkeypatch):
    urls = ("http://127.0.0.1:9/one/", "http://127.0.0.1:9/two/")  # nobody listens on this port
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(mnist.HANDWRITTEN, "mirrors", urls)
    with pytest.raises(ConnectionError) as error:
        mnist.fetch(tmp_path)
    assert all(url in str(error.value) for url in urls) and "refused" in str(error.value)


def test_p78_store_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    def replace(*paths):
        raise OSError("no space left")

    path = tmp_path / "file.gz"
    mnist.store(b"old", path)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="no space left"):
        mnist.store(b"new", path)
    assert path.read_bytes() == b"old" and left_in(tmp_path) == ["file.gz"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stderr", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_download_shows_progress_on_a_terminal_only(tmp_path, files, mirrors, monkeypatch, stderr, shown):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", stderr())
    mirrors(good(files))
    mnist.fetch(tmp_path)
    assert ("t10k-labels-idx1-ubyte: 100%" in sys.stderr.getvalue()) is shown
    assert shown or sys.stderr.getvalue() == ""


def test_download_does_without_tqdm(tmp_path, files, mirrors, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    mirrors(good(files))
    assert len(MNIST(tmp_path, download=True)) == 50


def test_p78_p84_import_brings_no_network_and_no_optional_package():
    code = "import sys, microgradnet.datasets; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"urllib.request", "http.client", "ssl", "tqdm", "sklearn", "PIL"} & set(loaded)


# MNIST itself, where this machine has it

needs_mnist = pytest.mark.skipif("MICROGRADNET_MNIST" not in os.environ, reason="MICROGRADNET_MNIST names no folder")


@needs_mnist
def test_mnist_is_the_real_one():
    train = MNIST(os.environ["MICROGRADNET_MNIST"])
    test = MNIST(os.environ["MICROGRADNET_MNIST"], train=False)
    assert train.data.shape == (60000, 28, 28) and test.data.shape == (10000, 28, 28)
    assert train.targets.numpy()[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.targets.numpy()).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    x, y = train.arrays()
    assert x.shape == (60000, 784) and x.dtype == np.float32 and y.dtype == np.int64
    # The mean and deviation everybody normalises MNIST by.
    assert abs(x.mean(dtype=np.float64) - 0.1307) < 5e-5 and abs(x.std(dtype=np.float64) - 0.3081) < 5e-5


# The digits


def test_digits_are_the_1797():
    images, labels = digits.load()
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8
    assert labels.shape == (1797,) and labels.dtype == np.uint8
    assert images.min() == 0 and images.max() == 16
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_those_of_scikit_learn():
    pytest.importorskip("sklearn")
    import make_digits

    for found, expected in zip(digits.load(), make_digits.digits(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_digits_split_is_stratified_and_fixed():
    train, test, whole = Digits(train=True), Digits(train=False), Digits()
    assert (len(train), len(test), len(whole)) == (1437, 360, 1797)
    counts = np.bincount(whole.targets.numpy())
    assert np.abs(np.bincount(test.targets.numpy()) - counts / 5).max() < 1
    both = np.concatenate([train.data.numpy(), test.data.numpy()]).reshape(1797, 64)
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(whole.data.numpy().reshape(1797, 64), axis=0))
    assert np.flatnonzero(digits.split(digits.load()[1]))[:8].tolist() == [0, 2, 4, 17, 21, 26, 28, 31]


def test_digits_labels_belong_to_their_images():
    """The nearest training image has the same label nearly always, which no shifted labels would do."""
    (x, y), (tx, ty) = Digits(train=True).arrays(), Digits(train=False).arrays()
    distance = (x**2).sum(1) - 2 * tx @ x.T
    assert (y[distance.argmin(1)] == ty).mean() > 0.97


def test_dataset_indexing():
    dataset = Digits()
    np.testing.assert_array_equal(dataset[-1][0], dataset[len(dataset) - 1][0])
    assert dataset[np.int64(5)][1] == 5
    assert sum(1 for _ in dataset) == 1797
    with pytest.raises(IndexError):
        dataset[1797]
    with pytest.raises(TypeError, match="slice"):
        dataset[0:1]


def test_dataset_in_a_data_loader():
    dataset = Digits(train=False, transform=lambda image: image.astype(np.float32) / 16)
    images, labels = next(iter(DataLoader(dataset, batch_size=50)))
    x, y = dataset.arrays(flatten=False)
    assert images.shape == (50, 8, 8) and images.dtype == np.float32 and labels.dtype == np.int64
    np.testing.assert_array_equal(images.numpy(), x[:50])
    np.testing.assert_array_equal(labels.numpy(), y[:50])


def test_dataset_transforms():
    dataset = Digits(
        transform=lambda image: (type(image), image.dtype, image.shape), target_transform="label {}".format
    )
    assert dataset[3] == ((np.ndarray, np.uint8, (8, 8)), "label 3")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dataset_arrays(dtype):
    dataset = Digits()
    x, y = dataset.arrays(dtype=dtype)
    np.testing.assert_array_equal(x, dataset.data.numpy().reshape(1797, 64) / dtype(16))
    assert x.dtype == dtype and x.max() == 1 and y.dtype == np.int64
    assert dataset.arrays(flatten=False)[0].shape == (1797, 8, 8)
    dataset.data, dataset.targets = Digits(train=False).data, Digits(train=False).targets
    assert len(dataset) == len(dataset.arrays()[0]) == 360  # what the user put in their place counts


def test_p60_labels_are_in_range(tmp_path, files):
    write(tmp_path, files)
    for dataset in (Digits(), MNIST(tmp_path)):
        labels = dataset.targets.numpy()
        assert labels.min() >= 0 and labels.max() < len(dataset.classes)


def test_p73_no_view_of_the_data_is_given_away():
    dataset, (images, labels) = Digits(transform=lambda image: image.fill(99)), digits.load()
    dataset[0]
    for array in dataset.arrays():
        np.random.default_rng(0).shuffle(array)
    np.testing.assert_array_equal(dataset.data.numpy(), images)
    np.testing.assert_array_equal(dataset.targets.numpy(), labels)


# The toy problems


@pytest.mark.parametrize(("problem", "classes"), [(moons, 2), (spirals, 3)])
def test_toy_sets(problem, classes):
    x, y = problem(90)
    assert x.shape == (90, 2) and x.dtype == np.float32
    assert y.shape == (90,) and y.dtype == np.int64
    assert np.bincount(y.numpy()).tolist() == [90 // classes] * classes


@pytest.mark.parametrize("problem", [moons, spirals])
def test_p74_toy_sets_follow_their_seed_alone(problem):
    def points(seed):
        return problem(20, seed=seed)[0].numpy()

    before = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(points(1), points(1))
    np.testing.assert_array_equal(points(1), points(np.random.default_rng(1)))
    assert (points(1) != points(2)).all()
    rng = np.random.default_rng(1)
    assert (points(rng) != points(rng)).all()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_moons_are_half_circles():
    x, y = (tensor.numpy() for tensor in moons(200, noise=0))
    for label, centre, side in [(0, (0, 0), 1), (1, (1, 0.5), -1)]:
        offset = x[y == label] - centre
        np.testing.assert_allclose(np.hypot(*offset.T), 1, rtol=1e-6)
        assert (side * offset[:, 1] >= -1e-6).all()


def test_spirals_are_turns_of_one_arm():
    x, y = (tensor.numpy() for tensor in spirals(200, classes=4, noise=0))
    radius = np.hypot(*x.T)
    turn = np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi) - radius - y / 4
    np.testing.assert_allclose(turn, np.round(turn), atol=1e-4)
    assert 0 <= radius.min() and 0.9 < radius.max() <= 1


@pytest.mark.parametrize("problem", [moons, spirals])
def test_noise_has_the_deviation_asked_for(problem):
    clean, noisy = (problem(5000, noise=noise)[0].numpy() for noise in (0, 0.5))
    assert abs((noisy - clean).std() - 0.5) < 0.02


def test_xor():
    x, y = xor()
    assert x.dtype == np.float32 and y.dtype == np.int64
    assert [(a != b) for a, b in x.numpy().tolist()] == y.numpy().astype(bool).tolist()
    assert len(set(map(tuple, x.numpy().tolist()))) == 4


@pytest.mark.parametrize("noise", [-0.1, float("nan")])
@pytest.mark.parametrize("problem", [moons, spirals])
def test_toy_sets_refuse_a_noise_that_is_none(problem, noise):
    with pytest.raises(ValueError, match="noise: a standard deviation must be at least 0"):
        problem(10, noise=noise)


def test_spirals_refuse_no_classes():
    with pytest.raises(ValueError, match="spirals: classes must be at least 1, got 0"):
        spirals(10, classes=0)
