"""From a source to a declared problem: read, task, splits, leaks set aside. Nothing is fitted yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from tutti.core import Finding, InputError, Observer, Role, Schema, Splits
from tutti.data import (
    Table,
    declare_splits,
    encode,
    find_leaks,
    fingerprint_rows,
    read,
    warn_shuffled_time,
)
from tutti.learn._options import Options
from tutti.metrics import metric_of, metrics_for
from tutti.tasks import Binary, Multiclass, Task, class_weights, infer

TEST_SIZE = 0.2
IMBALANCED = 10  # times as many rows of the most common class as of the rarest are worth a notice


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A table with its task and splits: what every later step works on, and what a rerun must find again.

    target: encoded, all rows. weights: one number per row, or None. metric: what selects settings and is quoted
    first. test_fingerprint: of the test rows' content, or None where none are held out.
    """

    table: Table
    task: Task
    metric: str
    splits: Splits
    target: Num[np.ndarray, "rows ..."]
    weights: Float[np.ndarray, " rows"] | None
    findings: tuple[Finding, ...]
    test_fingerprint: str | None

    @property
    def schema(self) -> Schema:
        return self.table.schema

    @property
    def numbers(self) -> Float[np.ndarray, "rows number"]:
        return self.table.numbers

    @property
    def codes(self) -> Int[np.ndarray, "rows category"]:
        return self.table.codes


def declare(source: Any, options: Options, observer: Observer, *, splits: Splits | None = None) -> Declared:
    """Reads the source and declares task and splits, or takes the splits of an earlier run."""
    table = read(
        source,
        target=options.target,
        reading=options.reading,
        kinds=options.kinds,
        keep=options.keep,
        drop=options.drop,
        time=options.time,
        group=options.group,
        series=options.series,
        weight=options.weight,
        task_kind=options.task,
    )
    return declare_table(table, options, observer, splits=splits)


def declare_table(table: Table, options: Options, observer: Observer, *, splits: Splits | None = None) -> Declared:
    """Declares task and splits of a table, checks for leaks, and tells the observer."""
    table, test_rows = _with_test(table, options)
    if table.target is None:
        raise InputError("There is no target.", fix="Name the column to predict: --target COLUMN")
    names = [c.name for c in table.schema.with_role(Role.TARGET)]
    task = infer(table.target, names, options.task or table.task)
    target = task.encode(table.target)
    findings = list(table.findings)
    if splits is None:
        splits, found = _splits(table, task, target, options, test_rows)
        findings += found
    elif splits.rows != table.rows:
        raise InputError(
            f"The data have changed since the run was fitted: {splits.rows:,} rows then, {table.rows:,} now.",
            fix="Fit anew, or put the old data back.",
        )
    table = table.settled(splits.train)
    given = splits.kind == "given" or test_rows is not None
    leaks = find_leaks(table, target, splits, keep=options.keep, given=given)
    findings += [*warn_shuffled_time(table.schema, splits), *leaks.findings, *_imbalance(task, target, options)]
    aside = {f.where: f.message for f in leaks.findings if f.kind == "target-copy"}
    table = _without(table, leaks.columns_to_set_aside, aside)
    observer.on_read(table.source, table.schema, findings)
    if leaks.refused:
        raise InputError(" ".join(f.message for f in leaks.refused))
    if table.sample is None and not table.schema.numbers and not table.schema.categories:
        raise InputError("No column is left to learn from.", fix="Use --keep or --kind to bring columns back.")
    metric = _metric(options.metric or table.metric, task)
    fingerprint = None
    if len(splits.test):
        fingerprint = fingerprint_rows(table.hashes(target)[splits.test])
    described = {"kind": task.kind, "classes": list(task.classes), "counts": task.counts(target), "metric": metric}
    observer.on_task(described, splits)
    return Declared(
        table=table,
        task=task,
        metric=metric,
        splits=splits,
        target=target,
        weights=_weights(table, task, target, splits, options),
        findings=tuple(findings),
        test_fingerprint=fingerprint,
    )


def _metric(wanted: str | None, task: Task) -> str:
    name = metric_of(wanted or task.default_metric).name
    suitable = metrics_for(task.kind)
    if name not in suitable:
        raise InputError(f"{name} does not suit a {task.kind} task.", fix=f"There is: {', '.join(suitable)}.")
    return name


