"""weight_norm and spectral_norm by hooks: names, values and gradients of PyTorch, and the way back."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
NORMS = pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
LAYERS = {
    "linear": (lambda lib: lib.nn.Linear(5, 3), (4, 5)),
    "conv": (lambda lib: lib.nn.Conv2d(2, 3, 2), (2, 2, 4, 4)),
    "transposed": (lambda lib: lib.nn.ConvTranspose1d(2, 3, 3), (2, 2, 4)),
}


@pytest.mark.torch
@NORMS
@pytest.mark.parametrize("layer", LAYERS)
def test_it_trains_as_in_torch(norm, layer):
    torch = pytest.importorskip("torch")
    build, shape = LAYERS[layer]
    ours, theirs = (getattr(lib.nn.utils, norm)(build(lib).double()) for lib in (mg, torch))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(t.numpy().copy()) for name, t in ours.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape)
    for lib, module in ((mg, ours), (torch, theirs)):
        optimizer = lib.optim.SGD(module.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            (module(lib.tensor(x)) ** 2).mean().backward()
            optimizer.step()
        module.eval()
        module(lib.tensor(x))
        getattr(lib.nn.utils, f"remove_{norm}")(module)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, t in ours.state_dict().items():
        np.testing.assert_allclose(t.numpy(), theirs.state_dict()[name].numpy(), rtol=1e-10, atol=1e-12, err_msg=name)


@NORMS
def test_removed_it_computes_what_it_did(norm):
    module, x = getattr(nn.utils, norm)(nn.Linear(5, 3)).eval(), mg.randn(2, 5)
    before = module(x)
    assert getattr(nn.utils, f"remove_{norm}")(module) is module
    assert list(module.state_dict()) == ["bias", "weight"] and isinstance(module.weight, nn.Parameter)
    np.testing.assert_allclose(module(x).detach().numpy(), before.detach().numpy(), rtol=1e-5)


def test_lengths_are_g_and_singular_values_at_most_1():
    module = nn.utils.weight_norm(nn.Linear(5, 3), dim=None)
    assert module.weight_g.shape == () and abs(float(mg.linalg.norm(module.weight.detach()) / module.weight_g) - 1) < 1e-6
    module = nn.utils.spectral_norm(nn.Linear(5, 3), n_power_iterations=50)
    module(mg.randn(2, 5))
    assert abs(float(mg.linalg.svdvals(module.weight.detach())[0]) - 1) < 1e-5


@NORMS
def test_errors_name_the_parameter(norm):
    apply, remove = getattr(nn.utils, norm), getattr(nn.utils, f"remove_{norm}")
    with pytest.raises(ValueError, match="no parameter 'wight'"):
        apply(nn.Linear(2, 2), "wight")
    with pytest.raises(RuntimeError, match="has it on its parameter 'weight' already"):
        apply(apply(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="of 'weight' not found in Linear"):
        remove(nn.Linear(2, 2))


def test_it_warns_as_deprecated():
    with pytest.warns(FutureWarning, match="parametrizations.weight_norm"):
        nn.utils.weight_norm(nn.Linear(2, 2))
