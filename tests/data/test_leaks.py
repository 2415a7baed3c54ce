"""Leaks are found where they are, named with their remedy, and not seen where there are none."""

import numpy as np
import pandas
import pytest

from tutti.core import Column, Kind, Schema
from tutti.data import Table
from tutti.data._leaks import find_leaks
from tutti.data._row_content import duplicate_groups, first_alike, row_hashes
from tutti.data._splits import declare_splits
from tutti.data._target_copy import give_away


def table(rows, numbers=3, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(rows, numbers)).astype(np.float32),
        rng.integers(2, 40, (rows, 1)),
        rng.integers(0, 2, rows),
    )


def table_of(numbers, codes, *, categories=None, groups=None, time=None):
    names = [f"x{i}" for i in range(numbers.shape[1])]
    columns = [Column(name=n, kind=Kind.NUMBER, features=(n,)) for n in names]
    categories = categories or [f"c{i}" for i in range(codes.shape[1])]
    columns += [Column(name=n, kind=Kind.CATEGORY) for n in categories]
    schema = Schema(columns=tuple(columns), rows=len(numbers))
    return Table(schema=schema, numbers=numbers, codes=codes, group=groups, time=time)


def look(numbers, codes, target, splits=None, *, groups=None, time=None, **more):
    splits = splits or declare_splits(len(numbers), target=target if target.dtype.kind == "i" else None)[0]
    return find_leaks(table_of(numbers, codes, groups=groups, time=time), target, splits, **more)


def summary(report):
    return [(f.kind, f.where, f.severity) for f in report.findings]


def test_a_clean_table_has_no_findings():
    report = look(*table(500))
    assert report.findings == report.columns_to_set_aside == report.refused == ()
    assert report.repeated_rows == 0


# Rows that repeat.


def test_rows_are_alike_exactly_where_their_content_is():
    numbers = np.array([[0.0, np.nan], [-0.0, np.nan], [0.0, 1.0], [1.0, 0.0], [0.0, np.nan]])
    codes = np.array([[2], [2], [2], [2], [3]])
    np.testing.assert_array_equal(first_alike(row_hashes(numbers, codes)), [0, 0, 2, 3, 4])
    odd = numbers.copy()
    odd.view(np.uint64)[4, 1] ^= 1  # another NaN
    assert np.isnan(odd[4, 1])
    np.testing.assert_array_equal(row_hashes(odd, codes), row_hashes(numbers, codes))
    as_float32 = row_hashes(numbers.astype(np.float32), codes)
    np.testing.assert_array_equal(as_float32, row_hashes(numbers, codes))
    pairs = pandas.DataFrame(np.random.default_rng(0).integers(0, 30, (5000, 3)))
    found = first_alike(row_hashes(pairs.to_numpy().astype(float), np.zeros((5000, 0), dtype=int)))
    expected = pairs.groupby(list(pairs), sort=False).ngroup().to_numpy()
    np.testing.assert_array_equal(np.unique(found, return_inverse=True)[1], expected)


def test_a_common_content_and_a_table_of_few_combinations_are_natural():
    numbers, codes, _ = table(1000)
    numbers[:200], codes[:200] = 0, 2
    np.testing.assert_array_equal(duplicate_groups(numbers, codes), np.arange(1000))
    numbers[:15], codes[:15] = 1, 2
    assert (duplicate_groups(numbers, codes)[:15] == 0).all()
    grid = np.random.default_rng(0).integers(0, 2, (1000, 5)).astype(float)
    np.testing.assert_array_equal(duplicate_groups(grid, codes[:, :0]), np.arange(1000))
    assert summary(look(grid, codes[:, :0], codes[:, 0] % 2)) == [
        ("duplicate-rows", "test", "notice"),
        ("duplicate-rows", "fold 0", "notice"),
    ]


def test_copies_on_one_side_of_our_splits_are_a_notice():
    numbers, codes, target = table(400)
    numbers[300:], codes[300:], target[300:] = numbers[:100], codes[:100], target[:100]
    splits, _ = declare_splits(400, target=target, duplicates=duplicate_groups(numbers, codes))
    report = look(numbers, codes, target, splits)
    assert summary(report) == [("duplicate-rows", "rows", "notice")]
    assert report.findings[0].message.startswith("100 rows")
    assert report.repeated_rows == 100


def test_copies_on_two_sides_are_counted_with_and_without_their_target():
    numbers, codes, target = table(200)
    numbers[180:], codes[180:] = numbers[:20], codes[:20]
    target[180:] = np.where(np.arange(20) < 5, target[:20], 1 - target[:20])
    splits, _ = declare_splits(200, test_rows=np.arange(160, 200))
    (found,) = [f for f in look(numbers, codes, target, splits, given=True).findings if f.where == "test"]
    assert found.message.startswith("5 of 40 rows")
    assert "15 more" in found.message
    assert found.severity == "warning"


