"""Splits are scikit-learn's, carry their unit, and say aloud whenever they are not what was asked for."""

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    RepeatedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    train_test_split,
)

from tutti.core import Column, InputError, Kind, Role, Schema
from tutti.data._row_content import duplicate_groups
from tutti.data._splits import declare_splits, warn_shuffled_time

SEEDS = [0, 1, 42, 2**32 - 1]


def same_folds(splits, reference, pool):
    assert len(splits.folds) == len(reference)
    for fold, (train, judged) in zip(splits.folds, reference, strict=True):
        np.testing.assert_array_equal(fold.train, pool[train])
        np.testing.assert_array_equal(fold.validation, pool[judged])


def kinds(findings):
    return [f.kind for f in findings]


# catalogue: E1, E2
@pytest.mark.parametrize("seed", SEEDS)
def test_random_splits_are_those_of_scikit_learn(seed):
    splits, findings = declare_splits(103, seed=seed)
    train, test = train_test_split(np.arange(103), test_size=0.2, random_state=seed)
    np.testing.assert_array_equal(splits.test, np.sort(test))
    np.testing.assert_array_equal(splits.train, np.sort(train))
    same_folds(splits, list(KFold(5, shuffle=True, random_state=seed).split(splits.train)), splits.train)
    assert (splits.kind, splits.unit, findings) == ("random", "row", [])
    np.testing.assert_array_equal(splits.units, np.arange(103))


# catalogue: E1, E2
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("folds", [2, 5, 10])
def test_stratified_splits_are_those_of_scikit_learn(seed, folds):
    target = np.random.default_rng(5).choice(3, size=211, p=[0.7, 0.2, 0.1])
    splits, findings = declare_splits(211, target=target, test_size=0.25, folds=folds, seed=seed)
    _, test = train_test_split(np.arange(211), test_size=0.25, random_state=seed, stratify=target)
    np.testing.assert_array_equal(splits.test, np.sort(test))
    reference = StratifiedKFold(folds, shuffle=True, random_state=seed)
    same_folds(splits, list(reference.split(splits.train, target[splits.train])), splits.train)
    assert (splits.kind, findings) == ("stratified", [])


# catalogue: E2
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_entities_are_held_out_as_scikit_learn_does(seed):
    rng = np.random.default_rng(7)
    groups = rng.integers(0, 40, 300)
    splits, _ = declare_splits(300, groups=groups, seed=seed)
    _, test = next(GroupShuffleSplit(1, test_size=0.2, random_state=seed).split(groups, groups=groups))
    np.testing.assert_array_equal(splits.test, np.sort(test))
    same_folds(splits, list(GroupKFold(5).split(splits.train, groups=groups[splits.train])), splits.train)
    assert (splits.kind, splits.unit) == ("group", "group")
    np.testing.assert_array_equal(splits.units, np.unique(groups, return_inverse=True)[1])

    target = rng.integers(0, 2, 300)
    splits, _ = declare_splits(300, groups=groups, target=target, seed=seed, test_size=0.0)
    reference = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(groups, target, groups)
    same_folds(splits, list(reference), np.arange(300))


