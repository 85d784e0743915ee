"""Batch norm over all processes, on any backend: PyTorch's own needs a GPU."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Normalise by the statistics of the batches of all processes, which have to be of one size."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [B, C, H, W]."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        dtype, x = x.dtype, x.float()  # half under autocast, the statistics never are
        processes = dist.get_world_size()
        mean: Tensor = all_reduce(x.mean((0, 2, 3))) / processes  # type: ignore[no-untyped-call]
        centred = x - mean[:, None, None]
        variance: Tensor = all_reduce(centred.square().mean((0, 2, 3))) / processes  # type: ignore[no-untyped-call]
        count = processes * x.numel() / x.shape[1]
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_var.lerp_(variance.detach() * count / (count - 1), self.momentum)
        self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(dtype)


def share_batch_norm(module: nn.Module) -> None:
    """Replace each batch norm of a module by one over all processes, with the same weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(module, name, shared)
        else:
            share_batch_norm(child)
