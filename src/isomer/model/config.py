"""What a network is built from: readable without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

EncoderName = Literal["mobilenet_v2", "efficientnet_lite0", "efficientnet_lite2", "mit_b0", "swin_tiny"]
FusionName = Literal["isomer", "vanilla", "cst", "sgst", "published"]


@dataclass(frozen=True)
class IsomerConfig:
    """All that is needed to build the network.

    Args:
        encoder: of both streams.
        fusion: by stage. `isomer` is CST, CST, SGST, SGST; `vanilla`, `cst` and `sgst` use one kind in all
            four; `published` is what the published code computes, whose SGST is its projection alone.
        head_width: channels of the head.
        hidden: numbers of hidden channels, by the name of the block, where they are fewer than its architecture
            says (see `isomer.train.pruning`).

    Raises:
        ValueError: there is no such encoder or fusion, or `hidden` holds something else.
    """

    encoder: EncoderName = "mobilenet_v2"
    fusion: FusionName = "isomer"
    head_width: int = 64
    hidden: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.encoder not in get_args(EncoderName):
            raise ValueError(f"unknown encoder {self.encoder!r}; choose from {', '.join(get_args(EncoderName))}")
        if self.fusion not in get_args(FusionName):
            raise ValueError(f"unknown fusion {self.fusion!r}; choose from {', '.join(get_args(FusionName))}")
        if not isinstance(self.hidden, dict) or any(type(width) is not int for width in self.hidden.values()):
            raise ValueError(f"hidden is {self.hidden!r}, not a number for each of some blocks")
