"""Leaks: what would make a score better than it will be on new data, looked for before anything is trained."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from tutti.core import Finding, Severity, Splits
from tutti.data._declaration import Rows, number_groups
from tutti.data._near_copies import near_copies
from tutti.data._row_content import copied_rows, few_combinations, first_alike
from tutti.data._table import Table
from tutti.data._target_copy import Agreement, give_away

MEANINGLESS = 0.5  # the share of judged rows that copy a training row, from which a given split is refused
WORTH_A_WARNING = 0.01  # … and from which a copy is more than a notice


@dataclass(frozen=True, kw_only=True)
class LeakReport:
    """What the leak checks found; the columns not to train on; and how many rows repeat another."""

    findings: tuple[Finding, ...]
    columns_to_set_aside: tuple[str, ...]
    repeated_rows: int

    @property
    def refused(self) -> tuple[Finding, ...]:
        """Findings that make the score meaningless: a fit must stop with their messages."""
        return tuple(f for f in self.findings if f.severity == "refused")


def find_leaks(
    table: Table,
    target: Shaped[np.ndarray, " rows"] | Shaped[np.ndarray, "rows outputs"] | Shaped[np.ndarray, "rows ..."],
    splits: Splits,
    *,
    keep: Collection[str] = (),
    given: bool = False,
) -> LeakReport:
    """Looks for leaks in a table and its splits.

    target is encoded: whole numbers are classes, floats are values, or 0/1 for each of several labels. given: the
    test or the folds came from the user.

    - `duplicate-rows`: rows of the test, or of a fold's validation, that repeat a training row. A notice below 1 % of
      them, and where rows must repeat (`few_combinations`); else a warning; refused where the splits are given and it
      is half of them. Contents that very many rows share do not count (`copied_rows`). Where copies exist and none
      stands on two sides, a notice says so. `near-duplicates`: rows that judge and nearly equal a training row, by
      `near_copies`. A notice.
    - `group-across-splits`: a group on two sides. Refused where the splits are given; else a warning.
    - `time-order`: given splits that train on rows as late as those that they judge. A warning.
    - `target-copy`: a column that reproduces the target (or one of several), by `give_away` on the training rows. A
      warning; the column is to be set aside, unless `keep` names it. `near-copy`: nearly so. A notice.
    """
    alike, exact = first_alike(table.hashes()), first_alike(table.hashes(target))
    natural = table.sample is None and few_combinations(table.numbers, table.codes)
    findings = _repeats(alike, exact, splits, natural=natural, given=given)
    if table.sample is None:
        findings += near_copies(table.numbers, table.codes, splits)
    else:
        findings += table.sample.leaks(splits, given=given)
    if table.group is not None:
        findings += _groups_across(number_groups(table.group)[0], splits, given=given)
    if table.time is not None and given:
        findings += _time_disorder(table.time, splits)
    copies, aside = ([], ()) if table.sample is not None else _copies(table, target, splits, keep)
    repeated = int((exact != np.arange(len(exact))).sum())
    return LeakReport(findings=(*findings, *copies), columns_to_set_aside=aside, repeated_rows=repeated)


def _sides(splits: Splits) -> Iterator[tuple[str, Rows, Rows]]:
    """Every pair of rows that train and rows that judge them: the test, then each fold."""
    if len(splits.test):
        yield "test", splits.train, splits.test
    for place, fold in enumerate(splits.folds):
        yield f"fold {place}", fold.train, fold.validation


def _repeats(
    alike: Int[np.ndarray, " rows"], exact: Int[np.ndarray, " rows"], splits: Splits, *, natural: bool, given: bool
) -> list[Finding]:
    """Rows with the features of another (`alike`), the target too (`exact`), and on which sides they stand."""
    copied = copied_rows(alike)
    if not copied.any():
        return []
    findings: list[Finding] = []
    for where, train, judged in _sides(splits):
        train, suspects = train[copied[train]], judged[copied[judged]]
        same = int(np.isin(alike[suspects], alike[train]).sum())
        both = int(np.isin(exact[suspects], exact[train]).sum())
        if not same:
            continue
        severity: Severity = "notice" if natural or both < WORTH_A_WARNING * len(judged) else "warning"
        if given and not natural and both >= MEANINGLESS * len(judged):
            severity = "refused"
        why = "its columns take so few values that rows must repeat" if natural else "drop the copies, or split anew"
        message = (
            f"{both} of {len(judged)} rows that judge ({where}) repeat a training row, and {same - both} more repeat "
            f"its features with another target: {why}."
        )
        findings.append(Finding(kind="duplicate-rows", where=where, message=message, severity=severity))
        if where != "test":
            break  # one fold tells of all
    if findings:
        return findings
    count = int((alike != np.arange(len(alike))).sum())
    message = f"{count} rows repeat the features of another row; copies stand on one side of each split."
    return [Finding(kind="duplicate-rows", where="rows", message=message, severity="notice")]


def _groups_across(groups: Int[np.ndarray, " rows"], splits: Splits, *, given: bool) -> list[Finding]:
    for where, train, judged in _sides(splits):
        both = np.intersect1d(groups[train], groups[judged])
        if len(both):
            held = len(np.unique(groups[judged]))
            message = (
                f"{len(both)} of the {held} groups that judge ({where}) train as well, so the score is not that of "
                "new groups. Give splits that hold groups out, or leave the splits to tutti."
            )
            severity: Severity = "refused" if given else "warning"
            return [Finding(kind="group-across-splits", where=where, message=message, severity=severity)]
    return []


def _time_disorder(time: Shaped[np.ndarray, " rows"], splits: Splits) -> list[Finding]:
    ranks = np.unique(time, return_inverse=True)[1]
    for where, train, judged in _sides(splits):
        late = int((ranks[train] >= ranks[judged].min()).sum())
        if late:
            message = (
                f"{late} of {len(train)} training rows are as late as the rows that judge them ({where}): the future "
                "helps to predict the past. Give later rows to judge, or leave the splits to tutti."
            )
            return [Finding(kind="time-order", where=where, message=message)]
    return []


def _copies(
    table: Table, target: Shaped[np.ndarray, "rows ..."], splits: Splits, keep: Collection[str]
) -> tuple[list[Finding], tuple[str, ...]]:
    """Columns that give the target away, and those of them that are to be set aside."""
    names = [*table.schema.numbers, *(c.name for c in table.schema.categories)]
    train = splits.train
    targets = _separate(target[train].reshape(len(train), -1))
    findings, aside = [], []
    for name, column in zip(names, [*table.numbers.T, *table.codes.T], strict=True):
        values = column[train]
        found = [f for f in (give_away(values, single, len(names)) for single in targets) if f is not None]
        if not found:
            continue
        worst = min(found, key=lambda agreement: agreement.strength)  # "copy" stands before "near"
        findings.append(_copy_finding(name, worst, kept=name in keep))
        if worst.strength == "copy" and name not in keep:
            aside.append(name)
    return findings, tuple(aside)


def _separate(target: Shaped[np.ndarray, "rows outputs"]) -> list[Shaped[np.ndarray, " rows"]]:
    """Each output on its own: class numbers, or values; several labels of 0 and 1 are classes."""
    labels = target.shape[1] > 1 and bool(np.isin(target, (0, 1)).all())
    return [column.astype(np.int64) if labels else column for column in target.T]


def _copy_finding(name: str, agreement: Agreement, *, kept: bool) -> Finding:
    if agreement.strength == "near":
        message = (
            f"Column {name!r} nearly gives the target away: {agreement.why}. Will it be known before the target is?"
        )
        return Finding(kind="near-copy", where=name, message=message, severity="notice")
    done = "It is kept, as you asked." if kept else f"It is set aside; --keep {name} uses it."
    return Finding(
        kind="target-copy", where=name, message=f"Column {name!r} reproduces the target: {agreement.why}. {done}"
    )
