"""The fewest marked nodes (cordoned, without a label) that a gang needs beside the nodes that it may use anyway; by counting."""

from __future__ import annotations

import numpy as np

from scheduler.decide import relax_tables as tables
from scheduler.decide.counting import Bools, Ground
from scheduler.decide.survey import Survey


def fewest(survey: Survey, ground: Ground, marked: Bools) -> list[int] | None:
    """Return the positions of the fewest marked nodes in one domain that are enough, ``None`` where all of them are not.

    ``ground`` is what nodes hold when the marks are gone. Where roles are too many to be counted, ``None`` as well.
    """
    shape = tables.Shape(ground=ground)
    if not ground.roles or not ground.exact or shape.core < 1:
        return None
    priced = tables.fitting(shape, ground.free, ground.allowed)
    priced[marked] = np.where((priced[marked] < tables.NEVER) & (np.arange(priced[0].size).reshape(priced[0].shape) > 0), 1, priced[marked])
    best: tuple[int, list[int]] | None = None
    for group in survey.groups:
        rows = group.nodes[(priced[group.nodes].reshape(len(group.nodes), -1)[:, 1:] < tables.NEVER).any(axis=1)]
        if not len(rows):
            continue
        levels = tables.combined(priced[rows])
        cell = min(shape.targets, key=lambda target: int(levels[-1][0][target]))
        price = int(levels[-1][0][cell])
        if price < tables.NEVER and (best is None or price < best[0]):
            best = price, [int(rows[at]) for at in tables.split(levels, cell) if marked[rows[at]]]
    return None if best is None else best[1]
