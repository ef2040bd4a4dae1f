"""Warnings name the user's line, however deep in the package they are given."""

import ast
import warnings
from pathlib import Path

import pytest

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.nn import functional as F
from microgradnet.nn import init
from microgradnet.utils.data import random_split

X = mg.ones(4, 1)
ROW = mg.zeros(4)
LOSSES = [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.KLDivLoss]


def parameter():
    return nn.Parameter(mg.ones(2))


def optimizer():
    return optim.SGD([parameter()], lr=0.1)


WARNINGS = {
    **{f"shapes in {loss.__name__}": lambda loss=loss: loss()(X, ROW) for loss in LOSSES},
    "shapes, as a function": lambda: F.mse_loss(X, ROW),
    "shapes, in a container": lambda: nn.ModuleList([nn.MSELoss()])[0](X, ROW),
    "size_average": lambda: F.l1_loss(X, X, size_average=False),
    "size_average of a module": lambda: nn.MSELoss(size_average=False),
    "size_average of a subclass": lambda: nn.NLLLoss(reduce=False),
    "NLLLoss2d": lambda: nn.NLLLoss2d(),
    "kl_div": lambda: F.kl_div(X, X),
    "KLDivLoss": lambda: nn.KLDivLoss()(X, X),
    "softmax": lambda: F.softmax(X),
    "Softmax": lambda: nn.Softmax()(X),
    "log_softmax, in a container": lambda: nn.Sequential(nn.Sequential(nn.LogSoftmax()))(X),
    "grid_sample": lambda: F.grid_sample(mg.ones(1, 1, 2, 2), mg.zeros(1, 2, 2, 2)),
    "affine_grid": lambda: F.affine_grid(mg.ones(1, 2, 3), (1, 1, 2, 2)),
    "upsample": lambda: F.upsample(mg.ones(1, 1, 2), 4),
    "upsample_nearest": lambda: F.upsample_nearest(mg.ones(1, 1, 2, 2), 4),
    "upsample_bilinear": lambda: F.upsample_bilinear(mg.ones(1, 1, 2, 2), 4),
    "dropout2d": lambda: F.dropout2d(mg.ones(2, 2, 2)),
    "Dropout2d": lambda: nn.Dropout2d()(mg.ones(2, 2, 2, 2, 2)),
    "Dropout3d": lambda: nn.Sequential(nn.Dropout3d())(mg.ones(2, 2)),
    "LSTM": lambda: nn.LSTM(2, 2, dropout=0.5),
    "Hardtanh": lambda: nn.Hardtanh(min_value=-2),
    "InstanceNorm": lambda: nn.InstanceNorm1d(3)(mg.ones(2, 4, 5)),
    "weight_norm": lambda: nn.utils.weight_norm(nn.Linear(2, 2)),
    "trunc_normal_": lambda: init.trunc_normal_(mg.ones(2), mean=10),
    "an older name": lambda: init.uniform,
    "nothing to fill": lambda: init.kaiming_uniform_(mg.ones(0, 2)),
    "a layer of nothing": lambda: nn.Linear(0, 2),
    "grad of no leaf": lambda: (parameter() * 2).grad,
    "a tensor of a tensor": lambda: mg.tensor(parameter()),
    "a tensor of tensors": lambda: mg.tensor([[parameter()], [parameter()]]),
    "a parameter twice": lambda: optim.Adam([parameter()] * 2),
    "a parameter twice, later": lambda: optimizer().add_param_group({"params": [parameter()] * 2}),
    "no gradient": lambda: optimizer().step(),
    "a scheduler first": lambda: optim.lr_scheduler.StepLR(optimizer(), 1).step(),
    "an empty split": lambda: random_split(range(3), [0.99, 0.01]),
    "gradcheck": lambda: mg.autograd.gradcheck(lambda x: x * 2, parameter(), eps=1e-3, atol=1e-2),
    "autocast": lambda: mg.amp.autocast("cuda"),
    "GradScaler": lambda: mg.amp.GradScaler(),
}  # fmt: skip


def given(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return caught


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_names_the_line_of_the_call(name):
    call = WARNINGS[name]
    caught = given(call)
    assert caught, "no warning"
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, call.__code__.co_firstlineno)}


def test_in_a_module_of_the_user_it_is_the_line_there():
    class Net(nn.Module):
        def forward(self, x):
            return F.softmax(x)

    (warning,) = given(lambda: nn.Sequential(nn.Identity(), Net())(X))
    assert (warning.filename, warning.lineno) == (__file__, Net.forward.__code__.co_firstlineno + 1)


def test_an_import_is_a_line_too():
    def load():
        from microgradnet.nn.init import xavier_normal  # noqa: F401

    caught = given(load)
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, load.__code__.co_firstlineno + 1)}


def test_filters_know_the_module_and_by_default_a_line_speaks_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", module=__name__)
        F.softmax(X)
        assert not caught
        warnings.resetwarnings()
        warnings.simplefilter("default")
        for _ in range(3):
            F.log_softmax(X)
        assert len(caught) == 1


def calls_of_warn():
    """(file, line, the longest piece of the text) of each warning in the package's sources."""
    for file in Path(mg.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "warn" and file.name != "callers.py":
                yield file.name, node.lineno, None
            if isinstance(called, ast.Name) and called.id == "warn":
                texts = [c.value for c in ast.walk(node.args[0]) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
                if texts:  # those of lints have their own tests
                    yield file.name, node.lineno, max(texts, key=len)


def test_all_warnings_of_the_package_are_tried_here():
    said = "\n".join(str(w.message) for call in WARNINGS.values() for w in given(call))
    sources = list(calls_of_warn())
    assert len(sources) > 20 and not [source for source in sources if source[2] is None], "callers.warn names the line"
    missing = [source for source in sources if source[2] not in said]
    assert not missing
