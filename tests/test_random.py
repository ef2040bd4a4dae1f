"""Random numbers: seeds and states, distributions, dtypes, errors, and what is never touched."""

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import random

N = 100_000


def seeded(seed=0):
    return random.Generator().manual_seed(seed)


def assert_moments(values, mean, std):
    """Mean and spread as expected, within five standard errors (for tails no heavier than the exponential's)."""
    values = np.asarray(values, dtype=np.float64)
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(values.size)
    assert abs(values.std() - std) < 5 * 1.5 * std / math.sqrt(values.size)


def test_the_check_of_moments_sees_a_wrong_distribution():
    values = random.randn(N, generator=seeded()).array
    assert_moments(values, 0, 1)
    for wrong in (values + 0.03, values * 1.04):
        with pytest.raises(AssertionError):
            assert_moments(wrong, 0, 1)


DRAWS = {
    "rand": lambda **k: random.rand(3, 4, **k),
    "randn": lambda **k: random.randn(3, 4, **k),
    "randint": lambda **k: random.randint(1000, (3, 4), **k),
    "randperm": lambda **k: random.randperm(12, **k),
    "rand_like": lambda **k: random.rand_like(mg.ones(3, 4), **k),
    "randn_like": lambda **k: random.randn_like(mg.ones(3, 4), **k),
    "randint_like": lambda **k: random.randint_like(mg.ones(3, 4), 1000, **k),
    "bernoulli": lambda **k: random.bernoulli(mg.full((30,), 0.5), **k),
    "normal": lambda **k: random.normal(0.0, 1.0, (3, 4), **k),
    "multinomial": lambda **k: random.multinomial(mg.ones(12), 12, **k),
    "uniform_": lambda **k: random.uniform_(mg.empty(12), **k),
    "normal_": lambda **k: random.normal_(mg.empty(12), **k),
    "exponential_": lambda **k: random.exponential_(mg.empty(12), **k),
    "bernoulli_": lambda **k: random.bernoulli_(mg.empty(30), **k),
    "random_": lambda **k: random.random_(mg.empty(12), **k),
    "poisson": lambda **k: mg.poisson(mg.full((12,), 3.0), **k),
    "binomial": lambda **k: mg.binomial(mg.full((12,), 9.0), mg.full((12,), 0.5), **k),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_p74_a_seed_fixes_every_draw_and_numpys_state_is_untouched(draw):
    np.random.seed(1)
    before = pickle.dumps(np.random.get_state())
    random.manual_seed(3)
    first, second = draw().array, draw().array
    random.manual_seed(3)
    np.testing.assert_array_equal(draw().array, first)
    np.testing.assert_array_equal(draw(generator=seeded(3)).array, first)
    assert (first != second).any()
    assert (draw(generator=seeded(4)).array != first).any()
    assert pickle.dumps(np.random.get_state()) == before


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_generator_of_its_own_leaves_the_default_one_alone(draw):
    before = random.get_rng_state()
    draw(generator=seeded())
    np.testing.assert_array_equal(random.get_rng_state().array, before.array)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_wrong_generator_is_refused(draw):
    with pytest.raises(TypeError, match="generator must be a microgradnet.Generator or None, got int"):
        draw(generator=3)


# --- generators -----------------------------------------------------------------------------------------------------


def test_seeds():
    generator = random.Generator()
    assert generator.initial_seed() == random.Generator().initial_seed()
    assert generator.manual_seed(5) is generator
    assert generator.initial_seed() == 5
    assert seeded(-1).initial_seed() == 2**64 - 1
    assert seeded(2**64 - 1).initial_seed() == 2**64 - 1
    assert random.manual_seed(7) is random.default_generator
    assert random.initial_seed() == 7
    assert random.seed() == random.initial_seed() != random.seed()
    assert generator.seed() == generator.initial_seed()
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(RuntimeError, match="a seed lies between"):
            seeded(seed)
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        random.Generator(device="cuda")
    assert generator.device == mg.device("cpu")
    assert "initial seed 5" in repr(seeded(5))


def test_the_default_generator_differs_from_run_to_run():
    code = "from microgradnet import random; print(random.initial_seed())"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert runs[0] != runs[1]


def test_numpys_random_is_imported_only_to_draw():
    code = "import sys, microgradnet.random as r; r.manual_seed(0); assert 'numpy.random' not in sys.modules; r.rand(1)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_state_continues_where_it_was_taken():
    generator = seeded(11)
    random.randint(10, (3,), generator=generator, dtype=mg.int32)  # leaves half a word behind
    random.rand(3, generator=generator)
    state = generator.get_state()
    assert state.dtype == np.uint8
    expected = [random.rand(5, generator=generator).array for _ in range(2)]
    other = random.Generator()
    other.set_state(state)
    np.testing.assert_array_equal([random.rand(5, generator=other).array for _ in range(2)], expected)
    assert other.initial_seed() == 11
    np.testing.assert_array_equal(other.get_state().array, generator.get_state().array)


@pytest.mark.parametrize(
    "copied", [random.Generator.clone_state, copy.deepcopy, lambda generator: pickle.loads(pickle.dumps(generator))]
)
def test_a_copy_of_a_generator_goes_its_own_way(copied):
    generator = seeded(2)
    random.rand(3, generator=generator)
    other = copied(generator)
    expected = random.rand(5, generator=generator).array
    random.rand(5, generator=generator)
    np.testing.assert_array_equal(random.rand(5, generator=other).array, expected)


def test_a_state_keeps_the_half_word_that_a_float_leaves_behind():
    generator = seeded()
    random.rand(1, generator=generator)  # one float32 takes half of 64 bits
    other = generator.clone_state()
    np.testing.assert_array_equal(*(random.rand(4, generator=g).array for g in (generator, other)))


def test_states_of_the_default_generator():
    state = random.get_rng_state()
    expected = random.rand(4).array
    random.set_rng_state(state)
    np.testing.assert_array_equal(random.rand(4).array, expected)


def test_wrong_states_are_refused_and_change_nothing():
    generator = seeded()
    before = generator.get_state()
    too_short, nonsense = mg.zeros(44, dtype=mg.uint8), mg.zeros(45, dtype=mg.uint8)
    for wrong in (None, np.zeros(45, np.uint8), mg.zeros(45), too_short, nonsense):
        with pytest.raises(RuntimeError, match="set_state"):
            generator.set_state(wrong)
    np.testing.assert_array_equal(generator.get_state().array, before.array)


# --- new tensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [mg.float16, mg.float32, mg.float64])
@pytest.mark.parametrize("name", ["rand", "randn"])
def test_p37_draws_come_in_the_precision_of_their_dtype(name, dtype):
    made = getattr(random, name)(N, dtype=dtype, generator=seeded())
    assert made.dtype == dtype
    if name == "rand":
        assert 0 <= made.array.min() and made.array.max() < 1
        assert_moments(made.array, 0.5, 1 / math.sqrt(12))
    else:
        assert_moments(made.array, 0, 1)
    numpy = np.random.Generator(np.random.PCG64(0))
    if dtype != mg.float16:
        expected = (numpy.random if name == "rand" else numpy.standard_normal)(N, dtype=dtype)
        np.testing.assert_array_equal(made.array, expected)


@pytest.mark.parametrize("name", ["rand", "randn"])
def test_sizes(name):
    function = getattr(random, name)
    for made in [function(2, 3), function((2, 3)), function([2, 3]), function(size=(2, 3))]:
        assert made.shape == (2, 3) and made.dtype == np.float32
    assert function(()).shape == ()
    assert function(0, 2).shape == (0, 2)
    assert function(2, requires_grad=True).is_leaf
    out = mg.empty(2, dtype=mg.float64)
    assert function(2, out=out) is out
    for call in (lambda: function(-1), lambda: function(2, dtype=mg.int64), lambda: function(2, device="cuda")):
        with pytest.raises(RuntimeError):
            call()


def test_randint_in_all_its_forms():
    for made in [random.randint(5, (1000,)), random.randint(0, 5, (1000,)), random.randint(high=5, size=(1000,)),
                 random.randint(5, size=(1000,)), random.randint(0, 5, size=(1000,)),
                 random.randint(low=0, high=5, size=(1000,)), random.randint(0, high=5, size=[1000])]:
        assert made.dtype == np.int64 and made.shape == (1000,)
        assert set(made.tolist()) == {0, 1, 2, 3, 4}
    assert set(random.randint(-2, 2, (1000,), dtype=mg.float32).tolist()) == {-2.0, -1.0, 0.0, 1.0}
    assert random.randint(256, (9, 1), dtype=mg.uint8).shape == (9, 1)
    assert set(random.randint(2, (100,), dtype=mg.bool).tolist()) == {True, False}


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "message"),
    [
        ((3, 5), {}, TypeError, "size"),
        ((5,), {}, TypeError, "size"),
        ((), {"size": (2,)}, TypeError, "takes high"),
        ((1, 2, 3, (2,)), {}, TypeError, "takes high"),
        ((0, (2,)), {}, RuntimeError, "no whole number"),
        ((5, 5, (2,)), {}, RuntimeError, "no whole number"),
        ((300, (2,)), {"dtype": np.uint8}, RuntimeError, "0 to 299 does not fit uint8, which holds 0 to 255"),
        ((-1, 3, (2,)), {"dtype": np.bool_}, RuntimeError, "does not fit bool"),
        ((2**25, (2,)), {"dtype": np.float32}, RuntimeError, "does not fit float32"),
    ],
)
def test_errors_of_randint(args, kwargs, error, message):
    with pytest.raises(error, match=f"randint.*{message}"):
        random.randint(*args, **kwargs)


