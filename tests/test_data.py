"""Datasets, samplers, collation and the DataLoader."""

import collections
import itertools
import timeit
import typing

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.tensor import Tensor
from microgradnet.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)


def generator(seed=0):
    return mg.random.Generator().manual_seed(seed)


def pairs(n=10):
    """Example i is (row i of x, i)."""
    x = np.arange(2.0 * n, dtype=np.float32).reshape(n, 2)
    return TensorDataset(Tensor(x), Tensor(np.arange(n)))


class Squares(Dataset):
    """Examples that are made one by one, of Python's numbers."""

    def __init__(self, n=10):
        self.n = n

    def __getitem__(self, i):
        assert type(i) is int and 0 <= i < self.n
        return i, float(i * i)

    def __len__(self):
        return self.n


class Stream(IterableDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def labels(loader):
    return [batch[1].tolist() for batch in loader]


def flat(loader):
    return [i for batch in labels(loader) for i in batch]


# --- datasets -------------------------------------------------------------------------------------------------------


def test_tensor_dataset():
    data = pairs()
    assert len(data) == 10
    x, i = data[3]
    assert x.tolist() == [6, 7] and i.item() == 3
    x, i = data[2:5]
    assert x.shape == (3, 2) and i.tolist() == [2, 3, 4]
    assert data[[7, 1]][1].tolist() == [7, 1] and data[mg.tensor([7, 1])][1].tolist() == [7, 1]
    assert data[-1][1].item() == 9
    with pytest.raises(IndexError):
        data[10]


@pytest.mark.parametrize(("tensors", "error", "message"), [
    ((mg.ones(3), mg.ones(4, 2)), ValueError, r"size mismatch .* differ: \(3,\) float32, \(4, 2\) float32"),
    ((np.ones(3),), TypeError, r"argument 0 is a ndarray; use from_numpy\(\)"),
    ((mg.ones(3), [1, 2, 3]), TypeError, "argument 1 is a list"),
    ((mg.tensor(1.0),), ValueError, r"argument 0 \(\) float32 has no first dimension"),
    ((), ValueError, "at least one Tensor"),
])  # fmt: skip
def test_tensors_that_make_no_dataset(tensors, error, message):
    with pytest.raises(error, match=message):
        TensorDataset(*tensors)


def test_subset():
    data = Subset(pairs(), [5, 1, 3])
    assert len(data) == 3 and data[1][1].item() == 1 and data[[0, 2]][1].tolist() == [5, 3]
    inner = Subset(data, range(2))
    assert inner.dataset is data and inner[0][1].item() == 5
    assert flat(DataLoader(inner)) == [5, 1]
    for indices in [4, 2], np.array([4, 2]), mg.tensor([4, 2]), range(4, 1, -2):
        assert flat(DataLoader(Subset(pairs(), indices), batch_size=2)) == [4, 2]
        assert Subset(pairs(), indices)[1][1].item() == 2
    assert flat(DataLoader(Subset(Squares(), [4, 2]), batch_size=2)) == [16, 4]
    assert flat(DataLoader(Subset(inner, []))) == []
    assert flat(DataLoader(Subset(inner, [-1, 0]))) == [1, 5]


def test_a_subset_follows_its_indices():
    indices = [0, 1]
    loader = DataLoader(Subset(pairs(), indices), batch_size=4)
    assert labels(loader) == [[0, 1]]
    indices.append(7)
    assert labels(loader) == [[0, 1, 7]]


def test_concat_dataset():
    data = pairs(3) + Subset(pairs(), []) + pairs(2)
    assert isinstance(data, ConcatDataset) and len(data) == 5
    assert [data[i][1].item() for i in range(-5, 5)] == [0, 1, 2, 0, 1] * 2
    for i in -6, 5:
        with pytest.raises(IndexError, match=f"index {i} is out of range for a ConcatDataset of 5"):
            data[i]
    assert flat(DataLoader(data, batch_size=2)) == [0, 1, 2, 0, 1]
    with pytest.raises(TypeError, match="does not support IterableDataset"):
        Stream() + pairs()
    with pytest.raises(ValueError, match="at least one dataset"):
        ConcatDataset([])


@pytest.mark.parametrize(("lengths", "sizes"), [([3, 7], [3, 7]), ([0.5, 0.5], [5, 5]), ([0.33, 0.33, 0.34], [4, 3, 3]),
                                                ([10, 0], [10, 0]), ([1.0], [10])])  # fmt: skip
def test_random_split(lengths, sizes):
    data = Squares()
    parts = random_split(data, lengths, generator())
    assert [len(part) for part in parts] == sizes and all(part.dataset is data for part in parts)
    assert sorted(i for part in parts for i in part.indices) == list(range(10))
    again = random_split(data, lengths, generator=generator())
    assert [part.indices for part in parts] == [part.indices for part in again]
    assert parts[0].indices != random_split(data, lengths, generator(1))[0].indices


def test_random_split_of_what_does_not_add_up():
    for lengths in [3, 3], [0.5, 0.2], [11, -1], [2.5, 7.5]:
        with pytest.raises(ValueError, match="must be whole numbers that add up to the 10 examples"):
            random_split(Squares(), lengths)
    with pytest.raises(ValueError, match="fractions must lie between 0 and 1"):
        random_split(Squares(), [1.5, -0.5])
    with pytest.warns(UserWarning, match="split 1 is empty"):
        random_split(Squares(1), [0.9, 0.1])


def test_what_a_subclass_must_define():
    with pytest.raises(NotImplementedError, match=r"Dataset does not define __getitem__\(\)"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match=r"IterableDataset does not define __iter__\(\)"):
        iter(IterableDataset())
    with pytest.raises(NotImplementedError, match=r"Sampler does not define __iter__\(\)"):
        iter(Sampler())


def test_types_can_be_subscripted():
    class Typed(Dataset[tuple[int, float]], typing.Generic[typing.TypeVar("T")]):
        pass

    assert DataLoader[int] and Sampler[int]


# --- samplers -------------------------------------------------------------------------------------------------------


def test_sequential_sampler():
    assert list(SequentialSampler(Squares(4))) == [0, 1, 2, 3] and len(SequentialSampler(Squares(4))) == 4


def test_random_sampler():
    sampler = RandomSampler(Squares(), generator=generator())
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(10)) and first != second and first != sorted(first)
    assert all(type(i) is int for i in first)
    assert list(RandomSampler(Squares(), generator=generator())) == first


