"""Arithmetic on curves, in batches: what a curve is, sums of two, prices, and curves by segments made of curves by pods.

A curve is a table over how much of each axis (pods of a role, or segments of a kind) a domain holds: the least price at which it
holds at least that much, `NEVER` where it cannot. A batch is int64[B, *box], all curves of one box.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scheduler.solve.problem import Ints

NEVER: Final = 2**61
"""The price of what cannot be held: two of them still add up within 64 bits, and every real price is below."""
_AT_ONCE: Final = 2**18
"""Sums that are made in one piece; beyond, a loop over the smaller curve needs less memory and is as fast."""
_CACHED: Final = 2**15


def convolve(left: Ints, right: Ints, box: tuple[int, ...]) -> Ints:
    """Return for each pair the least price of holding k in both together: min over j of left[k - j] + right[j]."""
    if left[0].size < right[0].size:
        left, right = right, left
    left = left[:, *(slice(n) for n in box)]
    right = right[:, *(slice(n) for n in box)]
    cells = prod(box)
    if len(left) * cells * right[0].size <= _AT_ONCE:
        return _at_once(left, right, box)
    step = max(1, _CACHED // cells)
    parts = [_by_shifts(left[at : at + step], right[at : at + step], box) for at in range(0, len(left), step)]
    return np.concatenate(parts)


def _at_once(left: Ints, right: Ints, box: tuple[int, ...]) -> Ints:
    """Lay every shift of ``left`` beside each other without copying, add ``right``, take the least."""
    small = right.shape[1:]
    padded = np.full((len(left), *(n + m - 1 for n, m in zip(box, small, strict=True))), NEVER, dtype=np.int64)
    padded[:, *(slice(m - 1, m - 1 + n) for n, m in zip(left.shape[1:], small, strict=True))] = left
    origin = padded[:, *(slice(m - 1, None) for m in small)]
    strides = padded.strides
    shifted = as_strided(origin, (len(left), *box, *small), (*strides, *(-n for n in strides[1:])), writeable=False)
    sums = shifted + right.reshape(len(right), *(1 for _ in box), *small)
    found: Ints = sums.reshape(len(left), *box, -1).min(axis=-1)
    return np.minimum(found, NEVER)


def _by_shifts(left: Ints, right: Ints, box: tuple[int, ...]) -> Ints:
    found = np.full((len(left), *box), NEVER, dtype=np.int64)
    for shift in product(*(range(n) for n in right.shape[1:])):
        more = right[:, *(slice(at, at + 1) for at in shift)]
        size = tuple(min(n, m - at) for n, m, at in zip(left.shape[1:], box, shift, strict=True))
        into = found[:, *(slice(at, at + n) for at, n in zip(shift, size, strict=True))]
        np.minimum(into, left[:, *(slice(n) for n in size)] + more, out=into)
    return found


def split(left: Ints, right: Ints, amount: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the first division of an amount between two curves that has the least price."""
    low = [max(0, k - (n - 1)) for k, n in zip(amount, right.shape, strict=True)]
    high = [min(k, n - 1) for k, n in zip(amount, left.shape, strict=True)]
    first = left[*(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    second = right[*(slice(k - b, k - a + 1) for k, a, b in zip(amount, low, high, strict=True))]
    sums = first + second[(slice(None, None, -1),) * len(amount)]
    at = np.unravel_index(int(sums.argmin()), sums.shape)
    there = tuple(a + int(i) for a, i in zip(low, at, strict=True))
    return there, tuple(k - n for k, n in zip(amount, there, strict=True))


def priced(curves: Ints, price: Ints) -> Ints:
    """Add to each curve the price of holding anything at all."""
    flat = curves.reshape(len(curves), -1)
    found = flat + price[:, None]
    found[:, 0] = flat[:, 0]
    return np.asarray(np.minimum(found, NEVER).reshape(curves.shape))


def reindexed(curves: Ints, sizes: Ints, box: tuple[int, ...]) -> Ints:
    """Return curves by segments: y segments of each kind hold sum of y[s] * sizes[s]; ``sizes`` is int64[kinds, axes]."""
    amounts = np.stack([axis.ravel() for axis in np.indices(box)], axis=1) @ sizes
    inner = np.array(curves.shape[1:], dtype=np.int64)
    inside = (amounts < inner).all(axis=1)
    flat = np.minimum(amounts, inner - 1) @ np.append(np.cumprod(inner[:0:-1])[::-1], 1)
    found = np.where(inside, curves.reshape(len(curves), -1)[:, flat], NEVER)
    return found.reshape(len(curves), *box)


def fewest_nodes(loads: Ints, box: tuple[int, ...], most: int) -> Ints:
    """Return int64[*box]: how many equal nodes with these maximal loads hold each amount; ``most + 1`` where so many cannot."""
    if len(box) == 1:
        return np.minimum(-(-np.arange(box[0]) // int(loads.max())), most + 1)
    grid = np.stack([axis.ravel() for axis in np.indices(box)], axis=1).astype(np.int64)
    strides = np.append(np.cumprod(np.array(box[:0:-1], dtype=np.int64))[::-1], 1)
    before = [np.maximum(grid - load, 0) @ strides for load in loads]
    found = np.full(len(grid), most + 1, dtype=np.int64)
    found[0] = 0
    for nodes in range(1, most + 1):
        reached = np.zeros(len(grid), dtype=np.bool_)
        for source in before:
            reached |= found[source] < nodes
        new = reached & (found > nodes)
        if not new.any():
            break
        found[new] = nodes
    return found.reshape(box)