def test_randint_is_uniform():
    counts = np.bincount(random.randint(7, (N,), generator=seeded()).array)
    np.testing.assert_allclose(counts, N / 7, atol=5 * math.sqrt(N / 7))


def test_randperm():
    made = random.randperm(100)
    assert made.dtype == np.int64
    assert sorted(made.tolist()) == list(range(100)) != made.tolist()
    assert random.randperm(0).shape == (0,)
    assert random.randperm(4, dtype=mg.float32).dtype == np.float32
    for call in (lambda: random.randperm(-1), lambda: random.randperm(257, dtype=mg.uint8)):
        with pytest.raises(RuntimeError, match="randperm"):
            call()


def test_like():
    x = mg.zeros(3, 0, dtype=mg.float64)
    assert random.rand_like(x).shape == (3, 0)
    assert random.rand_like(x).dtype == random.randn_like(x).dtype == np.float64
    assert random.randn_like(x, dtype=mg.float32, requires_grad=True).requires_grad
    counts = mg.ones(1000, dtype=mg.int32)
    assert set(random.randint_like(counts, 3).tolist()) == {0, 1, 2}
    assert set(random.randint_like(counts, 1, 3).tolist()) == {1, 2}
    assert random.randint_like(counts, high=3).dtype == np.int32
    with pytest.raises(RuntimeError, match="rand_like.*int32"):
        random.rand_like(counts)


