"""encode: new data, read by the schema of the data that a model was fitted on."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, Shaped

from tutti.core import Column, Finding, InputError, Kind, Role, Schema, nearest
from tutti.data._convert import as_described
from tutti.data._features import category_codes, numeric_features
from tutti.data._kinds import without_infinities
from tutti.data._read import stack, weights
from tutti.data._read_sample import beside
from tutti.data._readers import reader_of
from tutti.data._reading import Reading
from tutti.data._sources import Frame, load
from tutti.data._sources_natural import natural
from tutti.data._sources_single import several_of
from tutti.data._table import Table
from tutti.data._targets import Targets, labels, read_targets
from tutti.data._text import Header
from tutti.data._values import Numbers, Times, Words, as_words


def encode(
    schema: Schema,
    source: Any,
    *,
    target: bool = False,
    reading: Reading | None = None,
    name: str | None = None,
) -> Table:
    """Reads new data as `schema` says: the same columns, kinds, levels and features, and the schema itself.

    Images, signals, texts, graphs and sets are read as their description in the schema says.

    Columns are matched by name, in any order; sources without names by position (all columns of the schema, or
    all but its targets). Columns that the schema lacks give a notice; columns that it needs and the data lack
    raise. Values never seen in a category become code 0; a cell that cannot be read as its column's kind raises,
    named by row and column. No row is dropped or moved.

    target: True reads targets, times, groups, series and weights too. Then rows without a target are set aside
    with a finding, and labels that the schema does not know raise.
    reading: how the fitted data were read. A text file names its columns unless reading.header is False; where the
    columns of the schema are numbered, that is seen from the first row.
    """
    reading = reading or Reading()
    if schema.sample is not None:
        return _encode_sample(schema, source, reading, target, name)
    source = natural(source, "table", classes=())
    frame = load(source, header=_header(schema) if reading.header else False, delimiter=reading.delimiter)
    _align(frame, schema)
    _refuse_missing(frame, _needed(schema, target))
    findings = [*frame.findings, *_extra(frame, schema)]
    targets = None
    if target:
        targets = _targets(frame, schema)
        findings += targets.findings
        if targets.absent.any():
            findings.append(_without_absent(frame, targets))
    beside = _beside(frame, schema) if target else {}
    rows = frame.rows
    numbers, codes, more = _inputs(frame, schema)
    return Table(
        schema=schema,
        numbers=stack(numbers, rows, np.float32),
        codes=stack(codes, rows, np.int32),
        target=None if targets is None else targets.values[~targets.absent],
        time=beside.get(Role.TIME),
        group=beside.get(Role.GROUP),
        series=beside.get(Role.SERIES),
        weight=beside.get(Role.WEIGHT),
        findings=(*findings, *more),
        source=name or frame.source,
    )


def _encode_sample(schema: Schema, source: Any, reading: Reading, target: bool, name: str | None) -> Table:
    """New samples of the schema's kind, with the columns that stand beside them where `target` asks for these."""
    assert schema.sample is not None
    levels = [level for column in schema.with_role(Role.TARGET) for level in column.levels]
    source = natural(several_of(source, schema.sample), str(schema.sample["kind"]), classes=levels)
    found = reader_of(schema.sample).encode(schema.sample, source, reading)
    frame, sample, findings = beside(found), found.sample, list(found.findings)
    if found.ahead is not None and not target:
        sample = found.ahead
    labels: Shaped[np.ndarray, " rows ..."] | None = found.dense if target else None
    if target and found.dense is None:
        _align(frame, schema)
        _refuse_missing(frame, _needed(schema, target))
        targets = _targets(frame, schema)
        labels = targets.values[~targets.absent]
        findings += targets.findings
        if targets.absent.any():
            findings.append(_without_absent(frame, targets))
            sample = sample.take(np.flatnonzero(~targets.absent))
    other = _beside(frame, schema) if target else {}
    rows = len(sample)
    return Table(
        schema=schema,
        numbers=np.zeros((rows, 0), np.float32),
        codes=np.zeros((rows, 0), np.int32),
        target=labels,
        time=other.get(Role.TIME),
        group=other.get(Role.GROUP),
        series=other.get(Role.SERIES),
        weight=other.get(Role.WEIGHT),
        sample=sample,
        task=found.task,
        findings=tuple(findings),
        source=name or found.source,
    )