def test_random_sampler_of_another_number():
    drawn = list(RandomSampler(Squares(), num_samples=25, generator=generator()))
    assert len(drawn) == 25 and sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10)) != drawn[:10]
    assert len(set(drawn[20:])) == 5
    drawn = list(RandomSampler(Squares(), True, 1000, generator()))
    assert len(drawn) == len(RandomSampler(Squares(), True, 1000)) == 1000
    assert np.bincount(drawn, minlength=10).min() > 50


def test_subset_random_sampler():
    sampler = SubsetRandomSampler([3, 5, 8, 9], generator())
    assert sorted(sampler) == [3, 5, 8, 9] and len(sampler) == 4
    assert len({tuple(sampler) for _ in range(50)}) > 10


def test_weighted_random_sampler():
    sampler = WeightedRandomSampler([0.0, 3.0, 1.0], 4000, generator=generator())
    counts = np.bincount(list(sampler), minlength=3)
    assert counts[0] == 0 and 2.6 < counts[1] / counts[2] < 3.4 and len(sampler) == 4000
    assert sorted(WeightedRandomSampler(mg.tensor([0.5, 0.5, 0.0, 9.0]), 3, replacement=False)) == [0, 1, 3]
    with pytest.raises(RuntimeError, match="multinomial"):
        list(WeightedRandomSampler([1.0, 0.0], 2, replacement=False))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("n", range(7))