def test_bernoulli():
    p = mg.tensor([0.0, 0.25, 1.0]).expand(N, 3)
    drawn = random.bernoulli(p, generator=seeded())
    assert drawn.dtype == np.float32
    assert set(drawn.array[:, 0].tolist()) == {0} and set(drawn.array[:, 2].tolist()) == {1}
    assert_moments(drawn.array[:, 1], 0.25, math.sqrt(0.25 * 0.75))
    assert random.bernoulli(mg.zeros(3), 1.0).tolist() == [1, 1, 1]
    for wrong in (mg.tensor([1.5]), mg.tensor([-0.1]), mg.tensor([math.nan])):
        with pytest.raises(RuntimeError, match=r"bernoulli.*\[0, 1\]"):
            random.bernoulli(wrong)
    with pytest.raises(RuntimeError, match="bernoulli.*int64"):
        random.bernoulli(mg.tensor([1]))


def test_bernoulli_has_small_probabilities_right():
    # A float32 draw is 0, and so below every probability, once in 2**24 times. One in float64 tells 2**-30 from 2**-31.
    class Low:
        def random(self, shape, dtype=np.float64):
            return np.full(shape, np.floor(2.0**-30 * 2**24) / 2**24 if dtype == np.float32 else 2.0**-30)

    generator = random.Generator()
    generator._made = Low()
    assert random.bernoulli_(mg.ones(3), 2.0**-31, generator=generator).tolist() == [0, 0, 0]
    assert random.bernoulli(mg.full((3,), 2.0**-31), generator=generator).tolist() == [0, 0, 0]


