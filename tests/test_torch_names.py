"""Names that PyTorch knows beside its own: NumPy's for metadata, and questions about hardware."""

import pytest

import microgradnet as mg


def test_axis_and_keepdims_are_dim_and_keepdim():
    x = mg.tensor([[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]])
    for name in ("sum", "mean", "prod", "amax", "std", "var", "norm", "logsumexp"):
        assert mg.equal(getattr(x, name)(axis=1, keepdims=True), getattr(x, name)(dim=1, keepdim=True)), name
    assert x.argmax(axis=1).tolist() == x.max(axis=1).indices.tolist() == [1, 0]
    assert mg.cat([x, x], axis=1).shape == (2, 6) and mg.stack([x, x], axis=-1).shape == (2, 3, 2)
    assert mg.softmax(x, axis=1).sum(1).allclose(mg.ones(2))
    with pytest.raises(IndexError, match="axis 5 is out of bounds"):
        x.sum(axis=5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'along'"):
        x.sum(along=1)


def test_there_is_one_device():
    assert not mg.cuda.is_available() and mg.cuda.device_count() == 0 and mg.cuda.manual_seed_all(1) is None
    assert not mg.accelerator.is_available() and mg.accelerator.current_accelerator() is None
    assert not mg.backends.mps.is_available() and not mg.backends.cuda.is_built()
    mg.backends.cudnn.deterministic = True
