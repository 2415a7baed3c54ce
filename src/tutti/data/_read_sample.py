"""The columns that stand beside images, signals, texts, graphs and sets: targets, groups, times and weights."""

from dataclasses import replace

import numpy as np

from tutti.core import Column, InputError, Kind, Role, Schema
from tutti.data._declared import Declared
from tutti.data._sample import Found
from tutti.data._sources import Frame, columns_of
from tutti.data._table import Table


def beside(found: Found) -> Frame:
    """The columns as a frame, checked to have one value per sample."""
    for name, values in found.columns.items():
        if len(values) != len(found.sample):
            raise InputError(
                f"{found.source} has {len(found.sample)} samples, and {len(values)} values of {name!r}.",
                fix="Give one value for each.",
            )
    columns = columns_of(found.columns)
    return Frame(columns=columns, source=found.source, targets=found.targets, findings=list(found.findings))


def unused_aside(frame: Frame, declared: Declared) -> Declared:
    """Columns that have no role are shown and not used: the samples are what is learnt from."""
    roles = {name: declared.roles.get(name, Role.ASIDE) for name in frame.columns}
    return replace(declared, roles=roles)


def dense_table(found: Found, declared: Declared, name: str | None) -> Table:
    """Rows whose target is no column: masks, next tokens, futures."""
    assert found.dense is not None
    rows = len(found.sample)
    columns = [Column(name=n, kind=Kind.NUMBER, role=Role.TARGET) for n in found.targets]
    groups = declared.column(Role.GROUP)
    times = declared.column(Role.TIME)
    others = {n: r for n, r in declared.roles.items() if n not in found.targets}
    when = None if times is None else np.asarray(found.columns[times])
    moment = Kind.DATETIME if when is not None and when.dtype.kind == "M" else Kind.NUMBER
    for n, r in others.items():
        columns.append(Column(name=n, kind=moment if r == Role.TIME else Kind.IDENTIFIER, role=r))
    return Table(
        schema=Schema(columns=tuple(columns), rows=rows, sample=found.sample.describe()),
        numbers=np.zeros((rows, 0), np.float32),
        codes=np.zeros((rows, 0), np.int32),
        target=found.dense,
        time=when,
        group=None if groups is None else np.asarray(found.columns[groups]).astype(str).astype(object),
        sample=found.sample,
        task=found.task,
        test=found.test,
        validation=found.validation,
        findings=found.findings,
        source=name or found.source,
    )