def test_normal_in_all_its_forms():
    g = seeded()
    assert_moments(random.normal(2, 3, (N,), generator=g).array, 2, 3)
    assert_moments(random.normal(mg.full((N,), 2.0), mg.full((N,), 3.0), generator=g).array, 2, 3)
    assert_moments(random.normal(mg.full((N,), 2.0), 3.0, generator=g).array, 2, 3)
    assert_moments(random.normal(2.0, mg.full((N,), 3.0), generator=g).array, 2, 3)
    assert_moments(random.normal(mean=mg.full((N,), 2.0), generator=g).array, 2, 1)
    assert random.normal(mg.zeros(2, 1), mg.ones(3)).shape == (2, 3)
    assert random.normal(2, 3, size=()).shape == ()
    assert random.normal(mg.tensor(1.0, dtype=mg.float64), mg.tensor(1.0)).dtype == np.float64
    assert random.normal(0.0, np.float64(1), (2,)).dtype == np.float32
    assert random.normal(mg.arange(3.0), mg.zeros(3)).tolist() == [0, 1, 2]
    for call in (lambda: random.normal(0.0, 1.0), lambda: random.normal(mg.zeros(2), 1.0, (2,))):
        with pytest.raises(TypeError, match="takes a Tensor as mean or std, or two numbers and a size"):
            call()
    for call in (lambda: random.normal(0, -1.0, (2,)), lambda: random.normal(mg.zeros(2), mg.tensor([-1.0, 1])),
                 lambda: random.normal(0, math.nan, (2,))):
        with pytest.raises(RuntimeError, match="standard deviation must not be negative"):
            call()
    with pytest.raises(RuntimeError, match="normal.*int64"):
        random.normal(mg.tensor([1]), 1.0)


# --- multinomial ----------------------------------------------------------------------------------------------------


