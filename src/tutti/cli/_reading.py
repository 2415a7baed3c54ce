"""What was read, in words and as a table of columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from tutti.cli._text import TASKS, clean, count, listed
from tutti.core import Column, Finding, Kind, Role, Schema, Splits

_SHOWN = 15  # columns
_WIDE = 72  # characters of a console that has room for all
_SEVERITIES = {"notice": "Note", "warning": "Warning", "refused": "Refused"}
_HOW = {"group": "grouped", "time": "time-ordered", "group-time": "grouped, time-ordered"}
_NOUNS = {
    Kind.NUMBER: "number",
    Kind.CATEGORY: "category",
    Kind.BOOLEAN: "boolean",
    Kind.DATETIME: "date",
    Kind.TEXT: "text",
    Kind.IDENTIFIER: "identifier",
    Kind.CONSTANT: "constant",
}


def size(source: str, schema: Schema) -> str:
    """`titanic.csv: 891 rows, 15 columns`; `photos: 60,000 images, 28 x 28`."""
    if schema.summary:
        return f"{clean(source)}: {clean(schema.summary)}"
    return f"{clean(source)}: {count(schema.rows, 'row')}, {count(len(schema.columns), 'column')}"


def beside(schema: Schema) -> str:
    """`label (target), speaker (group)`: what stands beside samples that are no rows of a table."""
    return listed(
        [f"{clean(c.name)} ({'set aside' if c.role == Role.ASIDE else c.role.value})" for c in schema.columns]
    )


def kinds(schema: Schema) -> str:
    """`7 number, 5 category, 2 boolean` over the features, then what is set aside."""
    features = schema.inputs
    amounts = [(noun, sum(c.kind == kind for c in features)) for kind, noun in _NOUNS.items()]
    words = ", ".join(f"{amount} {noun}" for noun, amount in amounts if amount)
    aside = schema.with_role(Role.ASIDE)
    return (words or "none") + (f"; set aside: {listed([c.name for c in aside])}" if aside else "")


def columns(schema: Schema, width: int) -> Table:
    """A table of the columns: those with a part of their own first, then those set aside, then the features."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    wide = width >= _WIDE
    table.add_column("column", max_width=max(12, width // 3), overflow="ellipsis", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for name in ("missing", "distinct") if wide else ("missing",):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    rank = {Role.FEATURE: 2, Role.ASIDE: 1}
    ordered = sorted(schema.columns, key=lambda column: rank.get(column.role, 0))
    for column in ordered[:_SHOWN]:
        missing = f"{column.missing:,}" if column.missing else "-"
        amounts = (missing, f"{column.distinct:,}") if wide else (missing,)
        table.add_row(clean(column.name), column.kind.value, *amounts, _note(column))
    if len(ordered) > _SHOWN:
        table.caption = f"... and {len(ordered) - _SHOWN} more"
        table.caption_justify = "left"
    return table


def _note(column: Column) -> str:
    part = "" if column.role == Role.FEATURE else "set aside" if column.role == Role.ASIDE else column.role.value
    return clean("; ".join(words for words in (part, column.note) if words))


def asked(task: Mapping[str, Any], schema: Schema | None) -> str:
    """`Binary classification of survived (no 549, yes 342), judged by accuracy`."""
    names = [column.name for column in schema.with_role(Role.TARGET)] if schema else []
    words = TASKS.get(task["kind"], clean(str(task["kind"])))
    of = f" of {listed(names)}" if names else ""
    return f"{words}{of}{_counts(task)}, judged by {clean(str(task['metric']))}"


def _counts(task: Mapping[str, Any]) -> str:
    classes, counts = list(task.get("classes") or ()), task.get("counts") or {}
    amounts = counts if isinstance(counts, Mapping) else dict(zip(classes, counts, strict=False))
    if not amounts:
        return ""
    return f" ({listed([f'{name} {amount:,}' for name, amount in amounts.items()])})"


def declared(splits: Splits) -> str:
    """`712 rows to train on, in 5 stratified folds; 179 held out for the test`."""
    how = _HOW.get(splits.kind, splits.kind)
    held = f"{len(splits.test):,} held out for the test" if len(splits.test) else "none held out"
    folds = f"{len(splits.folds)} {how} fold{'' if len(splits.folds) == 1 else 's'}"
    unit = "" if splits.unit == "row" else f"; intervals by {splits.unit}"
    purged = f"; {len(splits.purged):,} left out between them" if len(splits.purged) else ""
    return f"{count(len(splits.train), 'row')} to train on, in {folds}; {held}{purged}{unit}"


def finding(found: Finding) -> str:
    """`Warning (alive): …`."""
    where = f" ({clean(found.where)})" if found.where else ""
    return f"{_SEVERITIES[found.severity]}{where}: {clean(found.message)}"


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    order = list(_SEVERITIES)[::-1]
    return sorted(findings, key=lambda found: order.index(found.severity))