@pytest.mark.parametrize(("copies", "severity"), [(1, "notice"), (100, "refused")])
def test_a_given_test_of_copies_is_refused_and_a_single_copy_is_not(copies, severity):
    numbers, codes, target = table(1000)
    at = np.arange(800, 800 + copies)
    numbers[at], codes[at], target[at] = numbers[:copies], codes[:copies], target[:copies]
    splits, _ = declare_splits(1000, test_rows=np.arange(800, 1000))
    report = look(numbers, codes, target, splits, given=True)
    assert summary(report) == [("duplicate-rows", "test", severity)]
    assert len(report.refused) == (severity == "refused")
    ours = look(numbers, codes, target, splits, given=False)
    assert summary(ours) == [("duplicate-rows", "test", "notice" if copies == 1 else "warning")]


# Groups and time.


def test_groups_on_two_sides_of_given_splits_are_refused_and_of_ours_warned_about():
    numbers, codes, target = table(300)
    groups = (np.arange(300) // 10).astype(str)
    for given, severity in ((True, "refused"), (False, "warning")):
        splits, _ = declare_splits(300, target=target, groups=groups, kind="stratified")
        report = look(numbers, codes, target, splits, groups=groups, given=given)
        assert summary(report) == [("group-across-splits", "test", severity)]
    splits, _ = declare_splits(300, target=target, groups=groups)
    assert look(numbers, codes, target, splits, groups=groups, given=True).findings == ()
    folds = [(np.arange(155), np.arange(155, 300))]
    splits, _ = declare_splits(300, folds=folds)
    report = look(numbers, codes, target, splits, groups=groups, given=True)
    assert summary(report) == [("group-across-splits", "fold 0", "refused")]


# catalogue: E3
def test_given_splits_that_judge_the_past_are_warned_about():
    numbers, codes, target = table(300)
    past_first, _ = declare_splits(300, test_rows=np.arange(250, 300), time=np.arange(300))
    assert look(numbers, codes, target, past_first, time=np.arange(300), given=True).findings == ()
    future_first, _ = declare_splits(300, folds=[(np.arange(100, 200), np.arange(50, 101 - 1))])
    report = look(numbers, codes, target, future_first, time=np.arange(300), given=True)
    assert summary(report) == [("time-order", "fold 0", "warning")]
    assert "100 of 100" in report.findings[0].message
    woven, _ = declare_splits(300, folds=[(np.arange(0, 200, 2), np.arange(101, 200, 2))])
    report = look(numbers, codes, target, woven, time=np.arange(300), given=True)
    assert "49 of 100" in report.findings[0].message


# Columns that give the target away.


def test_titanics_alive_is_set_aside_and_keep_restores_it(shared_data):
    frame = pandas.read_csv(shared_data / "tables" / "titanic.csv")
    target = frame.pop("survived").to_numpy()
    names = list(frame)
    codes = np.stack([pandas.factorize(frame[name])[0] + 2 for name in names], axis=1)
    splits, _ = declare_splits(len(frame), target=target)
    arguments = (table_of(np.zeros((len(frame), 0)), codes, categories=names), target, splits)
    report = find_leaks(*arguments)
    assert report.columns_to_set_aside == ("alive",)
    (found,) = [f for f in report.findings if f.kind == "target-copy"]
    assert (found.where, found.severity) == ("alive", "warning")
    assert "--keep alive" in found.message
    kept = find_leaks(*arguments, keep=["alive"])
    assert kept.columns_to_set_aside == ()
    assert "kept" in next(f for f in kept.findings if f.kind == "target-copy").message


NO_HEADER = ["abalone", "banknote_authentication", "boston_housing", "breast-cancer-wisconsin", "german"]
NO_HEADER += ["horse-colic", "ionosphere", "iris", "oil-spill", "pima-indians-diabetes", "wheat-seeds", "wine"]
TARGETS = {"california_housing": "median_house_value", "mpg": "mpg", "penguins": "species", "tips": "tip"}


@pytest.mark.parametrize("name", [*NO_HEADER, "winequality-red", *TARGETS])
def test_no_honest_column_of_the_shared_tables_is_suspected(shared_data, name):
    header = 0 if name in TARGETS else None
    frame = pandas.read_csv(shared_data / "tables" / f"{name}.csv", header=header, na_values="?")
    labels = frame.pop(TARGETS.get(name, frame.columns[-1]))
    values = labels.dtype.kind == "f" and labels.nunique() > 20
    target = labels.to_numpy(dtype=np.float32) if values else pandas.factorize(labels)[0]
    numeric = [c for c in frame if frame[c].dtype.kind in "if"]
    others = [c for c in frame if c not in numeric]
    codes = np.zeros((len(frame), len(others)), dtype=np.int64)
    for place, column in enumerate(others):
        codes[:, place] = pandas.factorize(frame[column])[0] + 2
    report = look(frame[numeric].to_numpy(dtype=np.float32), codes, target)
    assert [f for f in report.findings if f.kind != "duplicate-rows"] == []


def rng_column(seed=1, rows=400):
    return np.random.default_rng(seed).normal(size=rows)


@pytest.mark.parametrize(
    ("column", "target", "strength"),
    [
        ([3, 2, 5], [0, 1, 2], "copy"),  # a class by another name
        ([2, 3, 4, 5], [0, 0, 1, 1], "copy"),  # a finer class
        ([1, 2], [1, 0], "copy"),  # missing exactly where the class is 1
        ([0.5, np.nan], [0, 1], "copy"),
        ([2, 3], [1.5, 7.5], "copy"),  # values, not classes
        ([2, 3, 3], [0, 0, 1], None),
        ([2, 2], [0, 1], None),
    ],
)
def test_levels_that_go_with_one_class_each_are_a_copy(column, target, strength):
    repeats = np.random.default_rng(0).integers(0, len(column), 400)
    found = give_away(np.array(column)[repeats], np.array(target)[repeats])
    assert (found.strength if found else None) == strength


def test_straight_lines_are_copies_and_near_ones_are_noticed():
    target = (200 + 30 * rng_column()).astype(np.float32)
    noise = rng_column(2)
    assert give_away(1.8 * target + 32, target).strength == "copy"
    assert give_away((-target / 1000).astype(np.float32), target).strength == "copy"
    assert give_away(np.where(np.arange(400) % 10 == 0, np.nan, target), target).strength == "copy"
    assert give_away(target + 0.5 * noise, target).strength == "near"
    assert give_away(np.log(target), target).strength == "near"
    assert give_away(target + 3 * noise, target) is None
    assert give_away(noise, target) is None
    assert give_away(rng_column(), np.floor(4 * rng_column()).astype(np.float32)) is None, "steps are not one to one"


def test_a_copy_is_seen_in_one_of_several_outputs_and_labels():
    numbers, codes, _ = table(400)
    outputs = np.stack([rng_column(5), 3 * numbers[:, 1] - 1], axis=1).astype(np.float32)
    assert look(numbers, codes, outputs).columns_to_set_aside == ("x1",)
    labels = np.stack([numbers[:, 2] > 0, codes[:, 0] % 2 == 1], axis=1).astype(np.float32)
    report = look(numbers, codes % 2 + 2, labels)
    assert report.columns_to_set_aside == ("c0",)
    assert summary(report) == [("near-copy", "x2", "notice"), ("target-copy", "c0", "warning")]


def test_a_threshold_that_parts_the_classes_is_noticed_not_set_aside():
    score = rng_column()
    assert give_away(score, (score > 0).astype(int)).strength == "near"
    assert give_away(score, np.digitize(score, [-0.5, 0.5])).strength == "near"
    assert give_away(np.arange(400.0), np.arange(400) // 100).strength == "near", "row numbers of a sorted table"
    assert give_away(score, (score + 0.3 * rng_column(3) > 0).astype(int)) is None


def test_an_agreement_within_reach_of_chance_is_none():
    half = np.arange(30) % 2
    assert give_away(half[:20], half[:20]) is None, "1 in 184,756 as it is, and there are four maps"
    assert give_away(half, half).strength == "copy"
    assert give_away(half, half, columns=1000) is None
    fine = np.arange(100) % 10
    assert give_away(fine, fine % 2).strength == "near", "ten rows a value: a rule or names, who knows"


def test_identifiers_and_names_of_entities_are_not_copies():
    rng = np.random.default_rng(3)
    target = rng.integers(0, 2, 600)
    assert give_away(rng.permutation(600) + 2, target) is None
    entity = np.repeat(np.arange(200), 3)
    assert give_away(entity + 2, rng.integers(0, 2, 200)[entity]) is None
    entity = np.repeat(np.arange(60), 10)
    assert give_away(entity + 2, rng.integers(0, 2, 60)[entity]).strength == "near"


# The chance of an accident is bounded: on noise nothing is set aside or noticed.
@pytest.mark.parametrize("rows", [20, 30, 100])
def test_noise_raises_no_alarm(rows):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        numbers = np.concatenate([rng.normal(size=(rows, 10)), rng.integers(0, 2, (rows, 10))], axis=1)
        codes = rng.integers(2, [4] * 5 + [rows] * 5, (rows, 10))
        for target in (rng.integers(0, 2, rows), rng.normal(size=rows), (np.arange(rows) == 0).astype(int)):
            columns = [*numbers.T, *codes.T]
            assert not any(give_away(column, target, len(columns)) for column in columns)


def test_test_rows_take_no_part_in_choosing_columns():
    numbers, codes, target = table(400)
    splits, _ = declare_splits(400, target=target)
    numbers[splits.train, 0] = target[splits.train]
    assert look(numbers, codes, target, splits).columns_to_set_aside == ("x0",)
    numbers, codes, target = table(400)
    numbers[splits.test, 0] = target[splits.test]
    assert look(numbers, codes, target, splits).columns_to_set_aside == ()


def test_a_copy_among_many_rows_must_hold_on_all_of_them():
    target = np.arange(50_000) % 2
    column = target.copy()
    column[1] = 1 - column[1]  # a row that the screen skips
    screened = np.linspace(0, 49_999, 20_000).astype(int)
    assert 1 not in screened
    assert give_away(target, target).strength == "copy"
    assert give_away(column, target).strength == "near"