def test_multinomial_with_replacement_has_the_right_frequencies():
    weights = mg.tensor([[0.0, 1.0, 3.0, 0.0, 6.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    drawn = random.multinomial(weights, N, replacement=True, generator=seeded())
    assert drawn.dtype == np.int64 and drawn.shape == (2, N)
    for row, expected in zip(drawn.array, weights.array / weights.array.sum(1, keepdims=True), strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=6) / N, expected, atol=5 / math.sqrt(N) / 2)
        assert not np.bincount(row, minlength=6)[expected == 0].any()


def test_multinomial_without_replacement_draws_one_after_the_other():
    weights = np.array([1.0, 2.0, 5.0])
    drawn = random.multinomial(mg.tensor(weights).expand(N, 3), 2, generator=seeded()).array
    for i in range(3):
        for j in set(range(3)) - {i}:
            expected = weights[i] / 8 * weights[j] / (8 - weights[i])
            assert abs(np.mean((drawn == [i, j]).all(1)) - expected) < 5 / math.sqrt(N) / 2
    assert (drawn[:, 0] != drawn[:, 1]).all()


def test_multinomial_never_draws_a_weight_of_zero():
    class Ends:
        def random(self, count):
            return np.array([0.0, np.nextafter(1, 0)])

    for least in (0.1, 5e-324, 1e308):
        weights = np.array([0.0, least, 0.0, least, 0.0])
        assert random._with_replacement(Ends(), weights, 2).tolist() == [1, 3]
        assert set(random.multinomial(mg.from_numpy(weights), 2).tolist()) == {1, 3}
    assert set(random.multinomial(mg.tensor([0.0, 1e308, 0.0, 5e-324], dtype=mg.float64), 2).tolist()) == {1, 3}


def test_shapes_of_multinomial():
    assert random.multinomial(mg.ones(4), 3).shape == (3,)
    assert random.multinomial(mg.ones(2, 4), 3).shape == (2, 3)
    assert random.multinomial(mg.ones(0, 3), 1).shape == (0, 1)
    assert sorted(random.multinomial(mg.ones(4), 4).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("weights", "count", "replacement", "message"),
    [
        ([0.0, 1.0], 2, False, "has 1 weights above zero, needs 2"),
        ([1.0, 1.0], 3, False, "needs 3"),
        ([0.0, 0.0], 1, True, "needs 1"),
        ([-1.0, 1.0], 1, True, "finite and not negative"),
        ([math.nan, 1.0], 1, True, "finite and not negative"),
        ([math.inf, 1.0], 1, True, "finite and not negative"),
        ([1, 1], 1, True, "int64"),
        ([[[1.0]]], 1, True, "vector or a matrix"),
        ([1.0], 0, True, "num_samples must be positive"),
    ],
)
def test_errors_of_multinomial(weights, count, replacement, message):
    with pytest.raises(RuntimeError, match=f"multinomial.*{message}"):
        random.multinomial(mg.tensor(weights), count, replacement)


# --- in place -------------------------------------------------------------------------------------------------------


def test_counts_are_distributed_as_they_say():
    x, g = mg.empty(N, dtype=mg.float64), seeded()
    assert_moments(mg.poisson(mg.full_like(x, 2.5), generator=g).array, 2.5, math.sqrt(2.5))
    assert_moments(mg.binomial(mg.full_like(x, 8), mg.full_like(x, 0.25), generator=g).array, 2, math.sqrt(1.5))


@pytest.mark.parametrize("draw, message", [
    (lambda: mg.poisson(mg.tensor([-1.0])), "negative"), (lambda: mg.binomial(mg.tensor([3.0]), mg.tensor([2.0])), "probabilities"),
    (lambda: mg.poisson(mg.tensor([1])), "floating"),
])  # fmt: skip
def test_counts_refuse(draw, message):
    with pytest.raises(RuntimeError, match=message):
        draw()


@pytest.mark.parametrize("dtype", [mg.float16, mg.float32, mg.float64])
def test_fillings_are_distributed_as_they_say(dtype):
    x, g = mg.empty(N, dtype=dtype), seeded()
    assert random.uniform_(x, -1, 3, generator=g) is x
    assert x.array.min() >= -1 and x.array.max() < 3
    assert_moments(x.array, 1, 4 / math.sqrt(12))
    assert_moments(random.normal_(x, 2, 0.5, generator=g).array, 2, 0.5)
    assert_moments(random.exponential_(x, 4.0, generator=g).array, 0.25, 0.25)
    assert_moments(random.geometric_(x, 0.4, generator=g).array, 2.5, math.sqrt(0.6) / 0.4)
    assert_moments(random.log_normal_(x, 0.5, 0.3, generator=g).log().array, 0.5, 0.3)
    quartiles = np.quantile(random.cauchy_(x, 2, 0.5, generator=g).array.astype(float), [0.25, 0.5, 0.75])
    assert np.allclose(quartiles, [1.5, 2, 2.5], atol=0.05)
    assert_moments(random.bernoulli_(x, 0.3, generator=g).array, 0.3, math.sqrt(0.21))
    assert_moments(random.random_(x, 10, generator=g).array, 4.5, math.sqrt(99 / 12))
    assert x.dtype == dtype


def test_uniform_never_reaches_its_upper_end():
    class Last:
        def random(self, shape, dtype):
            return np.full(shape, np.nextafter(dtype.type(1), dtype.type(0)))

    generator = random.Generator()
    generator._made = Last()
    for a, b in ((1.0, 2.0), (-1.0, 0.0), (1e6, 1e6 + 1)):
        assert (random.uniform_(mg.empty(2), a, b, generator=generator).array < b).all()
    assert random.uniform_(mg.empty(2), 3.0, 3.0).tolist() == [3, 3]


def test_bernoulli_with_a_tensor_of_probabilities():
    assert random.bernoulli_(mg.empty(2, 3, dtype=mg.int64), mg.tensor([0.0, 1.0, 1.0])).tolist() == [[0, 1, 1]] * 2


def test_random_in_all_its_forms():
    x = mg.empty(1000)
    assert set(random.random_(x, 3).tolist()) == {0, 1, 2}
    assert set(random.random_(x, -1, 2).tolist()) == {-1, 0, 1}
    assert set(random.random_(x, high=2).tolist()) == {0, 1}
    assert random.random_(x).array.max() > 2**20
    assert random.random_(mg.empty(1000, dtype=mg.int64)).array.max() > 2**60
    assert random.random_(mg.empty(1000, dtype=mg.uint8)).array.max() > 200
    assert set(random.random_(mg.empty(100, dtype=mg.bool)).tolist()) == {True, False}


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_fillings_of_every_shape(shape):
    for name in ("uniform_", "normal_", "exponential_", "cauchy_", "log_normal_", "bernoulli_", "random_"):
        x = mg.empty(shape)
        assert getattr(random, name)(x) is x
        assert x.shape == shape


def test_fillings_of_a_view_write_into_its_base():
    x = mg.zeros(4, 4)
    random.uniform_(x.T[1:3], 1, 2)
    assert (x.array[:, 1:3] >= 1).all() and (x.array[:, [0, 3]] == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: random.uniform_(x, 2, 1), "uniform_.*a=2, b=1"),
        (lambda x: random.normal_(x, 0, -1), "normal_.*must not be negative"),
        (lambda x: random.exponential_(x, 0), "exponential_.*lambd=0"),
        (lambda x: random.geometric_(x, 1), "geometric_.*p=1"),
        (lambda x: random.cauchy_(x, 0, 0), "cauchy_.*sigma=0"),
        (lambda x: random.log_normal_(x, 0, -1), "log_normal_.*std=-1"),
        (lambda x: random.cauchy_(x.long()), "cauchy_.*int64"),
        (lambda x: random.log_normal_(x.long()), "log_normal_.*int64"),
        (lambda x: random.bernoulli_(x, 2), "bernoulli_.*got 2"),
        (lambda x: random.random_(x, 3, 3), "random_.*no whole number"),
        (lambda x: random.uniform_(x.long()), "uniform_.*int64"),
        (lambda x: random.normal_(x.long()), "normal_.*int64"),
        (lambda x: random.exponential_(x.long()), "exponential_.*int64"),
        (lambda x: random.random_(x.byte(), 300), "random_.*uint8"),
    ],
)
def test_errors_of_fillings(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(mg.zeros(3))


@pytest.mark.parametrize("name", ["uniform_", "normal_", "exponential_", "bernoulli_", "random_"])
def test_p24_filling_a_leaf_that_requires_grad_raises(name):
    fill = getattr(random, name)
    w = mg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=f"{name}.*leaf"):
        fill(w)
    with pytest.raises(RuntimeError, match="leaf"):
        fill(w[:2])
    assert w.tolist() == [1, 1, 1]
    with mg.no_grad():
        assert fill(w) is w


