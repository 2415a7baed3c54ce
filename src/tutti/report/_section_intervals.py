"""The bands around forecasts: what they promise beside what they held."""

from collections.abc import Mapping, Sequence
from typing import Any

from tutti.report._facts import Facts
from tutti.report._html import Child
from tutti.report._numbers import count, decimals, exact, fixed, interval, is_number
from tutti.report._parts import Section, quiet, table, unfold
from tutti.report._words import share

MOST_STEPS = 24


def intervals(facts: Facts) -> Section | None:
    """The nominal level beside the share of the test's truths that lay inside; nothing where there are no bands."""
    found = facts.details.get("intervals") or {}
    level, held, widths = found.get("level"), found.get("held") or {}, found.get("width") or []
    if not is_number(level) or not widths:
        return None
    promised = share(level, 1)
    said: list[Child] = [f"The band around each forecast should hold {promised} of what comes."]
    value, low, high = held.get("value"), held.get("low"), held.get("high")
    if is_number(value):
        measured = [exact(value, fixed(value, 3)), " of the test values (95 % interval ", interval(low, high, 3)]
        said += [" It held a share of ", *measured, "): ", _reading(level, low, high)]
    rows = f" on {count(found['n'])} {facts.noun}s" if is_number(found.get("n")) else ""
    how = f"Half its width is the error that {promised} of the forecasts{rows} did not exceed, step by step, by "
    how += "networks that had not trained on them (split conformal prediction). The future need not be like those: "
    how += "this is why it is measured on the test."
    shown = [quiet(how), _steps(facts, found, widths)]
    return Section(key="intervals", title="Forecast intervals", said=said, shown=shown)


def _reading(level: float, low: Any, high: Any) -> str:
    if not (is_number(low) and is_number(high)):
        return "how sure that is, is not known."
    if low <= level <= high:
        return "no clear difference from what it promises."
    return "more than it promises, so it is wider than it had to be." if low > level else "less than it promises."


def _steps(facts: Facts, found: Mapping[str, Any], widths: Sequence[Any]) -> Child:
    """Half widths, and where it was measured the coverage, step by step; of many steps some, evenly."""
    series = max(1, len(facts.target))
    if len(widths) % series:
        return None
    steps, each = len(widths) // series, found.get("held_each") or []
    stride = -(-steps // MOST_STEPS)
    chosen = sorted({*range(0, steps, stride), steps - 1})
    places = decimals(widths)
    rows: list[list[Child]] = []
    for step in chosen:
        for place in range(series):
            output = step * series + place
            row: list[Child] = [count(step + 1)] if series == 1 else [f"{facts.target[place]}, {step + 1}"]
            row.append(exact(widths[output], fixed(widths[output], places)))
            if len(each) == len(widths):
                row.append(exact(each[output], share(each[output], 1)))
            rows.append(row)
    head = ["Steps ahead", "± half width", *(["Test values held"] if len(each) == len(widths) else [])]
    first, last = (fixed(widths[i], places) for i in (0, -series))
    summary = f"The band step by step: ± {first} at the first, ± {last} at the last" if steps > 1 else "In numbers"
    return unfold(summary, table("The band of each step ahead.", head, rows, words=() if series == 1 else (0,)))
