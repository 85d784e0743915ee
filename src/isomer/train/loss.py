"""What training minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def segmentation_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Sum binary cross-entropy and soft IoU over the known pixels, averaged over the batch.

    Args:
        logits: [B, 1, H, W].
        target: [B, 1, H, W] in [0, 1].
        known: [B, 1, H, W], 1 where the annotation counts and 0 elsewhere.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    cross_entropy = (cross_entropy * known).sum((1, 2, 3)) / known.sum((1, 2, 3)).clamp(min=1)
    probability = logits.sigmoid() * known
    target = target * known
    intersection = (probability * target).sum((1, 2, 3))
    union = (probability + target).sum((1, 2, 3)) - intersection
    return (cross_entropy + 1 - (intersection + 1) / (union + 1)).mean()


def heat_map_loss(heat_maps: Sequence[Tensor], target: Tensor, known: Tensor) -> Tensor:
    """Average the binary cross-entropy of heat-map logits [B, 1, h, w] against the target's mean in each cell."""
    losses = []
    for heat in heat_maps:
        weight = F.adaptive_avg_pool2d(known, heat.shape[2:])
        share = F.adaptive_avg_pool2d(target * known, heat.shape[2:]) / weight.clamp(min=1e-6)
        loss = F.binary_cross_entropy_with_logits(heat, share, reduction="none")
        losses.append((loss * weight).sum() / weight.sum().clamp(min=1))
    return sum(losses, start=target.new_zeros(())) / max(len(losses), 1)
