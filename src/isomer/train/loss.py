"""What training minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

_REACH = 31  # window, in pixels, in which a boundary is near


def segmentation_loss(logits: Tensor, target: Tensor, known: Tensor, iou: float = 1.0, boundary: float = 0.0) -> Tensor:
    """Sum binary cross-entropy and soft IoU over the known pixels, averaged over the batch.

    Args:
        logits: [B, 1, H, W].
        target: [B, 1, H, W] in [0, 1].
        known: [B, 1, H, W], 1 where the annotation counts and 0 elsewhere.
        iou: weight of the soft IoU.
        boundary: pixels weigh 1 + `boundary` * |local mean of the target - target| (after Wei et al., F3Net,
            AAAI 2020), most at the object's boundary.
    """
    weight = known
    if boundary:
        near = _local_mean(target)
        weight = known * (1 + boundary * (near - target).abs())
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    cross_entropy = (cross_entropy * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)
    probability = logits.sigmoid()
    intersection = (weight * probability * target).sum((1, 2, 3))
    union = (weight * (probability + target)).sum((1, 2, 3)) - intersection
    return (cross_entropy + iou * (1 - (intersection + 1) / (union + 1))).mean()


def heat_map_loss(heat_maps: Sequence[Tensor], target: Tensor, known: Tensor) -> Tensor:
    """Average the cross-entropy of heat-map logits [B, 1, h, w] against the target's mean in each cell."""
    losses = []
    for heat in heat_maps:
        size = (heat.shape[2], heat.shape[3])
        weight = F.adaptive_avg_pool2d(known, size)
        share = F.adaptive_avg_pool2d(target * known, size) / weight.clamp(min=1e-6)
        loss = F.binary_cross_entropy_with_logits(heat, share, reduction="none")
        # By sample, so that the mean over a batch is the same however processes share it.
        losses.append(((loss * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)).mean())
    return sum(losses, start=target.new_zeros(())) / max(len(losses), 1)


def _local_mean(image: Tensor) -> Tensor:
    """Average each pixel's window, as far as it lies in the image: along rows, then columns, which is far faster."""
    for size in ((1, _REACH), (_REACH, 1)):
        image = F.avg_pool2d(image, size, 1, (size[0] // 2, size[1] // 2), count_include_pad=False)
    return image
