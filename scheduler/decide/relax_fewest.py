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
    wholes = tables.together(priced, [group.nodes for group in survey.groups])
    prices = [(int(whole[target]), at, target) for at, whole in enumerate(wholes) for target in shape.targets]
    price, at, cell = min(prices, default=(tables.NEVER, 0, ()))
    if price >= tables.NEVER:
        return None
    rows = survey.groups[at].nodes
    return [int(rows[row]) for row in tables.split(tables.combined(priced[rows]), cell) if marked[rows[row]]]
