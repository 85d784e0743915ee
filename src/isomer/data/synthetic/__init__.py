"""Scenes in motion, made rather than filmed, whose masks and flow are exact.

`scene` renders layers that `motion` moves. Two make such scenes: `drawn` from nothing, for demonstrations and tests,
`cutouts` from still images, for training. `clip` writes them as videos and as sequences to train on.
"""