def test_batch_sampler(n, drop_last):
    sampler = BatchSampler(SequentialSampler(range(n)), 3, drop_last)
    batches = [list(range(n))[i : i + 3] for i in range(0, n, 3)]
    expected = [b for b in batches if len(b) == 3 or not drop_last]
    assert list(sampler) == expected and len(sampler) == len(expected)
    assert list(BatchSampler(iter(range(n)), 3, drop_last)) == expected
    assert labels(DataLoader(pairs(max(n, 1)), batch_sampler=sampler)) == expected


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: RandomSampler(Squares(), replacement=1), TypeError, "replacement must be True or False, got 1"),
    (lambda: RandomSampler(Squares(), num_samples=0), ValueError, "num_samples must be a whole number above 0, got 0"),
    (lambda: list(RandomSampler([], num_samples=3)), ValueError, "3 samples cannot be drawn from an empty dataset"),
    (lambda: list(RandomSampler(Squares(), generator=3)), TypeError, "generator must be a"),
    (lambda: WeightedRandomSampler([1.0], True), ValueError, "num_samples must be"),
    (lambda: WeightedRandomSampler([1.0], 1, replacement=0), ValueError, "replacement must be"),
    (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"1-D sequence, got shape \(1, 1\)"),
    (lambda: list(WeightedRandomSampler([-1.0, 1.0], 1)), RuntimeError, "multinomial"),
    (lambda: BatchSampler([], 0, False), ValueError, "batch_size must be a whole number above 0, got 0"),
    (lambda: BatchSampler([], 2.0, False), ValueError, "batch_size must be"),
    (lambda: BatchSampler([], 2, 1), ValueError, "drop_last must be True or False, got 1"),
])  # fmt: skip
def test_samplers_that_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- collation ------------------------------------------------------------------------------------------------------

Point = collections.namedtuple("Point", "x y")


def test_collate_numbers_and_arrays():
    for batch, dtype in [
        ([1, 2], "int64"), ([1.0, 2.0], "float64"), ([True, False], "bool"), ([mg.tensor(1.0)] * 2, "float32"),
        ([np.float32(1), np.float32(2)], "float32"), ([np.array([1], np.uint8), np.array([2], np.uint8)], "uint8"),
    ]:  # fmt: skip
        collated = default_collate(batch)
        assert isinstance(collated, Tensor) and collated.dtype == dtype and len(collated) == 2
    assert default_collate([mg.ones(2, 3)] * 4).shape == (4, 2, 3)


def test_collate_containers():
    assert default_collate(["a", "b"]) == ["a", "b"] and default_collate([b"a"]) == [b"a"]
    x, y = default_collate([(mg.ones(2), 1), (mg.zeros(2), 2)])
    assert x.shape == (2, 2) and y.tolist() == [1, 2]
    assert type(default_collate([(1, 2)])) is list  # as in PyTorch
    collated = default_collate([{"a": 1, "b": {"c": "x"}}, {"a": 2, "b": {"c": "y"}}])
    assert collated["a"].tolist() == [1, 2] and collated["b"] == {"c": ["x", "y"]}
    assert type(default_collate([collections.OrderedDict(a=1)])) is collections.OrderedDict
    assert default_collate([collections.defaultdict(int, a=1)])["a"].tolist() == [1]
    point = default_collate([Point(1, [2.0]), Point(3, [4.0])])
    assert type(point) is Point and point.x.tolist() == [1, 3] and point.y[0].tolist() == [2, 4]


def test_collate_keeps_gradients_flowing():
    x = mg.ones(3).requires_grad_()
    default_collate([x, x * 2]).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]


@pytest.mark.parametrize(("batch", "error", "message"), [
    ([None], TypeError, "found NoneType; convert it in the dataset, or pass a collate_fn"),
    ([{1}], TypeError, "found set"),
    ([np.array(["a"])], TypeError, "found an array of <U1"),
    ([(1, 2), (1,)], RuntimeError, r"each tuple of a batch must have the same length, got \[1, 2\]"),
    ([mg.ones(2), mg.ones(3)], RuntimeError, r"must have equal shapes, got \[\(2,\), \(3,\)\]"),
    ([np.ones(2), np.ones((2, 1))], RuntimeError, "must have equal shapes"),
])  # fmt: skip
def test_what_cannot_be_collated(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)


