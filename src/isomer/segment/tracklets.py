"""Tracklets of a whole video, and which of them are the same object."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow
from isomer.media import Labels
from isomer.media.labels import object_numbers
from isomer.segment.looks import Colours, count_colours


@dataclass
class Tracklet:
    frames: list[int] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    centres: list[NDArray] = field(default_factory=list)
    motions: list[NDArray] = field(default_factory=list)
    colours: NDArray | None = None
    all_colours: NDArray | None = None
    number: int = 0


class Record:
    def __init__(self):
        self.frame = 0
        self.tracklets: dict[int, Tracklet] = defaultdict(Tracklet)
        self.pairs = defaultdict(list)  # (i, j): (frame, gap, contact, motion difference)
        self.shots = []

    def add(self, labels, tracker, flow, colours):
        ids = tracker.tracklets
        numbers = object_numbers(labels)
        small = labels[::2, ::2]
        far = {}
        h, w = labels.shape
        fl = None if flow is None else flow
        for n in numbers:
            t = self.tracklets[int(ids[n])]
            m = labels == n
            t.number = n
            t.frames.append(self.frame)
            t.areas.append(int(m.sum()))
            ys, xs = np.nonzero(m)
            t.centres.append(np.array((xs.mean(), ys.mean())))
            t.motions.append(np.zeros(2) if fl is None else -np.median(fl[m], axis=0))
            c = count_colours(colours[m])
            t.all_colours = c if t.all_colours is None else t.all_colours + c
            if tracker.is_alone(n):
                t.colours = c if t.colours is None else t.colours + c
            far[n] = cv2.distanceTransform((small != n).astype(np.uint8), cv2.DIST_L2, 3) * 2.0
        for a, i in enumerate(numbers):
            for j in numbers[a + 1 :]:
                mj = small == j
                if not mj.any() or not (small == i).any(): continue
                d = far[i][mj]
                ti, tj = self.tracklets[int(ids[i])], self.tracklets[int(ids[j])]
                self.pairs[int(ids[i]), int(ids[j])].append((self.frame, float(d.min()), int((d <= 2.9).sum())*2, *(ti.motions[-1] - tj.motions[-1]), ti.areas[-1], tj.areas[-1]))
        self.frame += 1
