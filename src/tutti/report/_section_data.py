"""What was read, what was found in it, and how it was split."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tutti.report._chart_splits import split_chart
from tutti.report._facts import Facts
from tutti.report._html import Child, Markup, tag
from tutti.report._numbers import count, decimals, exact, fixed, is_number
from tutti.report._parts import Section, figure, figures, quiet, table, unfold
from tutti.report._words import capital, listed, plural, quoted, share, spaced, split_words

MANY_COLUMNS = 20
_PLURALS = {"category": "categories"}
_SEVERITIES = {"notice": ("○", "Notice"), "warning": ("▲", "Warning"), "refused": ("■", "Refused")}


def data(facts: Facts) -> Section:
    """The columns with their kinds and roles, and the classes with their counts."""
    columns = facts.schema.get("columns") or []
    if not columns:
        return Section(key="data", title="What was read")
    special = [c for c in columns if c.get("role") != "feature"]
    few = len(columns) <= MANY_COLUMNS
    parts = [
        _columns("All columns, as they were read.", columns) if few else None,
        _columns("The columns that are no features.", special) if special and not few else None,
        None if few else unfold(f"All {len(columns)} columns", _columns("All columns, as they were read.", columns)),
        _classes(facts),
    ]
    return Section(key="data", title="What was read", said=_reading(facts, columns), shown=parts)


def findings(facts: Facts) -> Section:
    """Everything that a check saw, the gravest first."""
    if "findings" not in facts.result:
        return Section(key="findings", title="Findings")
    found = facts.result.get("findings") or []
    if not found:
        said = "The checks (duplicates, leaks from the target, order in time, odd values) saw nothing."
        return Section(key="findings", title="Findings", said=said)
    order = ["refused", "warning", "notice"]
    ordered = sorted(found, key=lambda f: order.index(f["severity"]) if f.get("severity") in order else 1)
    body = tag("ul", *(_finding(f) for f in ordered), class_="findings")
    said = f"{plural(len(found), 'thing')} that the checks saw, the gravest first."
    return Section(key="findings", title="Findings", said=said, shown=body)


def splits(facts: Facts) -> Section:
    """How the rows were divided, and how often the test rows were looked at."""
    found = facts.details.get("splits") or {}
    train, test, folds = found.get("rows_train"), found.get("rows_test") or 0, found.get("folds")
    if not is_number(train):
        return Section(key="splits", title="Splits")
    kind, unit = str(found.get("kind") or ""), str(found.get("unit") or "row")
    noun = facts.noun
    words = f"{plural(train, noun)} to train and choose on"
    words += f", {plural(test, noun)} kept apart for the test." if test else f"; no {noun} was kept apart for a test."
    words += f" They were divided {split_words(kind)}." if kind else ""
    judging = found.get("rows_judging")
    if folds == 1 and is_number(judging):
        words += f" {plural(judging, noun)} of the former were held out to choose settings and steps."
    drawn = None
    if is_number(folds) and 1 < folds <= MANY_COLUMNS and kind != "given":
        title = f"{plural(folds, 'fold')} and {plural(test, f'test {noun}')}"
        ordered = kind == "time"
        how = (
            f"Each fold trains on the {noun}s before its validation block"
            if ordered
            else "Each fold trains on the others"
        )
        chart = split_chart(
            "splits-chart",
            folds=int(folds),
            train=int(train),
            test=int(test),
            ordered=ordered,
            title=title,
            description=f"{words} {how}.",
        )
        drawn = figures(figure(chart, f"{how}. Widths are to scale; blocks stand for {noun}s that may lie anywhere."))
        if ordered:
            drawn = figures(figure(chart, f"{how}. Time runs from left to right."))
    parts = [drawn, _fold_scores(facts), _units(unit, noun), _looked(found, noun)]
    return Section(key="splits", title="Splits", said=words, shown=parts)


def _reading(facts: Facts, columns: list[Mapping[str, Any]]) -> str:
    features = Counter(str(c.get("kind")) for c in columns if c.get("role") == "feature")
    kinds = [plural(n, kind, _PLURALS.get(kind, "")) for kind, n in features.most_common()]
    others = [
        f"{quoted(str(c['name']))} is the {c['role']}" for c in columns if c.get("role") not in ("feature", "aside")
    ]
    aside = sum(c.get("role") == "aside" for c in columns)
    rows = facts.schema.get("rows") or (facts.result.get("data") or {}).get("rows")
    said = f"{plural(rows, 'row')} and " if is_number(rows) else ""
    said += f"{plural(len(columns), 'column')}."
    summary = (facts.schema.get("sample") or {}).get("summary")
    said = f"{summary}." if summary else said
    said += f" Features: {listed(kinds)}." if kinds else ""
    said += f" {listed(others)}." if others and len(others) <= 6 else ""
    return said + (f" {plural(aside, 'column was', 'columns were')} set aside." if aside else "")


def _columns(caption: str, columns: list[Mapping[str, Any]]) -> Markup:
    rows: list[list[Child]] = [
        [
            str(c.get("name")),
            str(c.get("kind") or ""),
            str(c.get("role") or ""),
            count(c.get("missing")),
            count(c.get("distinct")),
            str(c.get("note") or ""),
        ]
        for c in columns
    ]
    head = ["Column", "Kind", "Role", "Missing", "Distinct", "Note"]
    return table(caption, head, rows, words=(0, 1, 2, 5), class_="columns")


def _classes(facts: Facts) -> Markup | None:
    counts = facts.details.get("class_counts") or {}
    total = sum(n for n in counts.values() if is_number(n))
    if not total:
        return None
    rows: list[list[Child]] = [[str(c), count(n), share(n, total, 1)] for c, n in counts.items()]
    shown = table("The classes of the target.", ["Class", f"{capital(facts.counted)}s", "Share"], rows)
    return shown if len(rows) <= MANY_COLUMNS else unfold(f"All {len(rows)} classes", shown)


def _finding(found: Mapping[str, Any]) -> Markup:
    severity = str(found.get("severity") or "warning")
    sign, word = _SEVERITIES.get(severity, ("▲", severity))
    where = str(found.get("where") or "")
    return tag(
        "li",
        tag("span", sign, class_="sign", aria_hidden="true"),
        tag(
            "div",
            tag(
                "p", tag("strong", word), " · ", spaced(str(found.get("kind") or "")).replace("-", " "), class_="kind"
            ),
            tag("p", tag("code", where) if where else None, " " if where else None, str(found.get("message") or "")),
        ),
        class_=f"finding {severity if severity in _SEVERITIES else 'warning'}",
    )


def _fold_scores(facts: Facts) -> Markup | None:
    values = facts.details.get("fold_scores") or []
    known = [v for v in values if is_number(v)]
    if not known:
        return None
    places = decimals(known)
    shown: list[Child] = []
    for v in known:
        shown += [", " if shown else "", exact(v, fixed(v, places))]
    where = ", fold by fold: " if len(known) > 1 else f" on the {facts.noun}s held out: "
    return quiet(f"Validation {facts.metric_words} of the winning setting{where}", shown, ".")


def _units(unit: str, noun: str) -> Markup | None:
    words = {"group": "whole groups", "block": "blocks of time"}.get(unit)
    return quiet(f"Intervals resample {words}, not single {noun}s.") if words else None


def _looked(found: Mapping[str, Any], noun: str) -> Markup | None:
    """Whether the test was fresh (`test_looked_at` counts what came before this run)."""
    before = found.get("test_looked_at")
    if not is_number(before) or not found.get("rows_test"):
        return None
    if before == 0:
        return quiet(f"No earlier run beside this one had looked at these test {noun}s.")
    return quiet(
        f"Earlier runs had looked at these test {noun}s: choosing by their score makes it a little too good."
    )
