from __future__ import annotations

import math

import pytest
import torch

from isomer.train.build import learning_rate_factor
from isomer.train.config import OptimizerConfig
from isomer.train.ema import MovingAverage
from isomer.train.loss import heat_map_loss, segmentation_loss


def batch(seed: int = 0, size: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, size, size, generator=generator)
    target = (torch.rand(3, 1, size, size, generator=generator) > 0.6).float()
    known = (torch.rand(3, 1, size, size, generator=generator) > 0.2).float()
    return logits, target, known


def by_hand(
    logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor, iou: float, boundary: float = 0.0
) -> float:
    total = 0.0
    for image in range(len(logits)):
        entropy = both = either = count = 0.0
        z, t, k = (x[image, 0] for x in (logits, target, known))
        for y, x in k.nonzero().tolist():
            window = t[max(y - 15, 0) : y + 16, max(x - 15, 0) : x + 16]
            weight = 1 + boundary * abs(float(window.mean() - t[y, x]))
            p, inside = 1 / (1 + math.exp(-z[y, x])), float(t[y, x])
            entropy -= weight * math.log(p if inside else 1 - p)
            both += weight * p * inside
            either += weight * (p + inside - p * inside)
            count += weight
        total += entropy / count + iou * (1 - (both + 1) / (either + 1))
    return total / len(logits)


@pytest.mark.parametrize(("iou", "boundary", "size"), [(0.0, 0.0, 12), (2.5, 0.0, 12), (1.0, 0.0, 12), (1.0, 3.0, 40)])
def test_segmentation_loss_is_its_definition(iou: float, boundary: float, size: int) -> None:
    logits, target, known = batch(size=size)
    loss = segmentation_loss(logits, target, known, iou, boundary).item()
    assert loss == pytest.approx(by_hand(logits, target, known, iou, boundary), rel=1e-5)


def test_unknown_pixels_have_no_gradient() -> None:
    logits, target, known = batch()
    logits.requires_grad_(True)
    for boundary in (0.0, 5.0):
        (gradient,) = torch.autograd.grad(segmentation_loss(logits, target, known, 1.0, boundary), logits)
        assert (gradient[known == 0] == 0).all()
        assert (gradient[known == 1] != 0).all()


def test_the_boundary_term_weighs_errors_near_the_boundary_more() -> None:
    target = torch.zeros(1, 1, 96, 96)
    target[..., 30:66, 30:66] = 1
    perfect = (target * 2 - 1) * 6
    at_edge, far_away = perfect.clone(), perfect.clone()
    at_edge[..., 28:30, 40:50] *= -1
    far_away[..., 2:4, 2:12] *= -1
    known = torch.ones_like(target)
    flat = [segmentation_loss(z, target, known).item() for z in (at_edge, far_away)]
    weighted = [segmentation_loss(z, target, known, 1.0, 5.0).item() for z in (at_edge, far_away)]
    assert flat[0] == pytest.approx(flat[1], rel=1e-5)
    assert weighted[0] > 1.3 * weighted[1]


def test_losses_of_halves_average_to_that_of_the_whole() -> None:
    """What makes two processes equal to one with twice the batch."""
    logits, target, known = batch(size=16)
    halves = [slice(0, 1), slice(1, 2), slice(2, 3)]
    heat = torch.nn.functional.avg_pool2d(logits, 4)
    whole = segmentation_loss(logits, target, known) + heat_map_loss([heat], target, known)
    parts = [
        segmentation_loss(logits[s], target[s], known[s]) + heat_map_loss([heat[s]], target[s], known[s])
        for s in halves
    ]
    assert whole.item() == pytest.approx(torch.stack(parts).mean().item(), rel=1e-5)


def test_the_heat_map_loss_compares_with_the_share_of_object_in_each_cell() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4, :4] = 1
    target[..., :2, 4:] = 1
    known = torch.ones_like(target)
    share = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
    heat = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(heat, share)
    assert heat_map_loss([heat, heat], target, known).item() == pytest.approx(expected.item(), rel=1e-6)
    assert heat_map_loss([], target, known).item() == 0


def test_the_schedule_rises_linearly_and_falls_as_a_cosine() -> None:
    config = OptimizerConfig(steps=1000, warmup=10, final=0.1)
    assert learning_rate_factor(config, 0) == pytest.approx(0.1, rel=1e-3)
    assert learning_rate_factor(config, 4) == pytest.approx(0.5, rel=1e-3)
    assert learning_rate_factor(config, 500) == pytest.approx(0.55)
    assert learning_rate_factor(config, 1000) == pytest.approx(0.1)
    constant = OptimizerConfig(steps=1000, warmup=10, schedule="constant")
    assert learning_rate_factor(constant, 999) == 1


def test_a_trapezoid_stays_at_the_peak_and_falls_by_the_square_root() -> None:
    config = OptimizerConfig(steps=1000, warmup=10, final=0.1, schedule="trapezoid", decay=400)
    longer = config.model_copy(update={"steps": 1500})
    assert learning_rate_factor(config, 4) == pytest.approx(0.5)
    assert [learning_rate_factor(config, step) for step in (9, 300, 599)] == [1, 1, 1]
    for step, expected in ((699, 0.1 + 0.9 / 2), (824, 0.1 + 0.9 / 4), (999, 0.1)):
        assert learning_rate_factor(config, step) == pytest.approx(expected)
        assert learning_rate_factor(longer, step + 500) == pytest.approx(expected)
    assert config.settled == 600
    assert all(learning_rate_factor(config, step) == learning_rate_factor(longer, step) for step in range(600))


def test_the_average_is_the_closed_form() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = MovingAverage(model, 0.6)
    expected = 0.0
    for step in range(20):
        torch.nn.init.constant_(model.weight, step)
        average.update(model, step)
        decay = min(0.6, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * step
    assert average.model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert not average.model.weight.requires_grad
