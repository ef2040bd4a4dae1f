"""PyTorch's own module database, on our side: whether our module of the same name agrees.

    python tests/moduledb.py                  every module in scope, one line each that does not agree, and a summary
    python tests/moduledb.py RNN Norm         those whose name contains one of the words, all lines
    python tests/moduledb.py =nn.RNN -v       the module of exactly this name, with the traceback of an error

Run it in the repository's root with PYTHONPATH=. and PyTorch 2.13 beside it. Both modules are built from the database's own
constructor arguments, and those of MORE; state_dict keys, parameter names and printed forms must be equal, the weights travel from theirs to
ours, and then outputs, buffers, gradients and second gradients for inputs and parameters are compared in float64, in
training and in evaluation mode where these differ.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from judge import Disagreement, OutOfScope, Translation, Verdict, judge, report, run, same

import microgradnet as mg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import module_db

torch.set_num_threads(1)

OUT_OF_SCOPE = {
    "a module that takes its sizes from the first input": "LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
}
EXPLAINED: dict[str, str] = {}  # those in scope that do not agree, and why
MODULES = {info.name: info for info in module_db}
TOLERANCES = {"nn.Hardsigmoid": 1e-6}  # PyTorch's gradient is 1/6 rounded to float32


# Modules and forms that the database lacks: the constructor, and the shapes of what is passed.
MORE: list[tuple[Callable, tuple]] = [
    (lambda nn: nn.AlphaDropout(0.3), ((4, 3),)),
    (lambda nn: nn.Dropout(0.3), ((4, 3),)),
    (lambda nn: nn.Dropout1d(0.3), ((4, 3, 2),)),
    (lambda nn: nn.Dropout2d(0.3), ((2, 3, 4, 4),)),
    (lambda nn: nn.Dropout3d(), ((2, 3, 2, 2, 2),)),
    (lambda nn: nn.FeatureAlphaDropout(), ((2, 3, 4),)),
    (lambda nn: nn.ChannelShuffle(2), ((2, 4, 3, 3),)),
    (lambda nn: nn.PixelShuffle(2), ((2, 8, 3, 3),)),
    (lambda nn: nn.PixelUnshuffle(2), ((2, 3, 4, 6),)),
    (lambda nn: nn.Identity(3, a=1), ((2, 3),)),
    (lambda nn: nn.Hardsigmoid(), ((4, 5),)),
    (lambda nn: nn.RReLU(), ((4, 5),)),
    (lambda nn: nn.CosineSimilarity(), ((4, 5), (4, 5))),
    (lambda nn: nn.CosineSimilarity(dim=2, eps=1e-3), ((2, 3, 4), (2, 3, 4))),
    (lambda nn: nn.PairwiseDistance(), ((4, 5), (4, 5))),
    (lambda nn: nn.PairwiseDistance(1, keepdim=True), ((4, 5), (5,))),
    (lambda nn: nn.Flatten(), ((2, 3, 4),)),
    (lambda nn: nn.Flatten(0, 1), ((2, 3, 4),)),
    (lambda nn: nn.Unflatten(1, (2, 3)), ((2, 6, 4),)),
    (lambda nn: nn.Unfold(2, stride=2), ((2, 3, 4, 6),)),
    (lambda nn: nn.Unfold((2, 3), 2, 1, (1, 2)), ((2, 3, 8, 7),)),
    (lambda nn: nn.Fold((4, 5), 2), ((2, 8, 12),)),
    (lambda nn: nn.Fold(6, (2, 3), dilation=1, padding=1, stride=2), ((2, 12, 12),)),
    (lambda nn: nn.TripletMarginLoss(), ((4, 5), (4, 5), (4, 5))),
    (lambda nn: nn.TripletMarginLoss(margin=0.5, p=1.0, swap=True, reduction="none"), ((4, 5), (4, 5), (4, 5))),
    (lambda nn: nn.TripletMarginWithDistanceLoss(margin=2.0, swap=True), ((4, 5), (4, 5), (4, 5))),
    (lambda nn: nn.Upsample(scale_factor=2), ((1, 2, 3, 4),)),
    (lambda nn: nn.Upsample((5, 7), mode="bilinear"), ((1, 2, 3, 4),)),
    (lambda nn: nn.Upsample(scale_factor=1.5, mode="bicubic", align_corners=True), ((1, 2, 4, 5),)),
    (lambda nn: nn.Upsample(scale_factor=2, mode="linear"), ((1, 2, 3),)),
    (lambda nn: nn.Upsample(size=(3, 4, 5), mode="trilinear", align_corners=False), ((1, 2, 3, 2, 2),)),
    (lambda nn: nn.UpsamplingNearest2d(scale_factor=2), ((1, 2, 3, 4),)),
    (lambda nn: nn.UpsamplingBilinear2d((5, 5)), ((1, 2, 3, 4),)),
    (lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0), 2), ((3, 2, 8), (4, 2, 8))),
    (lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True), 2, nn.LayerNorm(8)), ((2, 3, 8), (2, 4, 8))),
    (lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 2, nn.LayerNorm(8)), ((3, 2, 8),)),
    (lambda nn: nn.TransformerEncoderLayer(8, 2, 16), ((3, 2, 8),)),
    (lambda nn: nn.MultiheadAttention(8, 2, dropout=0.3), ((3, 2, 8), (3, 2, 8), (3, 2, 8))),
    (lambda nn: nn.RNN(3, 4, 2, dropout=0.5), ((5, 2, 3),)),
    (lambda nn: nn.LSTM(3, 4, 2, dropout=0.2, bidirectional=True), ((5, 2, 3),)),
    (lambda nn: nn.GRU(3, 4, 2, batch_first=True), ((2, 5, 3),)),
    (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2), nn.Tanh())), ((5, 3),)),
    (lambda nn: nn.Conv2d(2, 4, 3, padding="same", padding_mode="circular", groups=2), ((1, 2, 5, 5),)),
    (lambda nn: nn.Conv1d(2, 4, 3, padding=2, padding_mode="reflect"), ((2, 2, 6),)),
    (lambda nn: nn.Conv2d(2, 4, (3, 2), padding=(1, 0), padding_mode="replicate", dilation=(1, 2)), ((1, 2, 5, 5),)),
    (lambda nn: nn.BatchNorm2d(3, momentum=None), ((4, 3, 2, 2),)),
    (lambda nn: nn.BatchNorm1d(3, affine=False, track_running_stats=False), ((4, 3),)),
]


def reason(name: str) -> str | None:
    """Why a module is out of scope; None for those in scope."""
    return next((why for why, names in OUT_OF_SCOPE.items() if name.removeprefix("nn.") in names.split()), None)


class Case(NamedTuple):
    """One way of building and calling a module."""

    theirs: torch.nn.Module
    ours: Callable[[Translation], mg.nn.Module]
    args: tuple
    kwargs: dict
    text: str
    second: bool = True
    values: bool = True  # False where it draws


def draws(module: torch.nn.Module) -> bool:
    """Whether a call of it is random."""

    def rate(m: torch.nn.Module) -> float:
        chance = m.p if "Dropout" in type(m).__name__ else getattr(m, "dropout", 0.0)
        return 1.0 if isinstance(m, torch.nn.RReLU) else 0.0 if isinstance(chance, torch.nn.Module) else chance

    return any(rate(m) for m in module.modules() if m.training)


def build(constructor: Callable) -> torch.nn.Module:
    """Their module, in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return constructor().to(torch.float64)


