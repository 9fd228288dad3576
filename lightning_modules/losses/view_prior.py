"""How a learned distribution of views follows what the discriminator takes for real."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ViewPriorWeights:
    """weight: of the reward; entropy: of the distribution's entropy, which keeps all views alive
    while the generator is still poor from most."""

    weight: float = 1.0
    entropy: float = 0.1


def view_prior_loss(
    log_probabilities: Tensor, cells: Tensor, logits: Tensor, weights: ViewPriorWeights
) -> tuple[Tensor, Tensor]:
    """The loss () whose gradient makes views likelier that are taken for real, and the mean entropy
    () in nats.

    The score function estimate of the gradient of the expected reward log sigmoid(logit), the
    discriminator's belief that a view is real, with the mean reward as baseline (Williams, 1992).

    Args:
        log_probabilities: (B, K) of the cells.
        cells: (B, V) drawn.
        logits: (B V,) of their views, scene by scene; no gradient reaches them.
        weights: of reward and entropy.
    """
    reward = F.logsigmoid(logits.detach().float()).view_as(cells)
    advantage = reward - reward.mean()
    chosen = log_probabilities.gather(1, cells)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(1).mean()
    loss = -weights.weight * (advantage * chosen).mean() - weights.entropy * entropy
    return loss, entropy.detach()