def test_the_same_seed_gives_the_same_splits_and_another_seed_others():
    first, second, other = (declare_splits(500, seed=seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.test, second.test)
    np.testing.assert_array_equal(first.folds[2].validation, second.folds[2].validation)
    assert not np.array_equal(first.test, other.test)


def test_an_unfair_draw_of_entities_is_drawn_again():
    groups = np.repeat(np.arange(11), [900] + [10] * 10)
    for seed in range(20):
        splits, _ = declare_splits(1000, groups=groups, seed=seed)
        assert 0 not in groups[splits.test], "the group that holds 90 % of the rows must not be the test"


def test_a_single_hold_out_is_the_first_of_five_folds():
    target = np.arange(100) % 2
    one, _ = declare_splits(100, target=target, folds=1, seed=9)
    five, _ = declare_splits(100, target=target, folds=5, seed=9)
    assert len(one.folds) == 1
    np.testing.assert_array_equal(one.folds[0].validation, five.folds[0].validation)
    assert len(one.validated) == 16


def test_the_hold_out_of_a_long_table_is_the_first_of_many_folds_and_keeps_back_few_rows():
    target = np.arange(40_000) % 3
    splits, _ = declare_splits(40_000, target=target, seed=4)
    twelve = list(StratifiedKFold(12, shuffle=True, random_state=4).split(splits.train, target[splits.train]))
    (held,) = splits.judging(1)
    np.testing.assert_array_equal(held.validation, splits.train[twelve[0][1]])
    np.testing.assert_array_equal(np.union1d(held.train, held.validation), splits.train)
    assert splits.judging(5) == splits.folds
    (short,) = declare_splits(12_000, target=target[:12_000], seed=4)[0].judging(1)
    assert len(short.validation) == 12_000 * 0.8 / 5


def test_the_hold_out_of_a_long_table_parts_no_copies_and_no_entities():
    ids = np.random.default_rng(0).integers(0, 25_000, 40_000)
    for splits in (declare_splits(40_000, duplicates=ids)[0], declare_splits(40_000, groups=ids)[0]):
        (held,) = splits.judging(1)
        assert len(held.validation) < 0.1 * len(splits.train)
        assert not np.isin(ids[held.validation], ids[held.train]).any()


def test_the_hold_out_in_time_is_the_last_of_the_past():
    time = np.random.default_rng(0).permutation(40_000)
    splits, _ = declare_splits(40_000, time=time)
    (held,) = splits.judging(1)
    assert time[held.train].max() < time[held.validation].min()
    assert time[held.validation].max() < time[splits.test].min()
    (few,) = declare_splits(400, time=time[:400])[0].judging(1)
    np.testing.assert_array_equal(few.train, declare_splits(400, time=time[:400])[0].folds[-1].train)


def test_no_test_rows_where_none_are_asked_for():
    splits, _ = declare_splits(50, test_size=0.0)
    assert len(splits.test) == 0
    np.testing.assert_array_equal(splits.validated, np.arange(50))


def test_given_test_rows_are_held_out_and_the_rest_is_folded():
    splits, _ = declare_splits(60, test_rows=np.array([59, 3, 4]), seed=2)
    np.testing.assert_array_equal(splits.test, [3, 4, 59])
    same_folds(splits, list(KFold(5, shuffle=True, random_state=2).split(splits.train)), splits.train)


def test_given_folds_are_taken_as_they_are():
    pairs = [(np.arange(5, 20), np.arange(5)), (np.arange(5), np.arange(10, 20))]
    splits, _ = declare_splits(25, folds=pairs, test_rows=np.array([22]))
    same_folds(splits, pairs, np.arange(25))
    assert splits.kind == "given"
    np.testing.assert_array_equal(splits.test, [22])
    assert len(declare_splits(25, folds=pairs)[0].test) == 0


def test_a_splitter_is_shown_the_training_rows():
    target = np.arange(90) % 3
    splitter = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    splits, _ = declare_splits(90, target=target, folds=splitter, seed=1)
    _, test = train_test_split(np.arange(90), test_size=0.2, random_state=1, stratify=target)
    np.testing.assert_array_equal(splits.test, np.sort(test))
    same_folds(splits, list(splitter.split(splits.train)), splits.train)


def test_copies_of_a_row_stand_on_one_side_and_follow_the_first():
    rng = np.random.default_rng(0)
    unique = rng.normal(size=(200, 4))
    copies = rng.integers(0, 200, 50)
    numbers = np.concatenate([unique, unique[copies]])
    target = np.concatenate([rng.integers(0, 2, 200)] * 2)[: len(numbers)]
    ids = duplicate_groups(numbers, np.zeros((250, 0), dtype=np.int64))
    splits, _ = declare_splits(250, target=target, duplicates=ids, seed=3)
    sides = np.full(250, -1)
    for place, fold in enumerate(splits.folds):
        sides[fold.validation] = place
    np.testing.assert_array_equal(sides[200:], sides[copies])
    alone, _ = declare_splits(200, target=target[:200], seed=3)
    np.testing.assert_array_equal(splits.test[splits.test < 200], alone.test)
    np.testing.assert_array_equal(np.sort(np.concatenate([splits.train, splits.test])), np.arange(250))
    for fold, reference in zip(splits.folds, alone.folds, strict=True):
        np.testing.assert_array_equal(fold.validation[fold.validation < 200], reference.validation)


def test_without_repeated_rows_their_ids_change_nothing():
    numbers = np.random.default_rng(0).normal(size=(80, 3))
    ids = duplicate_groups(numbers, np.zeros((80, 0), dtype=np.int64))
    with_ids, without = declare_splits(80, duplicates=ids)[0], declare_splits(80)[0]
    np.testing.assert_array_equal(with_ids.test, without.test)
    np.testing.assert_array_equal(with_ids.folds[1].train, without.folds[1].train)


def test_too_few_different_rows_are_dealt_out_singly_and_said():
    splits, findings = declare_splits(100, duplicates=np.arange(100) % 10)
    assert kinds(findings) == ["duplicate-rows"]
    np.testing.assert_array_equal(splits.test, declare_splits(100)[0].test)


def test_folds_shrink_to_the_smallest_class_and_say_so():
    target = np.array([0] * 60 + [1] * 36 + [2] * 4)
    splits, findings = declare_splits(100, target=target, classes=("a", "b", "seldom"))
    rest = int((target[splits.train] == 2).sum())
    assert len(splits.folds) == rest < 5
    assert kinds(findings) == ["folds-shrunk"]
    assert "'seldom'" in findings[0].message


def test_a_single_hold_out_does_not_shrink_for_a_rare_class():
    target = np.array([0] * 60 + [1] * 37 + [2] * 3)
    splits, findings = declare_splits(100, target=target, folds=1)
    assert len(splits.folds) == 1
    assert len(splits.folds[0].validation) == 16
    assert kinds(findings) in ([], ["rare-class"])


def test_a_class_of_one_row_is_named_and_nothing_is_lost():
    target = np.array([0] * 30 + [1] * 29 + [2])
    splits, findings = declare_splits(60, target=target, classes=("x", "y", "once"))
    assert kinds(findings) == ["rare-class"]
    assert findings[0].where == "once"
    assert "single row" in findings[0].message
    assert len(splits.train) + len(splits.test) == 60
    assert len(splits.folds) == 5


def test_a_class_that_some_fold_cannot_learn_is_named():
    target = np.where(np.arange(200) < 100, 0, 1)
    target[190:] = 2
    splits, findings = declare_splits(200, target=target, time=np.arange(200), classes=("old", "new", "newest"))
    assert 1 not in target[splits.folds[0].train]
    assert 1 in target[splits.folds[-1].train]
    assert [(f.kind, f.where) for f in findings] == [("rare-class", "new, newest")]
    assert declare_splits(200, target=np.arange(200) % 3, time=np.arange(200))[1] == []


def test_a_test_too_small_for_every_class_is_drawn_without_them():
    target = np.arange(40) % 12
    splits, findings = declare_splits(40, target=target, folds=2)
    assert len(splits.test) == 8
    assert "rare-class" in kinds(findings)


def test_a_small_table_gets_fewer_folds():  # and a notice, when it is read
    splits, findings = declare_splits(15, folds=5)
    assert kinds(findings) == ["folds-shrunk"]
    assert [f.severity for f in findings] == ["warning"]
    assert (len(splits.test), len(splits.folds)) == (3, 2)
    assert kinds(declare_splits(20)[1]) == []


def test_entities_that_the_test_takes_shrink_the_folds():
    groups = np.repeat(np.arange(5), 10)
    splits, findings = declare_splits(50, groups=groups)
    assert len(splits.folds) == 4
    assert kinds(findings) == ["folds-shrunk", "one-group"]


def test_the_first_fold_is_not_one_group_where_others_hold_many():
    """One group of a third of the rows fills a fold; a hold-out of it alone would have no interval."""
    groups = np.repeat(np.arange(61), [30] + [1] * 60)
    target = np.arange(90) % 2
    for asked in ({}, {"target": target}, {"folds": 1}, {"time": np.arange(90), "kind": "group-time"}):
        for seed in SEEDS[:3]:
            splits, findings = declare_splits(90, groups=groups, seed=seed, **asked)
            (held,) = splits.judging(1)
            assert len(np.unique(groups[held.validation])) > 1
            assert "one-group" not in kinds(findings)
    five = declare_splits(90, groups=groups, test_size=0.0)[0].folds
    rows = np.concatenate([fold.validation for fold in five])
    np.testing.assert_array_equal(np.sort(rows), np.arange(90), err_msg="folds change places, no rows")


def test_a_test_or_a_hold_out_of_one_group_is_said():
    groups = np.repeat(np.arange(4), 10)
    _, findings = declare_splits(40, groups=groups, folds=1)
    assert [f.where for f in findings if f.kind == "one-group"] == ["test", "fold 0"]
    _, findings = declare_splits(40, groups=groups, test_rows=np.arange(20), folds=2)
    assert "one-group" not in kinds(findings)  # two folds of one group each are judged together


def test_rows_without_a_group_are_groups_of_their_own():
    groups = np.array(["a", "b", None, None, "c", "d", "e", "f"] * 5, dtype=object)
    splits, findings = declare_splits(40, groups=groups, test_size=0.0)
    assert len(np.unique(splits.units)) == 6 + 10
    assert kinds(findings) == ["missing-group"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rows": 5}, "at least 6"),
        ({"rows": 50, "folds": 51}, "51 folds of 50 rows"),
        ({"rows": 50, "folds": 45}, "45 folds of 40 training rows"),
        ({"rows": 50, "folds": 0}, "0 folds"),
        ({"rows": 50, "test_size": 1.0}, r"share in \[0, 1\)"),
        ({"rows": 50, "test_size": -0.1}, "share in"),
        ({"rows": 50, "test_size": 0.97}, "left to train on"),
        ({"rows": 50, "test_rows": np.array([50])}, "within 0 … 49"),
        ({"rows": 50, "gap": -1, "time": np.arange(50)}, "expected 0 or more"),
        ({"rows": 50, "gap": 2}, "--time"),
        ({"rows": 50, "seed": -1}, "seed is -1"),
        ({"rows": 50, "kind": "stratfied"}, "'stratified'"),
        ({"rows": 50, "kind": "stratified"}, "a target of classes"),
        ({"rows": 50, "kind": "group"}, "needs groups"),
        ({"rows": 50, "kind": "time"}, "needs a time"),
        ({"rows": 50, "kind": "given"}, "needs folds"),
        ({"rows": 50, "groups": np.arange(50) % 4, "test_size": 0.0}, "5 folds of 4 groups"),
        ({"rows": 50, "groups": np.arange(50) % 2, "folds": 2}, "at least 3"),
        ({"rows": 50, "groups": np.zeros(50), "test_size": 0.0, "folds": 1}, "one group"),
        ({"rows": 50, "folds": []}, "No folds were given"),
        ({"rows": 50, "folds": [(np.arange(9), np.arange(8, 12))]}, "trains on rows that it validates on"),
        ({"rows": 50, "folds": [(np.arange(9), np.arange(60, 62))]}, "outside 0 … 49"),
        ({"rows": 50, "folds": [(np.arange(0), np.arange(9))]}, "no training rows"),
        ({"rows": 50, "folds": KFold(60)}, "splitter fails"),
        ({"rows": 50, "folds": KFold(3), "kind": "time"}, "Leave out one"),
    ],
)
def test_bad_arguments_are_named_with_the_fix(arguments, says):
    with pytest.raises(InputError, match=says):
        declare_splits(**arguments)


