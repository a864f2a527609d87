"""Numbers as a reader wants them: short, with a unit, and never NaN.

Comes in: a number, or None. Goes out: text. What is missing or not finite becomes a dash.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeGuard

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIMES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a value is a finite number.

    Examples
    --------
    >>> [is_number(x) for x in (3, 0.5, None, float("nan"), True, "3")]
    [True, True, False, False, False, False]
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def fixed(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Format a number with a fixed number of decimals.

    Parameters
    ----------
    value : float or None
        The number.
    digits : int
        Decimals.
    sign : bool
        Write a plus before positive numbers.

    Returns
    -------
    str
        With thousands separated by commas and a true minus sign.

    Examples
    --------
    >>> fixed(5.4321), fixed(0.12, 3, sign=True), fixed(None)
    ('5.43', '+0.120', '\N{EN DASH}')
    """
    if value is None or not is_number(value):
        return MISSING
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.replace("-", "").replace("+", "")
    return text.replace("-", MINUS)


def count(value: float | None) -> str:
    """Format a whole number with thousands separated by commas.

    Examples
    --------
    >>> count(19968512)
    '19,968,512'
    """
    return fixed(value, 0)


def short(value: float | None, unit: str = "") -> str:
    """Format a number with three digits and a metric prefix.

    Examples
    --------
    >>> short(12071326, "bp"), short(999950, "bp"), short(512)
    ('12.1 Mbp', '1.00 Mbp', '512')
    """
    if value is None or not is_number(value):
        return MISSING
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995:
            scaled = value / factor
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{fixed(scaled, digits)} {prefix}{unit}"
    text = count(value) if float(value).is_integer() else fixed(value, 1)
    return f"{text} {unit}".rstrip()


def percent(share: float | None, more: int = 0) -> str:
    """Format a share between 0 and 1 in percent, with at least two digits that mean something.

    `more` digits are added, see `digits_apart`.

    Examples
    --------
    >>> percent(0.4567), percent(0.0712), percent(0.00449), percent(1.0), percent(0.0712, 1)
    ('45.7 %', '7.1 %', '0.45 %', '100 %', '7.12 %')
    """
    if share is None or not is_number(share):
        return MISSING
    value = 100 * share
    if value == 0 or abs(value) >= 99.95:
        digits = 0
    elif abs(value) >= 0.995:
        digits = 1
    elif abs(value) >= 0.0995:
        digits = 2
    else:
        digits = 3
    return f"{fixed(value, digits + more)} %"


def digits_apart(shares: Iterable[float]) -> int:
    """Return how many digits more, two at most, tell shares apart that are not equal.

    Examples
    --------
    >>> digits_apart([0.0753, 0.0748]), digits_apart([0.0753, 0.0748, 0.07481])
    (1, 2)
    """
    different = set(shares)
    return next(
        (more for more in (0, 1) if len({percent(x, more) for x in different}) == len(different)), 2
    )


def setting(share: float) -> str:
    """Format a share that was chosen, not measured, in percent with no more digits than it has.

    Examples
    --------
    >>> setting(0.15), setting(0.999)
    ('15 %', '99.9 %')
    """
    return f"{100 * share:g} %"


def one_in(probability: float | None) -> str:
    """Say a probability as "1 in so many".

    Examples
    --------
    >>> one_in(0.25), one_in(0.0047)
    ('1 in 4.0', '1 in 213')
    """
    if probability is None or not is_number(probability) or probability <= 0:
        return MISSING
    times = 1 / probability
    return f"1 in {fixed(times, 1 if times < 9.95 else 0)}"


def duration(seconds: float | None) -> str:
    """Format a time with its two largest units.

    Examples
    --------
    >>> duration(42.4), duration(1930), duration(230000)
    ('42 s', '32 min 10 s', '2 d 16 h')
    """
    if seconds is None or not is_number(seconds) or seconds < 0:
        return MISSING
    if seconds < 9.95:
        return f"{fixed(seconds, 1)} s"
    for (unit, size), (smaller, part) in pairwise(_TIMES):
        parts = round(seconds / part)  # first, so that 59.7 s is 1 min and never 60 s
        if parts * part >= size:
            whole, rest = divmod(parts, size // part)
            return f"{count(whole)} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{round(seconds)} s"


def brief_hash(digest: str, digits: int = 12) -> str:
    """Return the first digits of a hash.

    Examples
    --------
    >>> brief_hash("98981bbf0b5aa2b1")
    '98981bbf0b5a'
    """
    return digest[:digits]