def of_the_database(info: Any) -> Iterator[Case]:
    """The database's own cases of a module."""
    for training in (True, False) if info.train_and_eval_differ else (True,):
        torch.manual_seed(0)
        for sample in info.module_inputs_func(info, "cpu", torch.float64, True, training):
            if sample.forward_input is None:
                continue
            args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
            if kwargs.get("options") is not None:  # saves memory: with the plain form's values, its gradient cannot be recorded
                continue
            theirs = build(lambda: info.module_cls(*args, **kwargs)).train(training)
            ours = lambda t, args=args, kwargs=kwargs: getattr(mg.nn, info.module_cls.__name__)(*t(args), **t(kwargs))
            text = f"{sample.desc}: {args}, {kwargs}, training={training}"
            yield Case(theirs, ours, sample.forward_input.args, sample.forward_input.kwargs, text, info.supports_gradgrad)


def of_our_own(name: str) -> Iterator[Case]:
    """The cases of MORE of a module."""
    for number, (constructor, shapes) in enumerate(MORE):
        for training in (True, False):
            torch.manual_seed(number)
            theirs = build(lambda: constructor(torch.nn)).train(training)
            if f"nn.{type(theirs).__name__}" == name:
                args = tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
                text = f"case {number}, training={training}"
                yield Case(theirs, lambda _, constructor=constructor: constructor(mg.nn), args, {}, text, values=not draws(theirs))


