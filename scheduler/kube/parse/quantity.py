"""Kubernetes quantities as whole numbers: cpu in thousandths, everything else in units, rounded up as Kubernetes rounds.

The grammar is apimachinery's (sign, digits, fraction, then a binary suffix, a decimal suffix or an exponent). What cannot be
meant (a word, a negative amount, more than 2^60) is a ValueError whose text says what is expected.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LARGEST: Final = 2**60
"""The largest amount that is read. Kubernetes goes on to 2^63-1, but differences and sums of two are exact in 64 bits only up to here:
an exbibyte of memory."""

CPU: Final = "cpu"
_NATIVE: Final = frozenset({CPU, "memory", "ephemeral-storage", "storage", "pods"})
_FRACTIONAL_PREFIXES: Final = ("hugepages-", "requests.", "limits.", "attachable-volumes-")

_GRAMMAR: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:([eE])([+-]?[0-9]+)|([KMGTPE]i)|([numkMGTPE]?))", re.ASCII)
_POWERS_OF_TEN: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_POWERS_OF_TWO: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_LONGEST: Final = 64
"""Characters of the longest quantity that is read: 64-bit amounts with nano fractions need fewer than 40."""
_STEEPEST: Final = 40
"""Exponents beyond it are out of range whatever the digits say (at most 64 of them)."""

EXPECTED: Final = 'a quantity such as "500m", "8" or "64Gi", from 0 to 2^60'
EXPECTED_WHOLE: Final = "a whole number of devices, from 0 to 2^60"


def is_extended(name: str) -> bool:
    """Tell whether a resource is counted in whole devices (``nvidia.com/gpu``); Kubernetes refuses fractions of them."""
    return name not in _NATIVE and not name.startswith(_FRACTIONAL_PREFIXES) and "/" in name


def amount(name: str, value: object) -> int:
    """Return the amount of one resource from what JSON or YAML holds (a string or a number).

    Raises ValueError, with the sentence that says what is expected, for what is no quantity, is negative or too large.
    """
    whole = is_extended(name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, str) and not (number and _is_short(value)):
        raise ValueError(EXPECTED_WHOLE if whole else EXPECTED)
    return _read(value if isinstance(value, str) else repr(value), 3 if name == CPU else 0, whole)


def _is_short(value: object) -> bool:
    """Tell whether a number can be written out: Python refuses to write integers of thousands of digits."""
    return not isinstance(value, int) or abs(value) <= LARGEST


@lru_cache(maxsize=16384)
def _read(text: str, digits: int, whole: bool) -> int:
    expected = EXPECTED_WHOLE if whole else EXPECTED
    match = _GRAMMAR.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(expected)
    sign, before, after, _, exponent, binary, decimal = match.groups()
    after = after or ""
    if not before and not after:
        raise ValueError(expected)
    mantissa = int(before + after)
    if sign == "-" and mantissa:
        raise ValueError(expected)
    shift = 0 if binary else int(exponent) if exponent else _POWERS_OF_TEN[decimal]
    numerator, denominator = _scaled(mantissa, shift - len(after) + digits)
    if binary:
        numerator <<= _POWERS_OF_TWO[binary]
    units, rest = divmod(numerator, denominator)
    found = units + (rest > 0)
    if found > LARGEST or (rest and whole):
        raise ValueError(expected)
    return found


def _scaled(mantissa: int, power: int) -> tuple[int, int]:
    """Return ``mantissa * 10**power`` as a fraction, without building numbers that nobody can mean."""
    if mantissa == 0:
        return 0, 1
    if power > _STEEPEST:
        raise ValueError(EXPECTED)
    if power < -3 * _STEEPEST:
        return 1, 2  # less than one unit, more than none: rounds up to one
    return (mantissa * 10**power, 1) if power >= 0 else (mantissa, 10**-power)