def test_convert():
    example = default_convert((np.ones(2, np.float32), {"a": np.int64(3), "b": "text"}, [1.5], Point(None, np.ones(1))))
    assert example[0].dtype == mg.float32 and example[1]["a"].item() == 3 and example[1]["b"] == "text"
    assert example[2] == [1.5] and type(example[3]) is Point and isinstance(example[3].y, Tensor)
    words = np.array(["a"])
    assert default_convert(words) is words


# --- the loader -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pairs, Squares, lambda: Subset(pairs(12), range(10)), lambda: pairs(4) + pairs(6)])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 11])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_example_once(make, batch_size, drop_last, shuffle):
    data = make()
    loader = DataLoader(data, batch_size, shuffle, drop_last=drop_last)
    expected = [data[i][1] if isinstance(data, Squares) else data[i][1].item() for i in range(10)]
    for _ in range(2):
        batches = labels(loader)
        assert len(batches) == len(loader) == (10 // batch_size if drop_last else -(-10 // batch_size))
        assert all(len(b) == batch_size for b in batches[:-1])
        seen = list(itertools.chain(*batches))
        assert len(set(seen)) == len(seen) or not isinstance(data, (TensorDataset, Squares))
        if not drop_last or 10 % batch_size == 0:
            assert sorted(seen) == sorted(expected)
        if not shuffle:
            assert seen == expected[: len(seen)]


def test_rows_stay_together():
    for x, y in DataLoader(pairs(), batch_size=4, shuffle=True):
        np.testing.assert_array_equal(x.array[:, 0], 2 * y.array)
        assert x.dtype == np.float32 and y.dtype == np.int64


def test_shuffling_is_seeded():
    def orders(**options):
        loader = DataLoader(pairs(50), batch_size=7, shuffle=True, **options)
        return [flat(loader), flat(loader)]

    first, second = orders(generator=generator(1))
    assert first != second
    assert orders(generator=generator(1)) == [first, second] != orders(generator=generator(2))
    mg.random.manual_seed(5)
    a = orders()
    mg.random.manual_seed(5)
    assert orders() == a


def test_one_by_one_and_at_once_give_the_same_batches():
    at_once = DataLoader(pairs(), 3, True, generator=generator())
    one_by_one = DataLoader(pairs(), 3, True, generator=generator(), collate_fn=lambda batch: default_collate(batch))
    for a, b in zip(at_once, one_by_one, strict=True):
        assert type(a) is type(b) is list
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype and (x.array == y.array).all()


def test_p54_an_empty_dataset_yields_nothing():
    for shuffle in False, True:
        for data in TensorDataset(mg.zeros(0, 3)), Squares(0), Subset(pairs(), []):
            loader = DataLoader(data, batch_size=4, shuffle=shuffle)
            assert list(loader) == [] and len(loader) == 0
    assert list(DataLoader(Stream(0), batch_size=3)) == []


def test_p72_iterators_are_independent():
    loader = DataLoader(pairs(), batch_size=2, shuffle=True)
    nested = [(a[1].tolist(), b[1].tolist()) for a in loader for b in loader]
    assert len(nested) == 25
    for _, inner in itertools.groupby(nested, lambda pair: pair[0]):
        assert sorted(i for _, b in inner for i in b) == list(range(10))
    one, other = iter(loader), iter(loader)
    mixed = [next(it)[1].tolist() for _ in range(5) for it in (one, other)]
    assert sorted(sum(mixed[::2], [])) == sorted(sum(mixed[1::2], [])) == list(range(10))


def test_p72_a_break_does_not_poison_the_next_pass():
    for loader in DataLoader(pairs(), batch_size=3), DataLoader(Stream(), batch_size=3):
        for _ in loader:
            break
        assert len(list(loader)) == 4


def test_p73_the_callers_data_is_left_alone():
    x, indices = np.arange(20.0).reshape(10, 2), [3, 1, 2]
    before = x.copy()
    data = TensorDataset(Tensor(x))
    for loader in (DataLoader(data, 3, shuffle=True), DataLoader(data, 3), DataLoader(Subset(data, indices), 2, True),
                   DataLoader(data, sampler=SubsetRandomSampler(indices))):  # fmt: skip
        for (batch,) in loader:
            batch.fill_(-1)  # a batch is the caller's own
    np.testing.assert_array_equal(x, before)
    assert indices == [3, 1, 2]


def test_p74_numpys_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    list(DataLoader(pairs(), shuffle=True))
    random_split(pairs(), [5, 5])
    assert (np.random.get_state()[1] == before).all()


def test_single_examples():
    loader = DataLoader(pairs(3), batch_size=None)
    examples = list(loader)
    assert len(examples) == len(loader) == 3 and examples[1][0].shape == (2,)
    assert [x for x, _ in DataLoader(Squares(3), batch_size=None, shuffle=False)] == [0, 1, 2]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert list(DataLoader(["a", "b"], batch_size=None, collate_fn=str.upper)) == ["A", "B"]


def test_streams():
    loader = DataLoader(Stream(5), batch_size=2)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4]] and len(loader) == 3
    loader = DataLoader(Stream(5), batch_size=2, drop_last=True)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3]] and len(loader) == 2
    assert len(DataLoader(Stream(5), batch_size=None)) == 5
    with pytest.raises(ValueError, match="an IterableDataset has an order of its own"):
        DataLoader(Stream(), shuffle=True)


