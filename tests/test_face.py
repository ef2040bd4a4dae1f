"""What scripts ask the package beside tensors and layers: devices, settings, dtypes, typed tensors; and its signatures."""

import os
import subprocess
import sys

import pytest

import microgradnet as mg
from microgradnet import settings

# --- devices --------------------------------------------------------------------------------------------------------


def test_the_ways_scripts_choose_a_device():
    assert (mg.accelerator.current_accelerator().type if mg.accelerator.is_available() else "cpu") == "cpu"
    cuda, mps = mg.cuda.is_available(), mg.backends.mps.is_available()
    device = mg.device("cuda" if cuda else "mps" if mps else "cpu")
    assert mg.ones(2).to(device).device == device == mg.get_default_device()
    assert mg.nn.Linear(2, 2).to(device).weight.is_cpu and not mg.ones(1).is_cuda
    mg.set_default_device("cpu")
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        mg.set_default_device("cuda")
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        mg.ones(2).to(mg.device("cuda"))
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        mg.cuda.current_device()
    assert mg.cuda.device_count() == 0 and mg.cuda.memory_allocated() == 0
    mg.cuda.manual_seed_all(0)
    mg.cuda.empty_cache()


def test_switches_may_be_set():
    import microgradnet.backends.cudnn as cudnn

    cudnn.deterministic, cudnn.benchmark = True, False
    assert mg.backends.cudnn.deterministic is True
    mg.backends.cuda.matmul.allow_tf32 = True
    cudnn.deterministic = mg.backends.cuda.matmul.allow_tf32 = False
    assert mg.set_flush_denormal(True) is False


def test_settings_are_remembered(monkeypatch):
    for counts in (settings._threads, settings._deterministic):
        for key, value in counts.items():
            monkeypatch.setitem(counts, key, value)
    mg.set_num_threads(3)
    mg.set_num_interop_threads(2)
    assert (mg.get_num_threads(), mg.get_num_interop_threads()) == (3, 2)
    with pytest.raises(RuntimeError, match="positive"):
        mg.set_num_threads(0)
    with pytest.raises(TypeError, match="expects an int"):
        mg.set_num_threads(1.5)
    mg.use_deterministic_algorithms(True, warn_only=True)
    assert mg.are_deterministic_algorithms_enabled() and mg.is_deterministic_algorithms_warn_only_enabled()
    monkeypatch.setattr(settings, "_precision", "highest")
    mg.set_float32_matmul_precision("high")
    assert mg.get_float32_matmul_precision() == "high"
    with pytest.raises(RuntimeError, match="'highest', 'high' or 'medium'"):
        mg.set_float32_matmul_precision("low")


def test_compile_decorates_functions_and_takes_what_scripts_give_it():
    model = mg.nn.Linear(2, 2)
    compiled = mg.compile(model, mode="reduce-overhead")
    assert list(compiled.parameters()) == list(model.parameters()) and compiled.in_features == 2
    assert mg.compile(model, disable=True) is model

    @mg.compile
    def double(x):
        return 2 * x

    @mg.compile(fullgraph=True)
    def triple(x):
        return 3 * x

    assert double(2) == 4 and triple(2) == 6
    with pytest.raises(TypeError):
        mg.compile(3)


def test_mixed_precision_is_off():
    optimizer = mg.optim.SGD([w := mg.nn.Parameter(mg.ones(1))], lr=0.5)
    scaler = mg.GradScaler(enabled=False)
    with mg.autocast("cpu", enabled=False):
        loss = (w * 2).sum()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.item() == 0 and scaler.get_scale() == 1.0 and not scaler.is_enabled() and scaler.state_dict() == {}
    with pytest.warns(UserWarning, match="not available"), mg.cuda.amp.autocast():
        pass
    with pytest.warns(UserWarning, match="not available"):
        assert not mg.cuda.amp.GradScaler().is_enabled()
    with pytest.raises(RuntimeError, match="half precision"):
        mg.autocast("cpu", dtype=mg.float16)
    with pytest.raises(RuntimeError, match="half precision"):
        mg.GradScaler("cpu")


def test_what_is_not_here_says_so():
    with pytest.raises(ImportError, match="tensorboardX"):
        from microgradnet.utils.tensorboard import SummaryWriter  # noqa: F401
    for name, reason in [("bfloat16", "float32"), ("complex64", "real"), ("jit", "as it is written"),
                         ("sparse_coo_tensor", "dense"), ("distributed", "one process")]:
        assert not hasattr(mg, name)
        with pytest.raises(AttributeError, match=f"'{name}': .*{reason}"):
            getattr(mg, name)


# --- dtypes ---------------------------------------------------------------------------------------------------------


