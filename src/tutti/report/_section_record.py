"""What it took: the optimism of the search, the plan, the environment, and how to get the same again."""

from typing import Any

from tutti.report._facts import Facts
from tutti.report._html import Child, tag
from tutti.report._numbers import compact, decimals, exact, fixed, interval, is_number, seconds
from tutti.report._parts import Section, pairs, quiet
from tutti.report._words import capital, plural, spaced

_NAMES = {"tutti": "tutti", "python": "Python", "torch": "PyTorch", "numpy": "NumPy"}


def optimism(facts: Facts) -> Section:
    """How much the best of many flatters itself, and the score without that."""
    found = facts.details.get("optimism") or {}
    value = found.get("value")
    if not is_number(value):
        return Section(key="optimism", title="Optimism of the search")
    tried = len(facts.details.get("settings") or [])
    of = f"the best of {plural(tried, 'setting')}" if tried else "the best setting"
    mean, corrected = facts.cv.get("mean"), found.get("corrected")
    places = decimals([mean, corrected])
    finer = min(max(places, decimals([value], significant=1)), places + 2)
    parts: list[Child] = [
        f"Whoever takes {of} takes its luck too: here about ",
        exact(value, fixed(value, finer)),
        f" in {facts.metric_words}.",
    ]
    rows: list[tuple[str, Child]] = []
    if is_number(mean):
        ends = interval(facts.cv.get("low"), facts.cv.get("high"), places)
        rows.append(("Selection score (cross-validated)", [exact(mean, fixed(mean, places)), " ", ends]))
    if is_number(corrected):
        ends = interval(found.get("low"), found.get("high"), places)
        rows.append(("Corrected for the search", [exact(corrected, fixed(corrected, places)), " ", ends]))
    why = "A selection score comes from rows that took part in choosing. It never enters the verdict."
    shown = [pairs(rows, class_="record"), quiet(why)]
    return Section(key="optimism", title="Optimism of the search", said=parts, shown=shown)


def plan(facts: Facts) -> Section:
    """What was planned before anything was trained."""
    if not facts.plan:
        return Section(key="plan", title="The plan")
    said = "What was to be done, written down before it was begun."
    return Section(
        key="plan", title="The plan", said=said, shown=tag("ul", *(tag("li", line) for line in facts.plan))
    )


def environment(facts: Facts) -> Section:
    """Versions and hardware."""
    if not facts.environment:
        return Section(key="environment", title="Environment")
    said = "Versions and hardware. The same numbers come back on the same of both."
    rows: list[tuple[str, Child]] = [
        (_NAMES.get(k, capital(spaced(str(k)))), _words(v)) for k, v in facts.environment.items()
    ]
    rows.append(("Run began", facts.created.replace("T", " ").replace("+00:00", " UTC")))
    if is_number(facts.result.get("seconds")):
        rows.append(("Took", seconds(facts.result["seconds"])))
    return Section(key="environment", title="Environment", said=said, shown=pairs(rows, class_="record"))


def reproduce(facts: Facts) -> Section:
    """The command that repeats the run, and the winner in full."""
    lines = [f"tutti rerun {facts.folder}"]
    seed = facts.config.get("seed", (facts.config.get("options") or {}).get("seed"))
    said = "The same data, splits, plan and random numbers again"
    said += f" (seed {seed})." if is_number(seed) else "."
    parts: list[Child] = [tag("pre", tag("code", "\n".join(lines)), tabindex="0")]
    if facts.best:
        rows: list[tuple[str, Child]] = [(capital(spaced(k)), _words(v)) for k, v in facts.best.items()]
        parts += [tag("h3", "The winning setting"), pairs(rows, class_="record")]
    return Section(key="reproduce", title="How to reproduce it", said=said, shown=parts)


def _words(value: Any) -> Child:
    if is_number(value):
        return exact(value, compact(value) if isinstance(value, float) else str(value))
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "none"
    return "unknown" if value is None else str(value)
