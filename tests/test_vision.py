"""microgradnet.vision: the data sets and transforms by torchvision's names."""

import numpy as np
import pytest
from small_mnist import write

import microgradnet as mg
from microgradnet.utils.data import DataLoader
from microgradnet.vision import datasets, transforms
from microgradnet.vision.image import Image

T = transforms
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 8), np.uint8)
COLOUR = RNG.integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with a small MNIST and a small Fashion-MNIST."""
    write(tmp_path, monkeypatch)
    return tmp_path


@pytest.mark.parametrize("kind", [datasets.MNIST, datasets.FashionMNIST])
def test_an_example_is_an_image_and_an_int(root, kind):
    data = kind(root, train=True, download=True)  # all is there: nothing is fetched
    image, label = data[3]
    assert isinstance(image, Image) and image.size == (28, 28) and image.mode == "L"
    assert np.array_equal(np.asarray(image), data.data[3].numpy())
    assert type(label) is int and label == data.targets[3].item()
    assert len(data) == 40 and len(kind(root, train=False)) == 10
    assert data.class_to_idx[data.classes[4]] == 4
    np.asarray(image)[0, 0] ^= 255
    assert np.asarray(data[3][0])[0, 0] != np.asarray(image)[0, 0]  # an image is a copy
    assert data[-1][1] == data.targets[-1].item()
    with pytest.raises(IndexError):
        data[40]


def test_the_pipeline_of_the_tutorials(root):
    data = datasets.FashionMNIST(
        root=root, train=True, download=True, transform=T.ToTensor(),
        target_transform=T.Lambda(lambda y: mg.zeros(10, dtype=mg.float).scatter_(0, mg.tensor(y), value=1)),
    )  # fmt: skip
    X, y = next(iter(DataLoader(data, batch_size=16, shuffle=True, num_workers=1, pin_memory=True)))
    assert X.shape == (16, 1, 28, 28) and X.dtype == mg.float32 and 0 <= X.min() and X.max() <= 1
    assert y.shape == (16, 10) and mg.equal(y.sum(1), mg.ones(16))


def test_the_repr_is_torchvisions(root):
    transform = T.Compose([T.ToTensor(), T.Normalize((0.1307,), (0.3081,))])
    assert repr(datasets.MNIST(root, train=False, transform=transform)) == (
        f"Dataset MNIST\n    Number of datapoints: 10\n    Root location: {root}\n    Split: Test\n"
        "    StandardTransform\n"
        "Transform: Compose(\n               ToTensor()\n"
        "               Normalize(mean=(0.1307,), std=(0.3081,))\n           )"
    )


def test_to_tensor_scales_bytes_and_keeps_the_rest():
    x = T.ToTensor()(GREY)
    assert x.shape == (1, 6, 8) and x.dtype == mg.float32
    assert np.array_equal(x.numpy()[0], GREY.astype(np.float32) / 255)
    assert T.ToTensor()(COLOUR).shape == (3, 6, 8)
    assert np.array_equal(T.ToTensor()(Image(COLOUR)).numpy()[2], COLOUR[:, :, 2].astype(np.float32) / 255)
    halves = GREY / 2
    assert T.ToTensor()(halves).dtype == mg.float64 and np.array_equal(T.ToTensor()(halves).numpy()[0], halves)
    assert T.PILToTensor()(Image(GREY)).dtype == mg.uint8
    for wrong in ([[1, 2]], mg.ones(2, 2)):
        with pytest.raises(TypeError, match="ToTensor.* expects a picture or an ndarray"):
            T.ToTensor()(wrong)
    with pytest.raises(ValueError, match="2 or 3 dimensions"):
        T.ToTensor()(np.zeros(3))


def test_images_of_pillow_are_taken():
    pillow = pytest.importorskip("PIL.Image")
    for pixels in (GREY, COLOUR):
        theirs, ours = pillow.fromarray(pixels), Image(pixels)
        assert ours.size == theirs.size and ours.mode == theirs.mode and ours.getbands() == theirs.getbands()
        assert mg.equal(T.ToTensor()(theirs), T.ToTensor()(ours))


def test_normalize():
    x = mg.rand(2, 3, 4, 4)
    before = x.clone()
    y = T.Normalize((0.1, 0.2, 0.3), [1.0, 2.0, 4.0])(x)
    assert mg.allclose(y[:, 1], (x[:, 1] - 0.2) / 2) and mg.equal(x, before)
    assert T.Normalize(0.5, 0.5, inplace=True)(x) is x and mg.allclose(x, before * 2 - 1)
    for wrong, error in [(Image(GREY), TypeError), (mg.ones(1, 2, 2).long(), TypeError), (mg.ones(2, 2), ValueError)]:
        with pytest.raises(error):
            T.Normalize(0.5, 0.5)(wrong)
    with pytest.raises(ValueError, match="division by zero"):
        T.Normalize(0.5, 0.0)(mg.ones(1, 2, 2))


def test_dtypes_are_converted_with_their_range():
    image = mg.tensor([[[0, 128, 255]]], dtype=mg.uint8)
    real = T.ConvertImageDtype(mg.float32)(image)
    assert mg.allclose(real, mg.tensor([[[0.0, 128 / 255, 1.0]]]))
    assert mg.equal(T.ConvertImageDtype(mg.uint8)(real), image)
    assert np.array_equal(np.asarray(T.ToPILImage()(real)), [[0, 128, 255]])


def test_crops_and_flips_move_whole_pixels():
    image = Image(COLOUR)
    assert T.RandomHorizontalFlip(p=1)(image) == Image(COLOUR[:, ::-1])
    assert T.RandomVerticalFlip(p=1)(Image(GREY)) == Image(GREY[::-1])
    assert T.RandomHorizontalFlip(p=0)(image) is image
    mg.manual_seed(0)
    crops = {np.asarray(T.RandomCrop((2, 3))(Image(GREY))).tobytes() for _ in range(200)}
    every = {GREY[i : i + 2, j : j + 3].tobytes() for i in range(5) for j in range(6)}
    assert crops == every
    assert T.RandomCrop(8, padding=2)(mg.ones(3, 6, 8)).shape == (3, 8, 8)
    with pytest.raises(ValueError, match="larger than input image size"):
        T.RandomCrop(9)(image)


def test_resize():
    assert T.Resize((3, 4))(Image(COLOUR)).size == (4, 3)
    assert T.Resize(12)(mg.ones(1, 6, 8)).shape == (1, 12, 16)
    assert mg.allclose(T.Resize(3)(mg.ones(1, 6, 8)), mg.ones(1, 3, 4))


@pytest.mark.torch
def test_resize_as_torch():
    torch = pytest.importorskip("torch")
    x = RNG.random((3, 12, 10)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(x)[None], (7, 5), mode="bilinear", antialias=True)[0]
    np.testing.assert_allclose(T.Resize((7, 5))(mg.tensor(x)).numpy(), expected.numpy(), rtol=1e-5)


def test_what_is_no_image():
    for pixels in (np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8), np.zeros(2, np.uint8)):
        with pytest.raises(TypeError, match="an Image is made of uint8 pixels"):
            Image(pixels)
    with pytest.raises(TypeError, match="should be callable"):
        T.Lambda(3)
    assert repr(Image(GREY)) == "<microgradnet.vision.Image mode=L size=8x6>"
