"""The network: two encoders, one fusion a stage, one head (Isomer, Yuan et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.config import IsomerConfig
from isomer.model.cst import CST
from isomer.model.encoders import ENCODERS
from isomer.model.head import Head
from isomer.model.hidden import narrow
from isomer.model.sgst import SGST, Projection
from isomer.model.vanilla import Vanilla

_TOKENS = (121, 121, 121, 30)  # merged tokens of an SGST, by stage (3 and 4: the published ones)
_FusionStage = Callable[[int, int], nn.Module]  # (channels, tokens) -> module


def _cst(channels: int, tokens: int) -> nn.Module:
    return CST(channels)


def _vanilla(channels: int, tokens: int) -> nn.Module:
    return Vanilla(channels)


def _projection(channels: int, tokens: int) -> nn.Module:
    return Projection(channels)


_FUSIONS: dict[str, tuple[_FusionStage, _FusionStage, _FusionStage, _FusionStage]] = {
    "isomer": (_cst, _cst, SGST, SGST),
    "vanilla": (_vanilla, _vanilla, _vanilla, _vanilla),
    "cst": (_cst, _cst, _cst, _cst),
    "sgst": (SGST, SGST, SGST, SGST),
    "published": (_cst, _cst, _projection, _projection),
}


class Isomer(nn.Module):
    """Segment the primary object from a frame and its optical-flow image.

    Args:
        config: the architecture.

    Raises:
        ValueError: `config.hidden` names no block, or more channels than a block has.

    Attributes:
        mean, std: the normalisation both inputs need, per channel of RGB in [0, 1].
        stride: inputs whose sides are multiples of it need no padding.
    """

    def __init__(self, config: IsomerConfig | None = None):
        super().__init__()
        self.config = config = config or IsomerConfig()
        encoder = ENCODERS[config.encoder]
        self.backbone_x = encoder()
        self.backbone_y = encoder()
        self.mean, self.std = self.backbone_x.mean, self.backbone_x.std
        self.stride = self.backbone_x.stride
        channels = self.backbone_x.channels
        stages = [
            build(width, tokens)
            for build, width, tokens in zip(_FUSIONS[config.fusion], channels, _TOKENS, strict=True)
        ]
        # Not a list: the names are those of the published checkpoints.
        self.fusion_module0, self.fusion_module1, self.fusion_module2, self.fusion_module3 = stages
        self.decode_head = Head(channels, config.head_width)
        narrow(self, config.hidden)

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Return logits [B, 1, H, W] for a frame and its flow image, both [B, 3, H, W], normalised, any H, W."""
        return self.forward_with_heat_maps(frame, flow)[0]

    def forward_with_heat_maps(self, frame: Tensor, flow: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and the heat-map logits [B, 1, H / s, W / s] of every SGST stage, for training."""
        height, width = frame.shape[2:]
        padding = (0, -width % self.stride, 0, -height % self.stride)
        if any(padding):
            frame = F.pad(frame, padding, mode="replicate")
            flow = F.pad(flow, padding, mode="replicate")
        appearance = self.backbone_x(frame)
        motion = self.backbone_y(flow)
        fusions = (self.fusion_module0, self.fusion_module1, self.fusion_module2, self.fusion_module3)
        fused, heat_maps = zip(*(f(x, y) for f, x, y in zip(fusions, appearance, motion, strict=True)), strict=True)
        logits = self.decode_head(*fused)[:, :, :height, :width]
        return logits, [heat for heat in heat_maps if heat is not None]
