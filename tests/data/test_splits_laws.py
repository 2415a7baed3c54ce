"""Laws that hold for every split of every table: nothing is on two sides, nothing is lost, seeds are a contract."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tutti.core import InputError
from tutti.data._splits import declare_splits

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def requests(draw):
    rows = draw(st.integers(6, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    asked = {
        "rows": rows,
        "seed": draw(st.integers(0, 2**32 - 1)),
        "folds": draw(st.integers(1, 8)),
        "test_size": draw(st.sampled_from([0.0, 0.1, 0.2, 0.35])),
    }
    if draw(st.booleans()):
        asked["target"] = rng.integers(0, draw(st.integers(1, 12)), rows)
    if draw(st.booleans()):
        asked["groups"] = rng.integers(0, draw(st.integers(2, 40)), rows)
    if draw(st.booleans()):
        asked["time"] = rng.integers(0, draw(st.integers(2, 200)), rows)
        asked["gap"] = draw(st.integers(0, 3))
    if draw(st.booleans()):
        ids = rng.integers(0, rows, rows)
        asked["duplicates"] = np.array([np.flatnonzero(ids == i)[0] for i in ids])
    return asked


def declared(asked):
    """The splits, or None where the request is refused with a message."""
    try:
        return declare_splits(**asked)
    except InputError:
        return None


# catalogue: E1, E2, E3
@quick
@given(requests())
def test_no_row_stands_on_two_sides_and_none_is_lost(asked):
    made = declared(asked)
    if made is None:
        return
    splits, findings = made
    everything = np.concatenate([splits.train, splits.test, splits.purged])
    np.testing.assert_array_equal(np.sort(everything), np.arange(asked["rows"]))
    for fold in splits.folds:
        assert len(fold.train)
        assert len(fold.validation)
        assert not np.isin(fold.train, fold.validation).any()
        assert np.isin(np.concatenate([fold.train, fold.validation]), splits.train).all()
    judged = np.concatenate([fold.validation for fold in splits.folds])
    assert len(np.unique(judged)) == len(judged), "folds validate on different rows"
    if not splits.ordered and asked["folds"] > 1:
        np.testing.assert_array_equal(splits.validated, splits.train)
    if len(splits.folds) != asked["folds"]:
        assert "folds-shrunk" in [f.kind for f in findings]
    assert splits.units.min() >= 0


@quick
@given(requests())
def test_groups_times_and_copies_are_respected(asked):
    made = declared(asked)
    if made is None:
        return
    splits, findings = made
    sides = [(splits.train, splits.test), *((fold.train, fold.validation) for fold in splits.folds)]
    for past, judged in sides:
        if "groups" in asked:
            assert not np.isin(asked["groups"][past], asked["groups"][judged]).any()
        if "time" in asked and len(judged):
            assert asked["time"][past].max() < asked["time"][judged].min()
            between = np.unique(asked["time"])
            skipped = (between > asked["time"][past].max()) & (between < asked["time"][judged].min())
            assert skipped.sum() >= asked["gap"]
        ids = asked.get("duplicates")
        held = "groups" not in asked and "time" not in asked and "duplicate-rows" not in [f.kind for f in findings]
        if ids is not None and held:
            assert not np.isin(ids[past], ids[judged]).any()


@quick
@given(requests())
def test_the_same_request_gives_the_same_splits(asked):
    first, second = declared(asked), declared(asked)
    assert (first is None) == (second is None)
    if first is None or second is None:
        return
    np.testing.assert_array_equal(first[0].test, second[0].test)
    np.testing.assert_array_equal(first[0].units, second[0].units)
    for one, two in zip(first[0].folds, second[0].folds, strict=True):
        np.testing.assert_array_equal(one.train, two.train)
        np.testing.assert_array_equal(one.validation, two.validation)


@quick
@given(requests())
def test_the_test_is_about_as_large_as_was_asked(asked):
    made = declared(asked)
    if made is None or "groups" in asked or "time" in asked or "duplicates" in asked:
        return
    assert len(made[0].test) == np.ceil(asked["test_size"] * asked["rows"])
