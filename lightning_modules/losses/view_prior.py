"""Score-function loss of a learned distribution of views, with the discriminator as the reward."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import DataError, check_number
from lightning_modules.training.schedules import MOST_WEIGHT


@dataclass(frozen=True)
class ViewPriorWeights:
    """weight: of the reward; entropy: of the distribution's entropy, which keeps all views alive
    while the generator is still poor from most.

    Raises DataError for a number outside its range.
    """

    weight: float = 1.0
    entropy: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("weight", self.weight, 0, MOST_WEIGHT)
        check_number("entropy", self.entropy, 0, MOST_WEIGHT)


def view_advantages(logits: Tensor, everyone: Tensor) -> Tensor:
    """How much more views (N,) are taken for real than the others of all processes, (N,).

    The reward is log sigmoid(logit), the discriminator's belief that a view is real, less the mean
    reward of all other views: a baseline that does not depend on the view itself leaves the score
    function estimate unbiased (Williams, 1992; Kool et al., 2019).

    Args:
        logits: (N,) of this process's views.
        everyone: (M,) of those of all processes, these among them.

    Raises:
        DataError: there is but one view, and nothing to compare it with.

    >>> import torch
    >>> logits = torch.tensor([9.0, -1.0])  # log sigmoid: -0.0001 and -1.3133
    >>> view_advantages(logits, logits)
    tensor([ 1.3131, -1.3131])
    """
    rewards, all_rewards = (F.logsigmoid(values.detach().float()) for values in (logits, everyone))
    others = len(all_rewards) - 1
    if others < 1:
        raise DataError(
            "model.generator.view_cells learns by comparing views, and a step has but one: raise "
            "`data.batch_size` or `multi_view.views`."
        )
    return rewards - (all_rewards.sum() - rewards) / others


def view_prior_loss(
    log_probs: Tensor, cells: Tensor, advantages: Tensor, weights: ViewPriorWeights
) -> tuple[Tensor, Tensor]:
    """The loss () whose gradient makes views likelier that are taken for real, and the mean entropy
    () in nats.

    The score function estimate of the gradient of the expected reward.

    Args:
        log_probs: (B, K) of the cells.
        cells: (B, V) drawn.
        advantages: (B V,) of their views, scene by scene; see `view_advantages`.
        weights: of reward and entropy.
    """
    chosen = log_probs.gather(1, cells)
    entropy = -(log_probs.exp() * log_probs).sum(1).mean()
    loss = -weights.weight * (advantages.view_as(cells) * chosen).mean() - weights.entropy * entropy
    return loss, entropy.detach()