def _splits(
    table: Table, task: Task, target: np.ndarray, options: Options, test_rows: np.ndarray | None
) -> tuple[Splits, list[Finding]]:
    classes = isinstance(task, Binary | Multiclass)
    size = TEST_SIZE if options.test_size is None else float(options.test_size)
    splits, found = declare_splits(
        table.rows,
        target=target if classes else None,
        classes=task.classes if classes else (),
        test_size=size,
        test_rows=test_rows,
        folds=_folds(table, options, test_rows),
        groups=table.group,
        time=table.time,
        series=table.series,
        gap=options.gap or (0 if table.sample is None else table.sample.gap),
        seed=options.seed,
        duplicates=table.alike() if table.group is None and table.time is None else None,
    )
    units = None if table.sample is None else table.sample.units()
    return splits if units is None or splits.unit != "row" else replace(splits, unit="block", units=units), found


def _folds(table: Table, options: Options, test_rows: np.ndarray | None) -> Any:
    """How many folds, or the folds themselves: those that were asked for, else the one that the source brings."""
    if not isinstance(options.folds, Integral):
        return options.folds
    if table.validation is None:
        return int(options.folds)
    apart = [rows for rows in (table.validation, table.test, test_rows) if rows is not None]
    return [(np.setdiff1d(np.arange(table.rows), np.concatenate(apart)), table.validation)]


def _weights(
    table: Table, task: Task, target: np.ndarray, splits: Splits, options: Options
) -> Float[np.ndarray, " rows"] | None:
    """The weights of the rows: those of the data, times those that balance the classes of the training rows.

    Their mean over the training rows is 1: what weights say is a ratio, and their unit must change nothing.
    """
    weights = table.weight
    if options.class_weight == "balanced":
        if not isinstance(task, Binary | Multiclass):
            raise InputError("Class weights are for one class per row.", fix="Leave --class-weight out.")
        factor = np.asarray(class_weights(target[splits.train], len(task.classes)))[target]
        weights = factor if weights is None else weights * factor
    if weights is None:
        return None
    mean = float(weights[splits.train].mean())
    if not mean > 0:
        raise InputError("The weights of all training rows are zero.", fix="Give some of them a weight above 0.")
    return weights.astype(np.float64) / mean


def _imbalance(task: Task, target: np.ndarray, options: Options) -> list[Finding]:
    """A notice where the rarest class has less than a tenth of the rows of the most common, with what helps."""
    if not isinstance(task, Binary | Multiclass) or options.class_weight is not None:
        return []
    counts = task.counts(target)
    rarest, most = min(counts, key=lambda c: counts[c]), max(counts, key=lambda c: counts[c])
    if counts[rarest] * IMBALANCED >= counts[most]:
        return []
    message = (
        f"Class {rarest!r} has {counts[rarest]:,} of {len(target):,} rows, {most!r} has {counts[most]:,}: always "
        f"answering {most!r} is right in {counts[most] / len(target):.1%}. --class-weight balanced weights the "
        "classes alike, --metric balanced_accuracy judges them alike."
    )
    return [Finding(kind="class-imbalance", where=", ".join(task.names), message=message, severity="notice")]


def _with_test(table: Table, options: Options) -> tuple[Table, np.ndarray | None]:
    """The table with the rows of a separate test source behind it, and their numbers; or those that the source
    itself sets apart."""
    if options.test is None:
        honoured = options.test_size is None or table.kind == "language"  # whose reader has cut by that share itself
        return table, table.test if honoured else None
    test = encode(table.schema, options.test, target=True, reading=options.reading)
    joined: dict[str, Any] = {}
    for name in ("numbers", "codes", "target", "time", "group", "series", "weight"):
        first, second = getattr(table, name), getattr(test, name)
        joined[name] = None if first is None or second is None else np.concatenate([first, second])
    rows = table.rows + test.rows
    if table.sample is not None and test.sample is not None:
        joined["sample"] = table.sample.joined(test.sample)
    schema = replace(table.schema, rows=rows)
    both = replace(table, **joined, schema=schema, findings=(*table.findings, *test.findings))
    return both, np.arange(table.rows, rows)


def _without(table: Table, names: Sequence[str], notes: Mapping[str, str]) -> Table:
    """The table without these columns among its features."""
    if not names:
        return table
    schema = table.schema
    gone = {f for c in schema.columns if c.name in names for f in c.features}
    numbers = [i for i, f in enumerate(schema.numbers) if f not in gone]
    codes = [i for i, c in enumerate(schema.categories) if c.name not in names]
    for name in names:
        schema = schema.replace(name, role=Role.ASIDE, note=notes.get(name, "set aside by the leak check"))
    return replace(
        table,
        schema=schema,
        numbers=np.ascontiguousarray(table.numbers[:, numbers]),
        codes=np.ascontiguousarray(table.codes[:, codes]),
    )