def _header(schema: Schema) -> Header:
    """How to tell whether a text file names its columns, where the user does not say."""
    names = [column.name for column in schema.columns]
    if names != [str(i) for i in range(len(names))]:
        return True
    return lambda cells: cells in (names, _untargeted(schema))


def _untargeted(schema: Schema) -> list[str]:
    return [column.name for column in schema.columns if column.role != Role.TARGET]


def _align(frame: Frame, schema: Schema) -> None:
    """Gives the columns of a source without names those of the schema, by position; pairs keep their target's."""
    names = _untargeted(schema)
    own = [name for name in frame.columns if name not in frame.targets]
    new = dict(zip(own, own, strict=True))
    if frame.nameless:
        every = [column.name for column in schema.columns]
        if len(own) == len(every) and not frame.targets:
            names = every
        if len(own) != len(names):
            raise InputError(
                f"{frame.source} has {len(own)} columns; expected {len(names)} ({', '.join(names[:8])}, …) or "
                f"{len(every)} with the target.",
                fix="Give all columns in their order, or a source that names them.",
            )
        new = dict(zip(own, names, strict=True))
    labelled = [column.name for column in schema.with_role(Role.TARGET)]
    if len(labelled) == len(frame.targets):
        new |= dict(zip(frame.targets, labelled, strict=True))
    frame.columns = {new.get(name, name): column for name, column in frame.columns.items()}


def _needed(schema: Schema, target: bool) -> list[str]:
    """The columns without which the schema's features (and targets) cannot be made."""
    needed = [c.name for c in schema.inputs if c.features or c.kind == Kind.CATEGORY]
    beside = (Role.TARGET, Role.TIME, Role.GROUP) if target else ()
    return list(dict.fromkeys(needed + [c.name for c in schema.columns if c.role in beside]))


def _refuse_missing(frame: Frame, needed: list[str]) -> None:
    lacking = [name for name in needed if name not in frame.columns]
    if not lacking:
        return
    close = nearest(lacking[0], [name for name in frame.columns if name not in needed])
    present = ", ".join(map(repr, list(frame.columns)[:20])) + (", …" if len(frame.columns) > 20 else "")
    shown = ", ".join(map(repr, lacking[:8])) + (", …" if len(lacking) > 8 else "")
    fix = f"Is {close!r} meant to be {lacking[0]!r}? Rename it." if close else f"The columns are {present}."
    doubt = next((f" {f.message}" for f in frame.findings if f.kind == "header-looks-like-data"), "")
    raise InputError(f"{frame.source} lacks the column{'s' * (len(lacking) > 1)} {shown}.", fix=fix + doubt)


def _extra(frame: Frame, schema: Schema) -> list[Finding]:
    known = {column.name for column in schema.columns}
    extra = [name for name in frame.columns if name not in known]
    if not extra:
        return []
    where = ", ".join(extra[:10]) + (", …" if len(extra) > 10 else "")
    message = "Not among the columns of the data that were fitted; not used."
    return [Finding(kind="extra-columns", where=where, message=message, severity="notice")]


def _targets(frame: Frame, schema: Schema) -> Targets:
    columns = schema.with_role(Role.TARGET)
    kinds = {column.name: column.kind for column in columns}
    targets = read_targets({c.name: frame.columns[c.name] for c in columns}, kinds, regression=False)
    for column, found in zip(columns, targets.columns, strict=True):
        if column.kind == Kind.CATEGORY and column.levels:
            _refuse_other_labels(frame.source, column, found.levels)
    return targets


