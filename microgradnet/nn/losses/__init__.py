# isort: skip_file
"""The losses, as functions and as modules, written as they are defined.

Reading order: distances, probabilities, classes, margins, sequences; common has what they share.
"""

from .classes import CrossEntropyLoss, NLLLoss, NLLLoss2d, cross_entropy, linear_cross_entropy, nll_loss
from .distances import (
    HuberLoss, L1Loss, MSELoss, QuadraticLoss, SmoothL1Loss, huber_loss, l1_loss, mse_loss, quadratic_loss,
    smooth_l1_loss,
)
from .margins import (
    CosineEmbeddingLoss, HingeEmbeddingLoss, MarginRankingLoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss,
    MultiMarginLoss, SoftMarginLoss, TripletMarginLoss, TripletMarginWithDistanceLoss, cosine_embedding_loss,
    hinge_embedding_loss, margin_ranking_loss, multi_margin_loss, multilabel_margin_loss, multilabel_soft_margin_loss,
    soft_margin_loss, triplet_margin_loss, triplet_margin_with_distance_loss,
)
from .probabilities import (
    BCELoss, BCEWithLogitsLoss, GaussianNLLLoss, KLDivLoss, PoissonNLLLoss, binary_cross_entropy,
    binary_cross_entropy_with_logits, gaussian_nll_loss, kl_div, poisson_nll_loss,
)
from .sequences import CTCLoss, ctc_loss
