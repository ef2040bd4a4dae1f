"""The losses, as functions and as modules, written as they are defined.

Reading order: distances, probabilities, classes; common has what they share.
"""

from .classes import CrossEntropyLoss, NLLLoss, cross_entropy, nll_loss
from .distances import (
    HuberLoss,
    L1Loss,
    MSELoss,
    QuadraticLoss,
    SmoothL1Loss,
    huber_loss,
    l1_loss,
    mse_loss,
    quadratic_loss,
    smooth_l1_loss,
)
from .probabilities import (
    BCELoss,
    BCEWithLogitsLoss,
    KLDivLoss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    kl_div,
)
