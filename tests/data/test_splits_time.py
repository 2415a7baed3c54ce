"""Time order: the past trains, the future judges, one moment stays together, and a gap is purged."""

from datetime import timedelta

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, TimeSeriesSplit

from tutti.core import InputError
from tutti.data._splits import declare_splits


def hours(count):
    return np.datetime64("2016-07-01T00", "h") + np.arange(count)


# catalogue: E3
@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("folds", [2, 5])
def test_chained_folds_are_those_of_scikit_learn_on_the_sorted_rows(gap, folds):
    time = np.random.default_rng(1).permutation(200)
    splits, findings = declare_splits(200, time=time, gap=gap, folds=folds)
    order = np.argsort(time)
    np.testing.assert_array_equal(splits.test, np.sort(order[160:]))
    np.testing.assert_array_equal(splits.purged, np.sort(order[160 - gap : 160]))
    np.testing.assert_array_equal(splits.train, np.sort(order[: 160 - gap]))
    past = order[: 160 - gap]
    for fold, (train, judged) in zip(splits.folds, TimeSeriesSplit(folds, gap=gap).split(past), strict=True):
        np.testing.assert_array_equal(fold.train, np.sort(past[train]))
        np.testing.assert_array_equal(fold.validation, np.sort(past[judged]))
    assert (splits.kind, splits.unit, splits.ordered, findings) == ("time", "block", True, [])


def test_one_moment_never_stands_on_two_sides():
    time = np.sort(np.random.default_rng(2).integers(0, 40, 300))
    splits, _ = declare_splits(300, time=time)
    assert time[splits.train].max() < time[splits.test].min()
    for fold in splits.folds:
        assert time[fold.train].max() < time[fold.validation].min()
    validated = [set(time[fold.validation]) for fold in splits.folds]
    assert len(set().union(*validated)) == sum(map(len, validated))


def test_a_few_heavy_stamps_are_chained_stamp_by_stamp():
    time = np.repeat(np.arange(2000, 2007), [500, 10, 10, 10, 10, 10, 10])
    splits, findings = declare_splits(560, time=time, test_size=0.0, folds=5)
    assert [sorted(set(time[f.validation])) for f in splits.folds] == [[2002], [2003], [2004], [2005], [2006]]
    assert [time[f.train].max() for f in splits.folds] == [2001, 2002, 2003, 2004, 2005]
    assert findings == []


def test_folds_shrink_to_the_stamps_that_there_are():
    time = np.repeat([1, 2, 3, 4], 25)
    splits, findings = declare_splits(100, time=time)
    np.testing.assert_array_equal(splits.test, np.arange(75, 100))
    assert len(splits.folds) == 2
    assert [f.kind for f in findings] == ["folds-shrunk"]


def test_a_panel_is_cut_at_one_time_for_all_series_and_the_gap_counts_stamps():
    series, step = np.divmod(np.arange(600), 100)
    splits, _ = declare_splits(600, time=step, series=series, gap=5)
    for part in (splits.test, *(fold.validation for fold in splits.folds)):
        assert len(set(np.bincount(series[part], minlength=6))) == 1, "each series gives the same part of time"
    np.testing.assert_array_equal(np.unique(step[splits.purged]), np.arange(75, 80))
    for fold in splits.folds:
        assert step[fold.validation].min() - step[fold.train].max() == 6
    same_time = splits.units.reshape(6, 100)
    np.testing.assert_array_equal(same_time, np.broadcast_to(same_time[0], (6, 100)))


def test_a_gap_may_be_a_duration():
    splits, _ = declare_splits(500, time=hours(500), gap=timedelta(hours=24))
    steps, _ = declare_splits(500, time=hours(500), gap=24)
    np.testing.assert_array_equal(splits.purged, steps.purged)
    for by_hours, by_steps in zip(splits.folds, steps.folds, strict=True):
        np.testing.assert_array_equal(by_hours.train, by_steps.train)
    uneven = hours(500)[np.sort(np.random.default_rng(0).choice(500, 200, replace=False))]
    splits, _ = declare_splits(200, time=uneven, gap=np.timedelta64(24, "h"))
    for fold in splits.folds:
        between = uneven[fold.validation].min() - uneven[fold.train].max()
        assert np.timedelta64(24, "h") < between
    with pytest.raises(InputError, match="holds no dates"):
        declare_splits(500, time=np.arange(500), gap=timedelta(hours=1))
    with pytest.raises(InputError, match="expected 0 or more"):
        declare_splits(500, time=hours(500), gap=timedelta(hours=-1))


def test_a_single_hold_out_in_time_is_the_last_of_five():
    one, _ = declare_splits(240, time=np.arange(240), folds=1)
    five, _ = declare_splits(240, time=np.arange(240), folds=5)
    assert len(one.folds) == 1
    np.testing.assert_array_equal(one.folds[0].validation, five.folds[-1].validation)
    np.testing.assert_array_equal(one.folds[0].train, five.folds[-1].train)


