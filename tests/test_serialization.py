"""Saving and loading: what comes back, what is refused, and what is left when something goes wrong."""

import io
import math
import os
import pickle
import stat
import zipfile
from collections import Counter, OrderedDict, defaultdict, namedtuple
from pathlib import Path

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn, random, serialization
from microgradnet.serialization import CheckpointError, load, load_checkpoint, save, save_checkpoint


def round_trip(obj, **kwargs):
    file = io.BytesIO()
    save(obj, file)
    file.seek(0)
    return load(file, **kwargs)


def saved(obj):
    file = io.BytesIO()
    save(obj, file)
    return file.getvalue()


def same(a, b):
    """Whether two nested data are the same, in types, order, dtypes, shapes and values; a nan is the same as a nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, mg.Tensor):
        return a.requires_grad == b.requires_grad and same(a.array, b.array)
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or a != a and b != b


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True), (1, 1.0), ([1], (1,)), ([1], [1, 2]), ({1: 2}, {1.0: 2}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({}, OrderedDict()), (mg.ones(2), mg.ones(2, requires_grad=True)), (mg.ones(2), mg.ones(2, 1)),
        (mg.ones(2), mg.zeros(2)), (np.ones(1), np.ones(1, np.float32)), (0.0, math.nan), ((), mg.Size()),
    ],
)  # fmt: skip
def test_the_comparison_tells_apart(a, b):
    assert same(a, a) and same(b, b) and not same(a, b)


# --- what comes back ------------------------------------------------------------------------------------------------

DATA = {
    "scalars": [0, -1, 2**70, True, False, None, "", "a", "ünïcödé \n\0 \ud800", 1.5, -0.0, 1e-320, 0.1],
    "not finite": [math.nan, math.inf, -math.inf],
    "empty": [[], (), {}, OrderedDict(), mg.Size(), mg.tensor([])],
    "keys": {"a": 1, 1: 2, 2.5: 3, None: 5, "1": 6, math.nan: 7, "": 8},
    "true keys": {True: 1, False: 2},
    "nested": [[{"a": ({"b": [OrderedDict(z=1, a=(2,))]},)}]],
    "size": mg.ones(2, 3).shape,
    "dtypes": [mg.float32, mg.int64, mg.bool, np.dtype(">f8"), np.dtype("U3")],
    "numpy scalars": [np.float32(1.5), np.float64(1.5), np.int8(3), np.bool_(True), np.str_("a")],
    "tensors": [mg.ones(2, 3), mg.ones(2, requires_grad=True), mg.tensor(1.5), mg.zeros(0, 3), mg.tensor([True]),
                mg.tensor([1, 2], dtype=mg.uint8), mg.tensor([math.nan, math.inf], dtype=mg.float16),
                mg.arange(6.0).reshape(2, 3).T, mg.ones(3).sum()],
    "parameter": nn.Parameter(mg.ones(2)),
    "frozen parameter": nn.Parameter(mg.ones(2), requires_grad=False),
    "arrays": [np.arange(3.0), np.array(["a", "bc"]), np.arange(6).reshape(2, 3).T, np.ones((2, 2), order="F"),
               np.array([1j]), np.arange(4)[::-2], np.zeros(2, [("x", "f4"), ("y", "i2")])],
    "awkward names": {"a.b": mg.ones(1), "a": {"b": mg.zeros(1)}, "structure.json": mg.ones(2), "file": mg.ones(3),
                      "../x/y\\z:\0": mg.ones(4), "\ud800": mg.ones(5), "é" * 300: mg.ones(6), "": mg.ones(7)},
}  # fmt: skip


@pytest.mark.parametrize("obj", DATA.values(), ids=DATA)
def test_round_trip(obj):
    assert same(round_trip(obj), obj)


def test_a_result_comes_back_as_a_leaf():
    y = round_trip(mg.ones(2, requires_grad=True) * 2)
    assert y.requires_grad and y.is_leaf and y.tolist() == [2, 2]


def test_a_deep_one_comes_back():
    obj = mg.ones(1)
    for _ in range(30):
        obj = {"a": [(obj,)]}
    assert same(round_trip(obj), obj)


def test_what_is_shared_stays_shared():
    x, array = mg.ones(2), np.ones(3)
    a, b, c, d, e = round_trip([x, {"again": x}, x.detach(), array, mg.from_numpy(array)])
    assert a is b["again"]
    assert c is not a and np.shares_memory(c.array, a.array)
    assert np.shares_memory(d, e.array)
    assert not np.shares_memory(a.array, d)


def test_what_is_loaded_can_be_written_to():
    assert all(array.flags.writeable for array in round_trip([np.ones(2), np.ones((2, 2), order="F")]))


def test_a_state_dict_is_readable_with_numpy_alone(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    save(model.state_dict(), tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as archive:
        assert set(archive.files) == {"structure.json", *model.state_dict()}
        np.testing.assert_array_equal(archive["0.weight"], model[0].weight.detach())


def test_the_same_data_give_the_same_bytes():
    assert saved(DATA["nested"]) == saved(DATA["nested"])
    assert saved({"w": mg.ones(3)}) == saved({"w": mg.ones(3)})


def test_paths_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("plain", tmp_path / "with.pt", str(tmp_path / "ü.npz")):
        save([1], path)
        assert load(path) == [1]
    with open("file", "wb") as file:
        save([2], file)
    with open("file", "rb") as file:
        assert load(file) == load("file") == [2]
    assert sorted(os.listdir()) == ["file", "plain", "with.pt", "ü.npz"]  # exactly as given, and nothing else


def test_map_location():
    for where in (None, "cpu", mg.device("cpu"), lambda storage, location: storage):
        assert round_trip([1], map_location=where) == [1]
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        round_trip([1], map_location="cuda")


# --- what is refused ------------------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")


class Counted(int):
    pass


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"optimizer": {"hook": lambda: 0}}, r"obj\['optimizer'\]\['hook'\], a function"),
        ([1, (2, {3: object()})], r"obj\[1\]\[1\]\[3\], a object"),
        (nn.Linear(1, 1), r"obj, a Linear: save its state_dict\(\), and load it with load_state_dict\(\)"),
        ([random.Generator()], r"obj\[0\], a Generator: save its get_state\(\)"),
        ([np.array([None])], r"obj\[0\], a ndarray"),
        ([Point(1, 2)], r"obj\[0\], a Point: convert it to a plain tuple"),
        (defaultdict(list), "obj, a defaultdict: convert it to a plain dict"),
        (Counter(), "obj, a Counter: convert it to a plain dict"),
        (Counted(3), "obj, a Counted: convert it to a plain int"),
        (np.ma.masked_array([1.0]), "obj, a MaskedArray: convert it to a plain ndarray"),
        ({1, 2}, "obj, a set: tensors, arrays"),
        (b"1", "obj, a bytes"),
        (1j, "obj, a complex"),
        ({(1, 2): 3}, r"the key \(1, 2\) of obj: use str"),
        ({"a": {np.int64(1): 3}}, r"the key .*1.* of obj\['a'\]"),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_place(obj, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match=rf"save\(\): cannot store {message}"):
        save(obj, path)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_data_that_contain_themselves_are_refused():
    obj = [1]
    obj.append(obj)
    with pytest.raises(TypeError, match="contains itself"):
        saved(obj)


def test_places_to_save_in_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of .*missing.*create it"):
        save([1], tmp_path / "missing" / "file")
    with pytest.raises(IsADirectoryError):
        save([1], tmp_path)
    with open(tmp_path / "text", "w") as file, pytest.raises(TypeError, match="mode 'wb', got a file opened as text"):
        save([1], file)
    with open(tmp_path / "text") as file, pytest.raises(TypeError, match="mode 'rb', got a file opened as text"):
        load(file)
    for call in (lambda: save([1], 3), lambda: load(3)):
        with pytest.raises(TypeError, match="expects a path or a file.*got int"):
            call()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.ones(2))
    return file.getvalue()


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, text in members.items():
            made.writestr(name.replace("_", "."), text)
    return file.getvalue()


def structure(content):
    return f'{{"format": "microgradnet 1", "content": {content}}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"some text\n", "is no checkpoint of microgradnet: it begins with b'some text"),
        (pickle.dumps([1]), "is a pickle, and loading it could run any code"),
        (npz(a=np.ones(2)), "holds plain arrays: read them with numpy.load"),
        (npy(), "is a single array: read it with numpy.load"),
        (archive(model_data_pkl="x"), "is a checkpoint of PyTorch.*tensor.numpy"),
        (archive(readme_txt="x"), "is an archive, but no checkpoint of microgradnet"),
        (archive(), "is an archive, but no checkpoint of microgradnet"),
        (archive(structure_json="{"), "is damaged: JSONDecodeError"),
        (archive(structure_json="[]"), "is damaged: TypeError"),
        (archive(structure_json='{"format": "microgradnet 2", "content": 1}'), "is in the format 'microgradnet 2'"),
        (archive(structure_json=structure('{"set": []}')), "holds a 'set'"),
        (archive(structure_json=structure('{"_class__": []}')), "holds a '_class__'"),
        (archive(structure_json=structure('{"array": {"member": "a"}}')), "is damaged: KeyError"),
        (archive(structure_json=structure('{"a": 1, "b": 2}')), "is damaged: ValueError"),
        (saved({"a": mg.ones(2)})[:-10], "is truncated or damaged"),
    ],
)
def test_foreign_and_damaged_files_are_named_with_what_is_wrong(content, message, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"load\(\): '.*x\.pt' {message}"):
        load(path)
    with pytest.raises(CheckpointError, match=rf"load\(\): 'BytesIO' {message}"):
        load(io.BytesIO(content))


@pytest.mark.torch
def test_a_file_of_torch_is_named_as_such(tmp_path):
    torch = pytest.importorskip("torch")
    for kwargs in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save({"a": torch.ones(2)}, tmp_path / "x.pt", **kwargs)
        with pytest.raises(CheckpointError, match="PyTorch" if not kwargs else "pickle"):
            load(tmp_path / "x.pt")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trap",)


def test_p76_loading_never_unpickles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trap = np.array([Trap()])
    member = io.BytesIO()
    np.lib.format.write_array(member, trap, allow_pickle=True)
    ours = archive(structure_json=structure('{"array": {"member": "a"}}'), a_npy=member.getvalue())
    for content in (pickle.dumps(Trap()), npz(a=trap), ours):
        for weights_only in (True, False):
            with pytest.raises(CheckpointError):
                load(io.BytesIO(content), weights_only=weights_only)
    save(Trap(), "pickled", pickle_module=pickle)
    with pytest.raises(CheckpointError, match="holds a pickled object.*weights_only=False"):
        load("pickled")
    assert not os.path.exists("trap")
    load("pickled", weights_only=False)  # which is what the trap would have done
    assert os.path.exists("trap")


# --- damage ---------------------------------------------------------------------------------------------------------

SMALL = {"w": mg.tensor([1.0, 2.0]), "n": [1, "a", math.nan], "b": mg.tensor([3], requires_grad=False)}


def loads_right_or_says_no(content):
    """Whether damaged content loads as SMALL; the only error may be CheckpointError."""
    try:
        result = load(io.BytesIO(content))
    except CheckpointError:
        return False
    assert same(result, SMALL)
    return True


def test_every_truncation_is_noticed():
    content = saved(SMALL)
    assert loads_right_or_says_no(content)
    assert not any(loads_right_or_says_no(content[:n]) for n in range(len(content)))


def test_every_bit_that_flips_is_noticed_or_does_no_harm():
    content = saved(SMALL)
    harmless = 0
    for position, byte in enumerate(content):
        for mask in (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF):
            damaged = content[:position] + bytes([byte ^ mask]) + content[position + 1 :]
            harmless += loads_right_or_says_no(damaged)
    assert harmless < 9 * len(content) / 2  # those in dates and the like


def test_a_large_array_cut_short_by_its_header_is_noticed():
    content = saved(mg.arange(5000.0))
    assert content.count(b"(5000,)") == 1
    with pytest.raises(CheckpointError, match="is damaged: BadZipFile"):
        load(io.BytesIO(content.replace(b"(5000,)", b"(1000,)")))


def test_random_damage_is_noticed_or_does_no_harm():
    content = saved(SMALL)
    rng = np.random.default_rng(1)
    for _ in range(2000):
        damaged = bytearray(content)
        for position in rng.integers(len(content), size=rng.integers(1, 20)):
            damaged[position] = rng.integers(256)
        if rng.random() < 0.3:
            start, stop = sorted(rng.integers(len(content), size=2))
            del damaged[start:stop]
        loads_right_or_says_no(bytes(damaged))


def test_random_bytes_are_no_checkpoint():
    rng = np.random.default_rng(2)
    for start in (b"", b"PK\x03\x04", b"\x80\x04", b"\x93NUMPY", serialization._PICKLED):
        for n in (0, 1, 30, 1000):
            with pytest.raises(CheckpointError):
                load(io.BytesIO(start + rng.bytes(n)), weights_only=bool(n % 2))


@pytest.mark.parametrize("stage", ["write_array", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_p76_an_interrupted_save_leaves_the_old_file_and_no_litter(stage, error, tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    save({"w": mg.ones(3), "b": mg.zeros(3)}, path)
    before = path.read_bytes()
    owner = np.lib.format if stage == "write_array" else os
    real, calls = getattr(owner, stage), []

    def fail(*args, **kwargs):
        calls.append(args)
        if stage == "write_array" and len(calls) == 1:
            return real(*args, **kwargs)  # the first array is written, the second is not
        raise error

    monkeypatch.setattr(owner, stage, fail)
    with pytest.raises(type(error)):
        save({"w": mg.zeros(3), "b": mg.ones(3)}, path)
    monkeypatch.undo()
    assert calls
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["model.npz"]
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "other")


@pytest.mark.skipif(os.name != "posix", reason="links and modes as POSIX has them")
def test_links_devices_and_modes(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    save([1], link)
    assert link.is_symlink() and load(target) == [1]
    save([1], os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    save([1], tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode


# --- whole objects, by pickle ---------------------------------------------------------------------------------------


def test_a_whole_module_needs_pickle_on_both_sides(tmp_path):
    model = nn.Linear(2, 3)
    with pytest.raises(TypeError, match="save its state_dict"):
        save(model, tmp_path / "m")
    save(model, tmp_path / "m", pickle_module=pickle)
    other = load(tmp_path / "m", weights_only=False)
    assert isinstance(other, nn.Linear) and same(other.state_dict(), model.state_dict())
    save([1], tmp_path / "plain")
    assert load(tmp_path / "plain", weights_only=False) == [1]
    content = (tmp_path / "m").read_bytes()
    with pytest.raises(CheckpointError, match="holds a pickle that cannot be loaded"):
        load(io.BytesIO(content[:-5]), weights_only=False)


def test_what_cannot_be_pickled_leaves_the_old_file(tmp_path):
    path = tmp_path / "m"
    save([1], path)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save(lambda: 0, path, pickle_module=pickle)
    assert load(path) == [1] and os.listdir(tmp_path) == ["m"]


# --- checkpoints ----------------------------------------------------------------------------------------------------


class Steps:
    """As much of an optimizer or a scheduler as a checkpoint sees."""

    def __init__(self, count=0):
        self.state = {"count": count, "momentum": {0: mg.full((2,), float(count))}}

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state["count"] = state["count"]
        self.state["momentum"][0].array[:] = state["momentum"][0].array


def training(seed):
    random.manual_seed(seed)
    model = nn.Linear(2, 3)
    return {"model": model, "optimizer": Steps(seed), "scheduler": Steps(10 * seed),
            "generator": random.Generator().manual_seed(seed)}


def states(owners):
    return {name: saved(serialization._states(owner)) for name, owner in owners.items()}


def test_a_checkpoint_brings_back_everything(tmp_path):
    before, after = training(1), training(2)
    save_checkpoint(tmp_path / "c", **before, epoch=7, history=[0.5, 0.25])
    content = load_checkpoint(tmp_path / "c", **after)
    assert content["epoch"] == 7 and content["history"] == [0.5, 0.25]
    assert states(before) == states(after)
    assert same(load(tmp_path / "c"), content)


def test_a_part_of_a_checkpoint_can_be_loaded():
    file = io.BytesIO()
    before, after = training(1), training(2)
    save_checkpoint(file, **before)
    file.seek(0)
    optimizer = states(after)["optimizer"]
    assert load_checkpoint(file, after["model"])["epoch"] is None
    assert states(after)["model"] == states(before)["model"]
    assert states(after)["optimizer"] == optimizer


def test_generators_by_name(tmp_path):
    before = {"data": random.Generator().manual_seed(1), "noise": random.Generator().manual_seed(2)}
    after = {"data": random.Generator(), "noise": random.Generator()}
    model = nn.Linear(1, 1)
    save_checkpoint(tmp_path / "c", model=model, generator=before)
    load_checkpoint(tmp_path / "c", generator=after)
    assert [g.initial_seed() for g in after.values()] == [1, 2]
    for wrong in ({"data": random.Generator()}, random.Generator()):
        with pytest.raises(RuntimeError, match="generators|set_state"):
            load_checkpoint(tmp_path / "c", generator=wrong)
    save_checkpoint(tmp_path / "c", model=model, generator=random.Generator())
    with pytest.raises(CheckpointError, match=r"generators \['data', 'noise'\], not one without a name"):
        load_checkpoint(tmp_path / "c", generator=after)


@pytest.mark.parametrize(
    "content",
    [
        lambda good: b"text",
        lambda good: good[:-30],
        lambda good: saved([1]),
        lambda good: saved({"model": {}}),
        lambda good: saved({**load(io.BytesIO(good)), "model": nn.Linear(2, 4).state_dict()}),
        lambda good: saved({**load(io.BytesIO(good)), "model": {}}),
        lambda good: saved({**load(io.BytesIO(good)), "optimizer": {}}),
        lambda good: saved({**load(io.BytesIO(good)), "scheduler": {"count": 5, "momentum": 3}}),
        lambda good: saved({**load(io.BytesIO(good)), "generator": mg.zeros(3)}),
        lambda good: saved({**load(io.BytesIO(good)), "generator": None}),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(content):
    good = io.BytesIO()
    save_checkpoint(good, **training(1))
    owners = training(2)
    before, weight = states(owners), owners["model"].weight
    with pytest.raises((RuntimeError, KeyError, TypeError)):
        load_checkpoint(io.BytesIO(content(good.getvalue())), **owners)
    assert states(owners) == before
    assert owners["model"].weight is weight


def test_a_missing_part_is_named(tmp_path):
    save_checkpoint(tmp_path / "c", model=nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match="c'.* holds no state of the optimizer, generator, but 'model', 'epoch'"):
        load_checkpoint(tmp_path / "c", optimizer=Steps(), generator=random.Generator())
    save([1], tmp_path / "c")
    with pytest.raises(CheckpointError, match="holds no state of the model, but a list"):
        load_checkpoint(tmp_path / "c", nn.Linear(1, 1))


def test_a_real_optimizer_continues_where_it_stopped(tmp_path):
    def steps(model, optimizer, count):
        for i in range(count):
            optimizer.zero_grad()
            model(mg.full((1, 2), float(i))).sum().backward()
            optimizer.step()

    first = nn.Linear(2, 3)
    optimizer = mg.optim.Adam(first.parameters(), lr=0.1)
    steps(first, optimizer, 3)
    save_checkpoint(Path(tmp_path, "c"), model=first, optimizer=optimizer)
    second = nn.Linear(2, 3)
    resumed = mg.optim.Adam(second.parameters(), lr=0.5)
    load_checkpoint(Path(tmp_path, "c"), second, resumed)
    for model, one in ((first, optimizer), (second, resumed)):
        steps(model, one, 3)
    assert same(first.state_dict(), second.state_dict())
