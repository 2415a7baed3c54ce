"""Numbers as a reader wants them: as many digits as mean something, the exact value kept beside them."""

from collections.abc import Iterable
from math import floor, isfinite, log10
from typing import Any, TypeGuard

from tutti.report._html import Markup, tag

Number = int | float
"""Any real number: `float` alone would not take a whole one where annotations are checked."""

UNKNOWN = "–"


def is_number(value: Any) -> TypeGuard[Number]:
    """Whether `value` is a finite number (True and False are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def decimals(values: Iterable[Any], significant: int = 3) -> int:
    """How many decimals show the largest of `values` with that many significant digits (0 where it is ≥ 100)."""
    largest = max((abs(v) for v in values if is_number(v)), default=1.0)
    if largest == 0 or largest == 1:
        return significant
    return min(max(significant - 1 - floor(log10(largest)), 0), 12)


def fixed(value: Any, places: int, *, sign: bool = False) -> str:
    """`value` with a fixed number of decimals, thousands apart, a true minus sign; an en dash where there is none."""
    if not is_number(value):
        return UNKNOWN
    text = f"{value:+,.{places}f}" if sign else f"{value:,.{places}f}"
    if not text.strip("+-0.,"):  # no negative zero
        text = text.lstrip("+-")
    return text.replace("-", "−")


def compact(value: Any, digits: int = 3) -> str:
    """A hyper-parameter: so many significant digits, 1e-05 as 1e-5, a true minus sign in front."""
    if not is_number(value):
        return UNKNOWN if value is None else str(value)
    text = f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return f"−{text[1:]}" if text.startswith("-") else text


def count(value: Any) -> str:
    """A whole number with its thousands apart."""
    return fixed(value, 0)


def exact(value: Any, text: str) -> Markup:
    """`text`, with the exact value for whoever reads the page by machine."""
    return tag("data", text, value=repr(value)) if is_number(value) else tag("span", text, class_="mute")


def interval(low: Any, high: Any, places: int, *, sign: bool = False) -> Markup:
    """ "low to high", or nothing where either is unknown."""
    if not (is_number(low) and is_number(high)):
        return Markup()
    ends = (exact(v, fixed(v, places, sign=sign)) for v in (low, high))
    first, last = ends
    return tag("span", first, " to ", last, class_="interval")


def seconds(value: Any) -> str:
    """A duration: 0.8 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if not is_number(value):
        return UNKNOWN
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
