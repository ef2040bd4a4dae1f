"""PyTorch with microgradnet's random numbers and its pictures, so that one script gives the same losses in both."""

import sys
import types

import microgradnet as mg
from microgradnet.vision import datasets, transforms


def draw_alike(torch, monkeypatch):
    """Let PyTorch draw what microgradnet draws, from microgradnet's default generator."""
    # PyTorch's databases, where a test before this one has imported them, forbid to set a flag.
    monkeypatch.setitem(torch.backends.ContextProp.__set__.__globals__, "flags_frozen", lambda: False)

    def given(ours):
        return torch.from_numpy(ours.numpy().copy())

    def like_ours(name):
        def function(*args, generator=None, requires_grad=False, device=None, dtype=None, **kwargs):
            drawn = given(getattr(mg, name)(*args, **kwargs))
            return (drawn if dtype is None else drawn.to(dtype)).requires_grad_(requires_grad)

        return function

    def like_input(name):
        def function(input, dtype=None, **_):
            return given(getattr(mg, name)(*input.shape)).to(dtype or input.dtype)

        return function

    def in_place(name):
        def method(self, *args, generator=None, **kwargs):
            with torch.no_grad():
                return self.copy_(given(getattr(mg.zeros(*self.shape), name)(*args, **kwargs)))

        return method

    def dropout(input, p=0.5, training=True, inplace=False):
        return input * given(mg.nn.functional.dropout(mg.ones(*input.shape), p, training)) if training else input

    def permuted(self):  # PyTorch's own draws a second permutation at the end of each, and throws it away
        yield from mg.randperm(len(self.data_source)).tolist()

    monkeypatch.setattr(torch.utils.data.RandomSampler, "__iter__", permuted)
    for name in ("rand", "randn", "randint", "randperm"):
        monkeypatch.setattr(torch, name, like_ours(name))
    monkeypatch.setattr(torch.utils.data.dataset, "randperm", like_ours("randperm"))
    for name in ("rand", "randn"):
        monkeypatch.setattr(torch, name + "_like", like_input(name))
    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, name, in_place(name))
    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    monkeypatch.setattr(torch, "manual_seed", mg.manual_seed)


class ToTensor(transforms.ToTensor):
    """A tensor of PyTorch."""

    def __call__(self, pic):
        import torch

        return torch.from_numpy(super().__call__(pic).numpy())


class Normalize(transforms.Normalize):
    """Of a tensor of PyTorch."""

    def __call__(self, tensor):
        import torch

        return torch.from_numpy(super().__call__(mg.tensor(tensor.numpy())).numpy())


class MNIST(datasets.MNIST):
    """With tensors of PyTorch."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        import torch

        self.data, self.targets = (torch.from_numpy(t.numpy()) for t in (self.data, self.targets))

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        image, label = datasets.Image(self.data[index].numpy().copy()), int(self.targets[index])
        return (self.transform(image) if self.transform else image), label


class FashionMNIST(MNIST):
    """With tensors of PyTorch."""

    source, classes = datasets.FashionMNIST.source, datasets.FashionMNIST.classes


def stand_in_for_torchvision(monkeypatch):
    """A module `torchvision` with what the scripts import."""
    parts = {
        "datasets": {"MNIST": MNIST, "FashionMNIST": FashionMNIST},
        "transforms": {"ToTensor": ToTensor, "Normalize": Normalize, "Compose": transforms.Compose,
                       "Lambda": transforms.Lambda},
    }  # fmt: skip
    package = types.ModuleType("torchvision")
    monkeypatch.setitem(sys.modules, "torchvision", package)
    for name, content in parts.items():
        module = types.ModuleType(f"torchvision.{name}")
        module.__dict__.update(content)
        setattr(package, name, module)
        monkeypatch.setitem(sys.modules, module.__name__, module)
