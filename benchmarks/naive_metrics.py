"""The measures as their definitions read, pass by pass: the oracle of the tests and of the benchmark.

Arrays are uint8 [H, W]; nothing here is fast, and nothing is shared with `isomer.metrics`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import binary_dilation, convolve, distance_transform_edt

EPS = 2.22e-16


def region_similarity(prediction, annotation):
    """J of one frame."""
    p, g = prediction > 128, annotation > 0
    return 1.0 if not (p | g).any() else (p & g).sum() / (p | g).sum()


def boundary(mask):
    """Boundary map of a mask, by neighbours replicated at the border."""
    right = np.column_stack((mask[:, 1:], mask[:, -1:]))
    below = np.vstack((mask[1:], mask[-1:]))
    both = np.vstack((right[1:], right[-1:]))
    result = (mask ^ right) | (mask ^ below) | (mask ^ both)
    result[-1] = mask[-1] ^ right[-1]
    result[:, -1] = mask[:, -1] ^ below[:, -1]
    result[-1, -1] = False
    return result


def boundary_accuracy(prediction, annotation):
    """F of one frame, by a dilation with the whole disk."""
    p, g = boundary(prediction > 128), boundary(annotation > 0)
    radius = math.ceil(0.008 * math.sqrt(p.shape[0] ** 2 + p.shape[1] ** 2))
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = x * x + y * y <= radius * radius
    if not p.any() or not g.any():
        return float(not p.any() and not g.any())
    precision = (p & binary_dilation(g, disk)).sum() / p.sum()
    recall = (g & binary_dilation(p, disk)).sum() / g.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def prepare(prediction, annotation):
    """The map stretched to [0, 1] and the boolean annotation."""
    p = prediction / 255
    if p.max() != p.min():
        p = (p - p.min()) / (p.max() - p.min())
    return p, annotation > 128


def mae(prediction, annotation):
    """MAE of one frame."""
    p, g = prepare(prediction, annotation)
    return np.abs(p - g).mean()


def masks(prediction, annotation):
    """The 256 binary maps, highest threshold first, and the adaptive one."""
    p, _ = prepare(prediction, annotation)
    levels = (p * 255).astype(np.uint8)
    return [levels >= level for level in range(255, -1, -1)] + [p >= min(2 * p.mean(), 1)]


def f_measure(prediction, annotation):
    """(F, precision, recall), each [257], of one frame: the curve and the adaptive threshold."""
    g = annotation > 128
    rows = []
    for mask in masks(prediction, annotation):
        hits = (mask & g).sum()
        precision, recall = hits / max(mask.sum(), 1), hits / max(g.sum(), 1)
        f = 1.3 * precision * recall / (0.3 * precision + recall) if hits else 0.0
        rows.append((f, precision, recall))
    return np.array(rows).T


def e_measure(prediction, annotation):
    """E, [257], of one frame."""
    g = annotation > 128
    scores = []
    for mask in masks(prediction, annotation):
        if not g.any():
            enhanced = 1.0 - mask
        elif g.all():
            enhanced = 1.0 * mask
        else:
            phi_p, phi_g = mask - mask.mean(), g - g.mean()
            enhanced = (2 * phi_p * phi_g / (phi_p**2 + phi_g**2 + EPS) + 1) ** 2 / 4
        scores.append(enhanced.sum() / (g.size - 1 + EPS))
    return np.array(scores)


def s_measure(prediction, annotation):
    """S of one frame."""
    p, g = prepare(prediction, annotation)
    if not g.any():
        return 1 - p.mean()
    if g.all():
        return p.mean()

    def similarity(x):
        sigma = x.std(ddof=1) if x.size > 1 else 0.0
        return 2 * x.mean() / (x.mean() ** 2 + 1 + sigma + EPS)

    def ssim(x, y):
        n = x.size - 1 + EPS
        vx, vy = ((x - x.mean()) ** 2).sum() / n, ((y - y.mean()) ** 2).sum() / n
        alpha = 4 * x.mean() * y.mean() * ((x - x.mean()) * (y - y.mean())).sum() / n
        beta = (x.mean() ** 2 + y.mean() ** 2) * (vx + vy)
        return alpha / (beta + EPS) if alpha else float(beta == 0)

    objects = g.mean() * similarity(p[g]) + (1 - g.mean()) * similarity(1 - p[~g])
    row, column = (int(np.round(axis.mean())) + 1 for axis in np.nonzero(g))
    regions = 0.0
    for rows in (slice(None, row), slice(row, None)):
        for columns in (slice(None, column), slice(column, None)):
            x, y = p[rows, columns], g[rows, columns].astype(float)
            if not x.size:
                return math.nan
            regions += ssim(x, y) * x.size / p.size
    return max(0.0, 0.5 * objects + 0.5 * regions)


def weighted_f_measure(prediction, annotation):
    """Weighted F of one frame."""
    p, g = prepare(prediction, annotation)
    if not g.any():
        return 0.0
    distance, (row, column) = distance_transform_edt(~g, return_indices=True)
    error = np.abs(p - g)
    spread = np.where(g, error, error[row, column])
    window = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    kernel = np.outer(window, window) / window.sum() ** 2
    least = np.where(g, np.minimum(error, convolve(spread, kernel, mode="constant")), error)
    weighted = least * np.where(g, 1, 2 - np.exp(np.log(0.5) / 5 * distance))
    true, false = g.sum() - weighted[g].sum(), weighted[~g].sum()
    recall, precision = 1 - weighted[g].mean(), true / (true + false + EPS)
    return 2 * recall * precision / (recall + precision + EPS)