# catalogue: E3
def test_a_shuffled_split_of_rows_in_time_is_warned_about():
    _, findings = declare_splits(50, time=np.arange(50), kind="random")
    assert kinds(findings) == ["shuffled-time"]
    schema = Schema(
        columns=(Column(name="day", kind=Kind.DATETIME), Column(name="x", kind=Kind.NUMBER)),
        rows=50,
    )
    shuffled, _ = declare_splits(50)
    (found,) = warn_shuffled_time(schema, shuffled)
    assert "--time day" in found.message
    assert found.severity == "warning"
    ordered, _ = declare_splits(50, time=np.arange(50))
    assert warn_shuffled_time(schema.replace("day", role=Role.TIME), ordered) == []


def test_a_series_key_without_time_is_said_to_do_nothing():
    assert kinds(declare_splits(50, series=np.arange(50) % 3)[1]) == ["series-without-time"]


def test_titanic_by_class_keeps_each_class_whole(shared_data):
    import pandas

    frame = pandas.read_csv(shared_data / "tables" / "titanic.csv")
    groups, target = frame["embark_town"].to_numpy(dtype=object), frame["survived"].to_numpy()
    splits, findings = declare_splits(len(frame), target=target, groups=groups, folds=2, test_size=0.0)
    for fold in splits.folds:
        held = set(map(str, groups[fold.validation])) - {"nan"}
        assert not held & set(map(str, groups[fold.train]))
    assert kinds(findings) == ["missing-group"]