def test_typed_tensors():
    assert mg.FloatTensor([1, 2]).dtype == mg.float32 and mg.LongTensor([1.9, 2]).tolist() == [1, 2]
    assert mg.FloatTensor(2, 3).shape == mg.ByteTensor(mg.Size([2, 3])).shape == (2, 3)
    assert mg.IntTensor().shape == (0,)
    x = mg.tensor([1.5])
    assert isinstance(x, mg.FloatTensor) and not isinstance(x, mg.LongTensor)
    assert mg.FloatTensor(x).tolist() == [1.5]
    with pytest.raises(TypeError, match="LongTensor.*expects data of int64"):
        mg.LongTensor(x)
    assert x.type() == "microgradnet.FloatTensor" and x.bool().type() == "microgradnet.BoolTensor"
    for wanted in (mg.DoubleTensor, "torch.DoubleTensor", "microgradnet.DoubleTensor", mg.double):
        assert x.type(wanted).dtype == mg.float64
    with pytest.raises(ValueError, match="invalid type: 'foo'"):
        x.type("foo")
    assert mg.typename(x) == "microgradnet.FloatTensor" and mg.typename(3) == "int"
    mg.set_default_tensor_type(mg.DoubleTensor)
    try:
        assert mg.ones(1).dtype == mg.float64
    finally:
        mg.set_default_tensor_type("torch.FloatTensor")


def test_sizes_stay_sizes():
    size = mg.ones(2, 3, 4).shape
    for part, expected in [(size[1:], (3, 4)), (size + (1,), (2, 3, 4, 1)), (size[:1] * 2, (2, 2))]:
        assert isinstance(part, mg.Size) and part == expected
    assert size[0] == 2 and size.numel() == 24 and mg.zeros(size[1:]).shape == (3, 4)


def test_questions_to_a_tensor():
    x = mg.arange(6.0).reshape(2, 3)
    assert mg.is_floating_point(x) and x.is_floating_point() and not mg.is_complex(x) and not x.long().is_complex()
    assert x.is_signed() and not x.bool().is_signed()
    assert not x.is_inference() and x.get_device() == -1 and x.ndimension() == 2 and x.nbytes == 24
    assert x[1:].storage_offset() == 3 and x.pin_memory() is x and not x.is_pinned() and not x.is_sparse
    assert mg.is_nonzero(x[1, 1]) and not mg.is_nonzero(x[0, 0])
    with pytest.raises(RuntimeError, match="ambiguous"):
        mg.is_nonzero(x)
    assert isinstance(x.dtype, mg.dtype) and x.layout == mg.strided


@pytest.mark.torch
def test_limits_and_conversions_of_dtypes_as_torch():
    torch = pytest.importorskip("torch")
    floats = ["float16", "float32", "float64"]
    names = [*floats, "int8", "int16", "int32", "int64", "uint8", "bool"]
    for name in names[:-1]:
        info = "finfo" if name in floats else "iinfo"
        ours, theirs = (getattr(lib, info)(getattr(lib, name)) for lib in (mg, torch))
        shared = [a for a in dir(theirs) if not a.startswith("_") and a != "dtype"]
        assert {a: getattr(ours, a) for a in shared} == pytest.approx({a: getattr(theirs, a) for a in shared}), name
        assert ours.dtype == name
        if not name.startswith("int") or name in ("int8", "int16"):  # larger ones PyTorch prints rounded
            assert repr(ours) == repr(theirs)
    for a in names:
        for b in names:
            expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
            assert str(expected) == f"torch.{mg.promote_types(getattr(mg, a), getattr(mg, b))}", (a, b)
            assert mg.can_cast(getattr(mg, a), getattr(mg, b)) == torch.can_cast(getattr(torch, a), getattr(torch, b))
    with pytest.raises(TypeError):
        mg.finfo(mg.int64)


def test_an_index_that_is_a_number_is_a_vector_of_one():
    one, t = mg.tensor(1), mg.zeros(3)
    assert t.scatter(0, one, value=1).tolist() == t.scatter_add(0, one, mg.tensor(1.0)).tolist() == [0, 1, 0]
    assert t.scatter_reduce(0, one, mg.tensor(1.0), "sum").tolist() == [0, 1, 0]
    assert mg.arange(3.0).gather(0, one).shape == ()
    for call in (lambda: mg.zeros(2, 2).gather(0, one), lambda: mg.zeros(2, 2).scatter(0, one, 1.0)):
        with pytest.raises(RuntimeError, match="dimensions"):
            call()


# --- import ---------------------------------------------------------------------------------------------------------


def test_p84_the_face_is_lazy():
    code = ("import sys, microgradnet as mg; rooms = {f'microgradnet.{n}' for n in ('vision', 'cuda', 'amp', 'typed', "
            "'settings', 'backends')}; print(sorted(rooms & set(sys.modules)))")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert out.stdout.strip() == "[]"