def test_filling_what_was_saved_raises_at_backward():
    w, x = mg.ones(3, requires_grad=True), mg.ones(3)
    loss = (w * x).sum()
    random.normal_(x)
    with pytest.raises(RuntimeError, match="modified in"):
        loss.backward()


def test_filling_a_result_cuts_it_off_from_what_it_was_made_of():
    w = mg.ones(3, requires_grad=True)
    y = w * 2
    random.uniform_(y)
    y.sum().backward()
    assert w.grad.tolist() == [0, 0, 0]


# --- as PyTorch -----------------------------------------------------------------------------------------------------

SAME = """
r.rand(2, 3) | r.rand((2, 3)) | r.rand(size=(2,)) | r.randn(()) | r.randn(2, dtype=m.float64) | r.rand(0, 2)
r.randint(5, (2,)) | r.randint(1, 5, (2,)) | r.randint(low=1, high=5, size=(2,)) | r.randint(5, (2,), dtype=m.float32)
r.randperm(4) | r.randperm(4, dtype=m.float32) | r.rand_like(m.ones(2, dtype=m.float64)) | r.randn_like(m.ones(2, 3))
r.randint_like(m.ones(2), 3) | r.randint_like(m.ones(2), 1, 3) | r.bernoulli(m.ones(2)) | r.bernoulli(m.ones(2), 0.5)
r.normal(0.0, 1.0, (2,)) | r.normal(2, 3, size=(1,)) | r.normal(m.zeros(2, 1), m.ones(3)) | r.normal(mean=m.zeros(2))
r.normal(1.0, m.zeros(2, dtype=m.float64)) | r.multinomial(m.ones(4), 3) | r.multinomial(m.ones(2, 4), 5, True)
r.multinomial(m.ones(0, 3), 1) | m.manual_seed(-5).get_state()[:0]
"""

BOTH_RAISE = """
r.rand(-1) | r.rand(2, dtype=m.int64) | r.randint(3, 5) | r.randint(0, (2,)) | r.randint(300, (2,), dtype=m.uint8)
r.randperm(-1) | r.randperm(300, dtype=m.uint8) | r.bernoulli(m.tensor([1.5])) | r.bernoulli(m.tensor([1]))
r.normal(0, -1.0, (2,)) | r.normal(0.0, 1.0) | r.normal(m.zeros(2), 1.0, (3,)) | r.normal(m.tensor([1]), 1.0)
r.multinomial(m.tensor([0.0, 1.0]), 3) | r.multinomial(m.tensor([0.0, 0.0]), 1) | r.multinomial(m.tensor([-1.0]), 1)
r.multinomial(m.tensor([1]), 1) | r.multinomial(m.ones(2), 0) | m.manual_seed(2**64) | r.randn(2, generator=3)
"""


def split(table):
    return [code.strip() for line in table.strip().splitlines() for code in line.split(" | ")]


def names(m):
    return {"m": m, "r": random if m is mg else m}


@pytest.mark.torch
@pytest.mark.parametrize("code", split(SAME))
def test_shape_and_dtype_as_torch(code):
    torch = pytest.importorskip("torch")
    ours, theirs = (eval(code, names(m)) for m in (mg, torch))
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    assert tuple(ours.shape) == tuple(theirs.shape)


@pytest.mark.torch
@pytest.mark.parametrize("code", split(BOTH_RAISE))
def test_raises_as_torch_does(code):
    torch = pytest.importorskip("torch")
    for m in (mg, torch):
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            eval(code, names(m))