def _refuse_other_labels(source: str, column: Column, found: tuple[str, ...]) -> None:
    """Labels that the schema does not know: shown beside the known ones, with what would make them equal."""
    other = [label for label in found if label not in column.levels]
    if not other:
        return
    alike = {_letters(label): label for label in column.levels}
    pairs = [(label, alike[_letters(label)]) for label in other if _letters(label) in alike]
    fix = "Give the labels that were fitted, or leave out the rows with others."
    if len(pairs) == len(other):
        fix = f"Write {', '.join(f'{known!r} for {label!r}' for label, known in pairs[:5])} in {source}."
    raise InputError(
        f"The target {column.name!r} has other labels in {source} ({_listed(found)}) than in the data that were "
        f"fitted ({_listed(column.levels)}).",
        fix=fix,
    )


def _letters(label: str) -> str:
    """A label without case, blanks and closing punctuation."""
    return re.sub(r"\s+", "", label).rstrip(".,;:!").casefold()


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(map(repr, labels[:10])) + (", …" if len(labels) > 10 else "")


def _without_absent(frame: Frame, targets: Targets) -> Finding:
    """Leaves the rows without a target out of the frame, and says so."""
    used = ~targets.absent
    where = ", ".join(column.name for column in targets.columns)
    if not used.any():
        raise InputError(f"The target {where} has no value in any row of {frame.source}.", fix="Give the targets.")
    mask = pa.array(used)
    frame.columns = {name: column.filter(mask) for name, column in frame.columns.items()}
    message = f"{int((~used).sum())} of {len(used)} rows have no value of the target and are set aside."
    return Finding(kind="rows-without-target", where=where, message=message)


def _beside(frame: Frame, schema: Schema) -> dict[Role, Shaped[np.ndarray, " rows"]]:
    """Times, groups, series and weights, where the schema has them."""
    found: dict[Role, Shaped[np.ndarray, " rows"]] = {}
    for column in schema.columns:
        cells = frame.columns.get(column.name)
        if cells is None:
            continue
        if column.role == Role.TIME:
            values = as_described(column, cells)
            assert isinstance(values, Times | Numbers)
            found[Role.TIME] = values.values
        elif column.role in (Role.GROUP, Role.SERIES):
            found[column.role] = labels(as_words(cells))
        elif column.role == Role.WEIGHT:
            found[Role.WEIGHT] = weights(column.name, cells)
    return found


def _inputs(
    frame: Frame, schema: Schema
) -> tuple[list[Float[np.ndarray, " rows"]], list[Int[np.ndarray, " rows"]], list[Finding]]:
    """Numeric features and codes in the order of the schema; the frame lets go of each column after it is read."""
    numbers: list[Float[np.ndarray, " rows"]] = []
    codes: list[Int[np.ndarray, " rows"]] = []
    findings: list[Finding] = []
    for column in schema.inputs:
        if column.features or column.kind == Kind.CATEGORY:
            values = as_described(column, frame.columns.pop(column.name))
            findings += without_infinities(column.name, values)
            numbers += numeric_features(column, values)
            if column.kind == Kind.CATEGORY and isinstance(values, Words):
                codes.append(category_codes(column, values))
                findings += _unseen(column, values, codes[-1])
    return numbers, codes, findings


def _unseen(column: Column, values: Words, codes: Int[np.ndarray, " rows"]) -> list[Finding]:
    rows = np.flatnonzero(codes == 0)
    if not len(rows):
        return []
    shown = list(dict.fromkeys(values.levels[i] for i in values.codes[rows[:1000]]))[:5]
    message = f"{len(rows)} rows hold values that the fitted data did not show ({', '.join(map(repr, shown))})."
    return [Finding(kind="unseen-categories", where=column.name, message=message, severity="notice")]
