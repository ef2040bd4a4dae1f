"""The names that scripts for PyTorch use are here, under the names they have there."""

import importlib

import pytest

PROMISED = {
    "": """tensor as_tensor from_numpy Tensor zeros ones empty full zeros_like ones_like empty_like rand_like randn_like
        full_like rand randn randint randperm arange linspace eye manual_seed Generator initial_seed seed bernoulli normal
        multinomial matmul mul mm bmm dot outer addmm add sub div pow exp log sqrt abs sin cos tan tanh sigmoid relu clamp
        maximum minimum where sum mean prod var std norm max min argmax argmin amax amin cumsum logsumexp softmax eq ne lt
        le gt ge isnan isfinite all any allclose equal cat stack split chunk unbind reshape squeeze unsqueeze flatten
        transpose permute t movedim tile repeat_interleave gather index_select topk sort einsum numel is_tensor no_grad
        enable_grad set_grad_enabled inference_mode is_grad_enabled float32 float float64 double float16 half int64 long
        int32 int uint8 bool set_default_dtype get_default_dtype device cuda.is_available accelerator.is_available
        accelerator.current_accelerator backends.mps.is_available Size pi inf nan e save load set_printoptions compile
        svd_lowrank pca_lowrank fill __version__""",
    "Tensor": """data grad requires_grad grad_fn is_leaf shape dtype device ndim T mT itemsize backward requires_grad_
        detach detach_ clone retain_grad register_hook item tolist numpy cpu cuda to type float double long int bool size
        dim numel nelement element_size view view_as reshape flatten squeeze unsqueeze expand expand_as repeat transpose
        permute t contiguous is_contiguous sum mean std var max min argmax argmin prod norm exp log pow sqrt abs sigmoid
        tanh relu softmax log_softmax clamp eq ne lt masked_fill gather scatter_ index_add_ matmul mm mul add sub div dot
        add_ sub_ mul_ div_ zero_ fill_ copy_ clamp_ uniform_ normal_ t_ exponential_ addcmul_ addcdiv_ new_zeros new_ones
        new_full is_floating_point __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__
        __floordiv__ __rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __matmul__ __rmatmul__ __iadd__ __isub__ __imul__
        __itruediv__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __and__ __or__ __invert__ __neg__ __getitem__ __setitem__
        __len__ __iter__ __bool__ __float__ __int__ __index__ __format__ __hash__ __array__ __array_priority__""",
    "autograd": """grad backward Function gradcheck gradgradcheck set_detect_anomaly detect_anomaly no_grad enable_grad
        Variable functional.jacobian functional.hessian functional.vjp functional.jvp functional.hvp""",
    "nn": """Module Parameter ParameterList ModuleList ModuleDict Sequential Linear Flatten Identity Dropout ReLU
        LeakyReLU Sigmoid Tanh Softmax LogSoftmax GELU ELU SiLU Softplus Hardtanh BatchNorm1d LayerNorm Embedding Conv2d
        MaxPool2d AvgPool2d AdaptiveAvgPool2d BatchNorm2d Dropout2d MSELoss L1Loss SmoothL1Loss HuberLoss CrossEntropyLoss
        NLLLoss BCELoss BCEWithLogitsLoss KLDivLoss""",
    "nn.Module": """forward __call__ parameters named_parameters buffers named_buffers children named_children modules
        named_modules register_parameter register_buffer register_module add_module get_parameter get_submodule apply train
        eval requires_grad_ zero_grad to cpu float double state_dict load_state_dict register_forward_hook
        register_forward_pre_hook register_full_backward_hook extra_repr""",
    "nn.functional": """linear relu leaky_relu sigmoid tanh softmax log_softmax gelu softplus dropout mse_loss l1_loss
        cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits one_hot normalize pad conv2d
        max_pool2d avg_pool2d adaptive_avg_pool2d batch_norm layer_norm embedding""",
    "nn.init": """uniform_ normal_ constant_ zeros_ ones_ xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_
        orthogonal_ trunc_normal_ calculate_gain""",
    "nn.utils": """clip_grad_norm_ clip_grad_value_ parameters_to_vector vector_to_parameters weight_norm
        remove_weight_norm spectral_norm remove_spectral_norm parametrizations.orthogonal""",
    "optim": "Optimizer SGD Adam AdamW RMSprop Adagrad Adadelta",
    "optim.Optimizer": "zero_grad step state_dict load_state_dict add_param_group",
    "optim.lr_scheduler": """StepLR MultiStepLR ExponentialLR CosineAnnealingLR LambdaLR ReduceLROnPlateau LinearLR
        OneCycleLR SequentialLR""",
    "optim.lr_scheduler.StepLR": "step get_last_lr state_dict load_state_dict",
    "utils.data": """Dataset IterableDataset TensorDataset Subset ConcatDataset random_split Sampler SequentialSampler
        RandomSampler BatchSampler WeightedRandomSampler default_collate DataLoader""",
}  # fmt: skip
VISION = "datasets.MNIST datasets.FashionMNIST transforms.ToTensor transforms.Normalize transforms.Compose transforms.Lambda"


def missing(library, room, names):
    """Those of the names that `library.room` lacks."""
    return [name for name in names.split() if not resolves(library, [*room.split("."), *name.split(".")])]


def resolves(library, path):
    here = importlib.import_module(library)
    for name in filter(None, path):
        if not hasattr(here, name):
            try:  # a room that nobody has entered yet
                importlib.import_module(f"{here.__name__}.{name}")
            except (ImportError, AttributeError):
                return False
        here = getattr(here, name)
    return True


@pytest.mark.parametrize("room", PROMISED)
def test_every_name_is_here(room):
    assert missing("microgradnet", room, PROMISED[room]) == []


def test_vision_is_here():
    assert missing("microgradnet", "vision", VISION) == []


def test_a_missing_name_is_noticed():
    assert missing("microgradnet", "nn", "Linear Liner functional.relu functional.rely") == ["Liner", "functional.rely"]


@pytest.mark.torch
@pytest.mark.parametrize("room", PROMISED)
def test_every_name_is_pytorchs(room):
    pytest.importorskip("torch")
    assert missing("torch", room, PROMISED[room]) == []