NAMES = list(dict.fromkeys([*MODULES, *(f"nn.{type(build(lambda: f(torch.nn))).__name__}" for f, _ in MORE)]))
IN_SCOPE = [name for name in NAMES if reason(name) is None]


def verdict(name: str, constructor: Callable | None = None, verbose: bool = False) -> Verdict:
    """What comes out for one module; `constructor` stands in for ours."""
    if constructor is None and not hasattr(mg.nn, name.removeprefix("nn.")):
        return Verdict("missing")
    cases = [*(of_the_database(MODULES[name]) if name in MODULES else ()), *of_our_own(name)]
    judged = 0
    for case in cases:
        try:
            judge_module(name, case._replace(ours=lambda t: constructor()) if constructor else case)
            judged += 1
        except OutOfScope:
            continue
        except Disagreement as found:
            if verbose:
                traceback.print_exception(found.__cause__ or found)
            return Verdict(found.verdict.kind, f"{found.verdict.message} -- {case.text}")
    return Verdict("agrees", f"{judged} cases") if judged else Verdict("error", "no case could be translated")


def judge_module(name: str, case: Case) -> None:
    """Compare one module built and called in one way."""
    translation, theirs = Translation(), case.theirs
    ours = run(lambda: case.ours(translation).to(mg.float64).train(theirs.training))
    same(list(ours.state_dict()), list(theirs.state_dict()), "wrong value", "the list of state_dict's keys")
    same([n for n, _ in ours.named_parameters()], [n for n, _ in theirs.named_parameters()], "wrong value", "the list of parameters")
    same(repr(ours), repr(theirs), "wrong value", "the printed form")
    run(ours.load_state_dict, translation({key: value.detach() for key, value in theirs.state_dict().items()}))
    for theirs_p, ours_p in zip(theirs.parameters(), ours.parameters()):
        translation.leaves.append((theirs_p, ours_p))
    judge(ours, theirs, translation, case.args, case.kwargs, second=case.second, values=case.values, tolerance=TOLERANCES.get(name))
    for key, value in theirs.state_dict().items():
        same(ours.state_dict()[key], value, "wrong value", f"{key} after the call")


def chosen(words: list[str]) -> list[str]:
    """The names asked for on the command line, in scope or not; without words, those in scope."""
    if not words:
        return IN_SCOPE
    return [n for n in NAMES if any(w in n if w[0] != "=" else w[1:] == n for w in words)]


def main(arguments: list[str] | None = None) -> None:
    """The report of the command line."""
    parser = argparse.ArgumentParser(description="Our modules against PyTorch's module database.")
    parser.add_argument("names", nargs="*", help="parts of names; =name for exactly this one")
    parser.add_argument("-v", "--verbose", action="store_true", help="with the traceback of an error")
    options = parser.parse_args(arguments)
    verdicts = {}
    for name in chosen(options.names):
        verdicts[name] = found = verdict(name, verbose=options.verbose)
        if options.names or found.kind != "agrees":
            why = reason(name)
            print(f"{found.kind:22} {name:30} {found.message}{f'  [out of scope: {why}]' if why else ''}", flush=True)
    print(report(verdicts))


if __name__ == "__main__":
    sys.exit(main())