def test_given_test_rows_purge_the_gap_before_them():
    splits, _ = declare_splits(100, time=np.arange(100), test_rows=np.arange(90, 100), gap=4)
    np.testing.assert_array_equal(splits.purged, np.arange(86, 90))
    assert splits.train.max() == 85


def test_entities_and_time_are_both_held_out():
    rng = np.random.default_rng(3)
    groups, time = rng.integers(0, 30, 2000), rng.integers(0, 100, 2000)
    splits, findings = declare_splits(2000, groups=groups, time=time, gap=2)
    assert (splits.kind, splits.unit, splits.ordered) == ("group-time", "group", True)
    assert [(f.kind, f.severity) for f in findings] == [("unused-rows", "notice")]
    assert not set(groups[splits.test]) & set(groups[splits.train])
    assert time[splits.train].max() + 2 < time[splits.test].min()
    validated = np.concatenate([groups[f.validation] for f in splits.folds])
    assert set(validated) == set(groups[splits.train])
    for fold in splits.folds:
        assert not set(groups[fold.train]) & set(groups[fold.validation])
        assert time[fold.train].max() + 2 < time[fold.validation].min()
    assert len(splits.train) + len(splits.test) + len(splits.purged) == 2000
    start = min(time[f.validation].min() for f in splits.folds)
    late = splits.train[time[splits.train] >= start]
    for fold, (_, judged) in zip(splits.folds, GroupKFold(5).split(late, groups=groups[late]), strict=True):
        np.testing.assert_array_equal(fold.validation, late[judged])


@pytest.mark.parametrize(("stamps", "blocks"), [(20, 7), (100, 22), (240, 39), (1000, 50)])
def test_blocks_are_contiguous_in_time_and_as_many_as_the_series_bears(stamps, blocks):
    time = np.random.default_rng(4).permutation(np.repeat(np.arange(stamps), 3))
    splits, _ = declare_splits(len(time), time=time, test_size=0.0, folds=2)
    units = splits.units[np.argsort(time, kind="stable")]
    assert (np.diff(units) >= 0).all()
    assert len(np.unique(units)) == blocks
    assert len({(t, u) for t, u in zip(time, splits.units, strict=True)}) == stamps, "a stamp is in one block"
    sizes = np.bincount(units)
    assert sizes.max() - sizes.min() <= 3


def test_test_rows_have_blocks_of_their_own():
    splits, _ = declare_splits(1000, time=np.arange(1000))
    assert not set(splits.units[splits.test]) & set(splits.units[splits.train])
    assert len(set(splits.units[splits.test])) == round(200 ** (2 / 3))


@pytest.mark.parametrize(
    ("time", "says"),
    [
        (np.array([1.0, np.nan] * 20), "20 rows have no time"),
        (np.array(["2020-01-01", None] * 20, dtype=object), "20 rows have no time"),
        (np.array([1, "x"] * 20, dtype=object), "cannot be sorted"),
        (np.array(["2020-01-01", "NaT"] * 20, dtype="datetime64[D]"), "20 rows have no time"),
        (np.zeros(40), "same time"),
        (np.repeat([0, 1], 20), "same time"),
    ],
)
def test_times_that_cannot_order_rows_are_refused(time, says):
    with pytest.raises(InputError, match=says):
        declare_splits(40, time=time)


def test_a_gap_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(InputError, match="no training rows"):
        declare_splits(100, time=np.arange(100), gap=60)


def test_folds_whose_gap_leaves_nothing_to_train_on_are_left_out_and_said():
    splits, findings = declare_splits(100, time=np.arange(100), gap=30)
    assert [f.kind for f in findings] == ["folds-shrunk"]
    assert f"5 folds became {len(splits.folds)}" in findings[0].message
    every = TimeSeriesSplit(5, gap=0).split(splits.train)
    last = [judged for _, judged in every][-len(splits.folds) :]
    for fold, judged in zip(splits.folds, last, strict=True):
        np.testing.assert_array_equal(fold.validation, splits.train[judged])
        np.testing.assert_array_equal(fold.train, np.arange(judged[0] - 30))


# catalogue: E3
def test_hourly_temperatures_are_chained_in_time(shared_data):
    lines = (shared_data / "series" / "ett" / "ETTh1.csv").read_text(encoding="utf8").splitlines()[1:]
    time = np.array([line.split(",")[0].replace(" ", "T") for line in lines], dtype="datetime64[s]")
    splits, findings = declare_splits(len(time), time=time, gap=timedelta(hours=24))
    assert findings == []
    assert len(splits.test) == 3484
    assert len(splits.purged) == 24
    assert time[splits.test].min() - time[splits.train].max() == np.timedelta64(25, "h")
    reference = TimeSeriesSplit(5, gap=24).split(splits.train)
    for fold, (train, judged) in zip(splits.folds, reference, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.validation, judged)
    assert len(np.unique(splits.units)) == 100