def test_samplers_of_ones_own():
    class Reversed(Sampler):
        def __init__(self, data_source):
            super().__init__(data_source)
            self.data_source = data_source

        def __iter__(self):
            return iter(range(len(self.data_source) - 1, -1, -1))

        def __len__(self):
            return len(self.data_source)

    for data in pairs(5), Squares(5):
        loader = DataLoader(data, batch_size=2, sampler=Reversed(data))
        assert [len(b) for b in labels(loader)] == [2, 2, 1] and flat(loader) == flat(DataLoader(data, 9))[::-1]
        assert len(labels(DataLoader(data, batch_sampler=[[0, 1, 2], [4]]))) == 2
        assert flat(DataLoader(data, sampler=[4, 4, 0])) == [flat(DataLoader(data))[i] for i in (4, 4, 0)]


def test_a_custom_collate_fn_gets_the_list_of_examples():
    seen = []
    loader = DataLoader(pairs(3), batch_size=2, collate_fn=lambda batch: seen.append(batch) or len(batch))
    assert list(loader) == [2, 1]
    assert type(seen[0]) is list and [y.item() for _, y in seen[0]] == [0, 1]


def test_lists_are_datasets():
    assert [b.tolist() for b in DataLoader([5, 6, 7], batch_size=2)] == [[5, 6], [7]]
    assert list(DataLoader(["a", "b"], batch_size=2)) == [["a", "b"]]


class Ready(Squares):
    """A dataset that makes batches, of what kind the test says."""

    def __init__(self, n, as_list):
        super().__init__(n)
        self.as_list, self.calls = as_list, 0

    def __getitems__(self, indices):
        assert type(indices) is list and all(type(i) is int for i in indices)
        self.calls += 1
        if self.as_list:
            return [self[i] for i in indices]
        return Tensor(np.array(indices)), Tensor(np.array(indices) ** 2.0)


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(Subset(data, range(6)), [5, 0, 2])])
def test_datasets_that_make_batches(as_list, wrap):
    data = Ready(6, as_list)
    loader = DataLoader(wrap(data), batch_size=2)
    batches = list(loader)
    assert data.calls == len(loader) and type(batches[0]) is list
    assert flat(loader) == flat(DataLoader(wrap(Squares(6)), batch_size=2))


def test_an_overridden_getitem_is_not_bypassed():
    class Negated(TensorDataset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return -x, y

    class Doubled(Subset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return 2 * x, y

    data = Negated(*pairs(4).tensors)
    for loader, factor in (DataLoader(data, 2), -1), (DataLoader(Subset(data, range(4)), 2), -1), (
        DataLoader(Doubled(pairs(4), range(4)), 2), 2):  # fmt: skip
        for x, y in loader:
            np.testing.assert_array_equal(x.array[:, 0], factor * 2 * y.array)


def test_batches_of_tensors_that_require_grad():
    x = mg.ones(4, 2).requires_grad_()
    for (batch,) in DataLoader(TensorDataset(x), batch_size=2):
        batch.sum().backward()
    assert x.grad.tolist() == [[1, 1]] * 4


def test_options_for_workers_are_accepted():
    loader = DataLoader(pairs(), 5, num_workers=4, pin_memory=True, persistent_workers=True, prefetch_factor=2,
                        timeout=10, worker_init_fn=print, multiprocessing_context="fork", in_order=False)  # fmt: skip
    assert len(list(loader)) == 2 and loader.num_workers == 4 and get_worker_info() is None


def test_attributes():
    data = pairs()
    loader = DataLoader(data, 4, True)
    assert loader.dataset is data and loader.batch_size == 4 and not loader.drop_last
    assert isinstance(loader.sampler, RandomSampler) and isinstance(loader.batch_sampler, BatchSampler)
    assert loader.collate_fn is default_collate
    for name in "batch_size", "dataset", "sampler", "batch_sampler", "drop_last":
        with pytest.raises(ValueError, match=f"DataLoader.{name} cannot be changed any more"):
            setattr(loader, name, 1)


@pytest.mark.parametrize(("options", "message"), [
    (dict(batch_size=0), "batch_size must be a whole number above 0, got 0"),
    (dict(batch_size=-3), "batch_size must be"),
    (dict(batch_size=2.5), "batch_size must be"),
    (dict(sampler=[0], shuffle=True), "sampler and shuffle exclude each other"),
    (dict(batch_sampler=[[0]], batch_size=2), "batch_sampler excludes"),
    (dict(batch_sampler=[[0]], shuffle=True), "batch_sampler excludes"),
    (dict(batch_sampler=[[0]], sampler=[0]), "batch_sampler excludes"),
    (dict(batch_sampler=[[0]], drop_last=True), "batch_sampler excludes"),
    (dict(batch_size=None, drop_last=True), "batch_size=None gives single examples"),
    (dict(num_workers=-1), "num_workers must be at least 0"),
    (dict(drop_last=2), "drop_last must be True or False"),
])  # fmt: skip
def test_loaders_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(pairs(), **options)


@pytest.mark.torch
def test_collation_as_torch():
    torch = pytest.importorskip("torch")
    from torch.utils.data import default_collate as theirs

    for batch in ([(1, 2.0), (3, 4.0)], [True, False], ["a", "b"], [{"a": [1, 2]}, {"a": [3, 4]}], [Point(1, 2)] * 3,
                  [np.ones(2, np.float32)] * 2, [np.float64(2.0)] * 3, [[1, (2.0, "x")]] * 2):  # fmt: skip
        a, b = default_collate(batch), theirs(batch)

        def same(a, b):
            if isinstance(b, torch.Tensor):
                return a.tolist() == b.tolist() and str(a.dtype) == str(b.dtype).removeprefix("torch.")
            if isinstance(b, dict):
                return a.keys() == b.keys() and all(same(a[k], b[k]) for k in b)
            return type(a) is type(b) and (a == b if isinstance(b, str) else all(map(same, a, b)))

        assert same(a, b)


# --- speed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "batch_size"), [(784, 10), (784, 128), (64, 32)])
def test_loading_is_as_fast_as_slicing_by_hand(width, batch_size):
    rng = np.random.default_rng(0)
    x, y = rng.random((5000, width), dtype=np.float32), rng.integers(10, size=5000)
    loader = DataLoader(TensorDataset(Tensor(x), Tensor(y)), batch_size, shuffle=True)

    def by_hand():
        order = rng.permutation(5000)
        for i in range(0, 5000, batch_size):
            indices = order[i : i + batch_size]
            x[indices], y[indices]

    def best(function):
        return min(timeit.repeat(function, number=1, repeat=15))

    assert best(lambda: collections.deque(loader, maxlen=0)) / best(by_hand) < 3  # 0.9 to 2
