"""Time series: windows are views of one table, steps are even, and no training future reaches a judged one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tutti import models
from tutti.core import InputError
from tutti.data import Reading, Series, Table, declare_splits, encode, read
from tutti.tasks import Affine


def _series(source: Any, horizon: int = 3, window: int | None = 4, **options: Any) -> tuple[Table, Series]:
    names = ("time", "series", "group", "drop", "keep")
    roles = {name: options.pop(name) for name in names if name in options}
    table = read(source, reading=Reading(horizon=horizon, window=window, **options), **roles)
    assert isinstance(table.sample, Series)
    return table, table.sample


def _frame(steps: int = 40, *, seed: int = 0, start: str = "2024-01-01") -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    columns = {name: draw.normal(size=steps).round(3) for name in ("a", "b")}
    return pd.DataFrame({"date": pd.date_range(start, periods=steps, freq="h"), **columns})


def _found(table: Table, kind: str) -> str:
    return " ".join(f.message for f in table.findings if f.kind == kind)


def _pasts(sample: Series) -> torch.Tensor:
    past = sample.inputs()[0]
    return past if isinstance(past, torch.Tensor) else past.read(np.arange(len(sample)))


class TestWindows:
    def test_are_the_slices_of_the_table_and_their_futures_follow(self) -> None:
        frame = _frame()
        table, sample = _series(frame, time="date")
        raw = frame[["a", "b"]].to_numpy(np.float32)
        assert table.target is not None
        for row in range(len(sample)):
            assert np.array_equal(_pasts(sample)[row], raw[row : row + 4])
            assert np.array_equal(table.target[row].reshape(3, 2), raw[row + 4 : row + 7])
        assert len(sample) == 40 - 4 - 3 + 1
        assert table.time is not None
        assert table.time[0] == frame["date"][4].to_datetime64()

    def test_are_not_copied(self) -> None:
        table, sample = _series(_frame(), time="date")
        past = sample.inputs()[0]
        assert isinstance(past, torch.Tensor)
        assert table.target is not None
        memory = torch.from_numpy(sample.values).untyped_storage().data_ptr()
        assert past.untyped_storage().data_ptr() == memory
        assert np.shares_memory(table.target, sample.values)

    def test_taken_rows_read_the_same(self) -> None:
        _, sample = _series(_frame(), time="date")
        rows = np.array([7, 2, 2, 30])
        assert torch.equal(_pasts(sample.take(rows)), _pasts(sample)[rows])
        assert np.array_equal(sample.take(rows).futures, sample.futures[rows])

    def test_of_two_sources_stand_one_behind_the_other(self) -> None:
        _, first = _series(_frame(seed=1), time="date")
        _, second = _series(_frame(seed=2), time="date")
        both = first.joined(second)
        assert torch.equal(_pasts(both), torch.cat([_pasts(first), _pasts(second)]))
        assert np.array_equal(both.futures, np.concatenate([first.futures, second.futures]))

    def test_have_equal_hashes_exactly_where_they_are_equal(self) -> None:
        values = np.random.default_rng(0).integers(0, 2, 400).astype(np.float64)
        _, sample = _series(values)
        contents = [past.numpy().tobytes() for past in _pasts(sample)]
        by_content = np.unique(contents, return_inverse=True)[1]
        by_hash = np.unique(sample.hashes(), return_inverse=True)[1]
        assert len(set(zip(by_content, by_hash, strict=True))) == len(set(by_content)) == len(set(by_hash)) == 16

    def test_of_a_panel_stay_in_their_series(self) -> None:
        frames = [_frame(seed=i).assign(city=city) for i, city in enumerate(("x", "y"))]
        mixed = pd.concat(frames).sample(frac=1, random_state=0)
        table, sample = _series(mixed, time="date", series="city", forecast="a")
        for i, frame in enumerate(frames):
            _, own = _series(frame, time="date", forecast="a")
            mine = np.array([sample.keys[p] for p in sample.places[sample.starts]]) == ("x", "y")[i]
            assert torch.equal(_pasts(sample)[mine], _pasts(own))
        assert "series" in sample.columns
        assert table.rows == 2 * 34

    def test_show_past_and_future(self) -> None:
        frame = _frame()
        _, sample = _series(frame, time="date", forecast="a")
        shown = sample.example(5)
        assert shown["past"] == [frame["a"][5:9].tolist()]
        assert shown["future"] == [frame["a"][9:12].tolist()]
        assert shown["kind"] == "series"
        assert shown["origin"] == "2024-01-01 09:00:00"


class TestSteps:
    def test_absent_ones_carry_the_past_on_and_no_future_meets_them(self) -> None:
        frame = _frame().drop(index=[20])
        table, sample = _series(frame, time="date", forecast="a")
        assert "1 of 40 steps are absent" in _found(table, "time-gaps")
        assert len(sample) == 34 - 3  # three futures would hold step 20
        over = [p for p in _pasts(sample) if np.float32(frame["a"][19]) in p]
        assert any((p[1:] == p[:-1]).any() for p in over)

    def test_missing_values_are_no_future(self) -> None:
        frame = _frame()
        frame.loc[[10, 11], "a"] = np.nan
        table, sample = _series(frame, time="date", forecast="a")
        assert "a (2)" in _found(table, "missing-values")
        assert len(sample) == 34 - 4
        assert np.isfinite(sample.futures).all()

    def test_rows_in_disorder_are_sorted(self) -> None:
        frame = _frame()
        table, sample = _series(frame.sample(frac=1, random_state=0), time="date")
        assert _found(table, "unsorted-times")
        assert torch.equal(_pasts(sample), _pasts(_series(frame, time="date")[1]))

    def test_working_days_are_rows_and_said_to_be(self) -> None:
        days = pd.DataFrame({"day": pd.bdate_range("2024-01-01", periods=60), "x": np.arange(60.0)})
        table, sample = _series(days, time="day")
        assert sample.clock.unit == "row"
        assert "no even grid" in _found(table, "irregular-steps")

    @pytest.mark.parametrize(
        ("freq", "unit", "ahead"),
        [
            ("MS", "month", ["2027-05-01", "2027-06-01", "2027-07-01"]),
            ("ME", "month-end", ["2027-05-31", "2027-06-30", "2027-07-31"]),
            ("QS", "month", ["2034-01-01", "2034-04-01", "2034-07-01"]),
            ("15min", "time", ["2024-01-01 10:00:00", "2024-01-01 10:15:00", "2024-01-01 10:30:00"]),
        ],
    )
    def test_go_on_by_the_calendar(self, freq: str, unit: str, ahead: list[str]) -> None:
        frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=40, freq=freq), "x": np.arange(40.0)})
        table, sample = _series(frame, time="t")
        assert sample.clock.unit == unit
        assert encode(table.schema, frame).sample.ahead() == {"t": ahead}  # type: ignore[union-attr]

    def test_without_times_are_the_rows(self) -> None:
        table, _ = _series(np.arange(40.0))
        assert _found(table, "no-time")
        assert table.time is not None
        assert encode(table.schema, np.arange(40.0)).sample.ahead() == {"step": [40, 41, 42]}  # type: ignore[union-attr]

    def test_of_known_series_have_their_seasons(self, shared_data: Path) -> None:
        cases = [("airline-passengers.csv", "Month", (12,)), ("daily-min-temperatures.csv", "Date", (7, 365))]
        for file, time, seasons in cases:
            _, sample = _series(shared_data / "series" / file, time=time, window=None)
            assert sample.clock.seasons() == seasons

    def test_the_calendar_repeats_with_its_periods(self) -> None:
        frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=24 * 40, freq="h"), "x": 1.0})
        frame["x"] += np.arange(len(frame))
        _, sample = _series(frame, time="t")
        waves = sample.inputs()[1]
        assert isinstance(waves, torch.Tensor)
        assert waves.shape[1] == 8
        torch.testing.assert_close(waves[0], waves[168])
        assert not torch.allclose(waves[0], waves[24])


class TestSplits:
    def test_the_standard_split_of_ett_has_its_published_counts(self, shared_data: Path) -> None:
        table, sample = _series(
            shared_data / "series" / "ett" / "ETTh1.csv", 96, 336, time="date", parts=(8640, 2880, 2880)
        )  # Autoformer's data loader: 8640 − 336 − 96 + 1, 2880 − 96 + 1 twice
        assert table.test is not None
        assert table.validation is not None
        assert table.time is not None
        assert (len(sample) - 2 * 2785, len(table.validation), len(table.test)) == (8209, 2785, 2785)
        assert str(table.time[table.test[0]])[:13] == "2017-10-24T00"
        assert table.target is not None
        assert table.target.shape == (13779, 7 * 96)

    # catalogue: E3
    @pytest.mark.parametrize("horizon", [1, 5])
    def test_no_training_window_holds_a_judged_step(self, horizon: int) -> None:
        table, sample = _series(_frame(200), horizon, time="date")
        splits, _ = declare_splits(table.rows, time=table.time, gap=sample.gap)
        sides = [(splits.train, splits.test), *((f.train, f.validation) for f in splits.folds)]
        for train, judged in sides:
            seen = {s for r in train for s in range(sample.starts[r], sample.starts[r] + 4 + horizon)}
            asked = {s for r in judged for s in range(sample.starts[r] + 4, sample.starts[r] + 4 + horizon)}
            assert not seen & asked
            first, last = sample.starts[judged].min() + 4, sample.starts[train].max() + 4 + horizon
            assert last == first  # and not a step more is given away
        assert sample.leaks(splits, given=False) == []

    def test_shuffled_windows_are_refused(self) -> None:
        table, sample = _series(_frame(200), time="date")
        splits, _ = declare_splits(table.rows, kind="random")
        assert [f.severity for f in sample.leaks(splits, given=True)] == ["refused"]
        assert sample.leaks(splits, given=True)[0].kind == "window-overlap"

    def test_futures_that_meet_are_a_leak(self) -> None:
        table, sample = _series(_frame(200), time="date")
        splits, _ = declare_splits(table.rows, time=table.time, gap=0)
        assert "2 of" in sample.leaks(splits, given=False)[0].message


class TestFit:
    def test_a_copy_of_the_last_value_comes_back_in_its_own_units(self) -> None:
        table, sample = _series(_frame(60), time="date")
        network = models.SeriesLinear(norm="none").build(sample.shape, 6)
        with torch.no_grad():
            network.body.steps.weight.zero_()
            network.body.steps.weight[:, -1] = 1
            network.body.steps.bias.zero_()
        rows = np.arange(20)
        network.load_state_dict({**network.state_dict(), **sample.fit(network, rows)})
        assert table.target is not None
        output = network(*(x if isinstance(x, torch.Tensor) else x.read(rows) for x in sample.inputs()))
        forecast = Affine.fit(table.target[rows]).restore(output).reshape(-1, 3, 2)
        torch.testing.assert_close(forecast, _pasts(sample)[:, -1:].expand(-1, 3, 2))

    def test_takes_nothing_from_rows_that_do_not_train(self) -> None:
        frame = _frame(60)
        _, sample = _series(frame, time="date")
        frame.loc[40:, ["a", "b"]] *= 100
        _, other = _series(frame, time="date")
        network = models.SeriesLinear().build(sample.shape, 6)
        for name, value in sample.fit(network, np.arange(20)).items():
            assert torch.equal(value, other.fit(network, np.arange(20))[name])


class TestNewData:
    def test_the_last_window_is_what_is_forecast_from(self) -> None:
        frame = _frame()
        table, _ = _series(frame, time="date")
        sample = encode(table.schema, frame.iloc[-4:]).sample
        assert isinstance(sample, Series)
        assert len(sample) == 1
        assert np.array_equal(_pasts(sample)[0], frame[["a", "b"]].to_numpy(np.float32)[-4:])
        assert sample.ahead()["date"][0] == "2024-01-02 16:00:00"

    def test_known_futures_are_judged(self) -> None:
        frame = _frame()
        table, _ = _series(frame, time="date")
        again = encode(table.schema, frame, target=True)
        assert np.array_equal(again.target, table.target)
        assert np.array_equal(again.time, table.time)

    def test_that_are_too_short_or_lack_a_channel_are_named(self) -> None:
        table, _ = _series(_frame(), time="date")
        with pytest.raises(InputError, match=r"holds 3 steps; the model looks back on 4"):
            encode(table.schema, _frame().iloc[:3])
        with pytest.raises(InputError, match="no column 'b'"):
            encode(table.schema, _frame()[["date", "a"]])


_WEEK = _frame()
BAD: list[tuple[Any, dict[str, Any], str]] = [
    (pd.concat([_WEEK, _WEEK.iloc[[5]]]), {"time": "date"}, r"Rows 6 and 41 have the same date"),
    (_WEEK.iloc[:12], {"time": "date", "window": 8}, r"12 steps hold 2 windows of 8 steps with a known future of 3"),
    (_WEEK, {"time": "date", "horizon": 0}, "The horizon is 0"),
    (_WEEK, {"time": "date", "horizon": None, "forecast": "a"}, "how far it reaches"),
    (_WEEK, {"time": "date", "forecast": "c"}, "Unknown column 'c'"),
    (_WEEK, {"time": "date", "forecast": "date"}, "to be forecast and to be a time"),
    (_WEEK.assign(a=np.nan), {"time": "date", "forecast": "a"}, "no value in any row"),
    (_WEEK.assign(date="soon"), {"time": "date", "forecast": "a"}, "neither dates nor numbers"),
    (_WEEK[["date"]].assign(word="x"), {"time": "date"}, "No column holds numbers"),
    (_WEEK, {"time": "date", "parts": (30, 9, 9)}, "take 48 steps; there are 40"),
    (_WEEK, {"time": "date", "parts": (30, 8, 2)}, "The test part holds no window"),
    (_WEEK, {"time": "date", "parts": (30, 10)}, "three parts"),
]


@pytest.mark.parametrize(("source", "options", "message"), BAD)
def test_bad_input_is_named(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _series(source, **options)


def test_repeats_are_left_out_where_asked() -> None:
    frame = _frame()
    _, sample = _series(pd.concat([frame, frame.iloc[[5]]]), time="date", skip=True)
    assert torch.equal(_pasts(sample), _pasts(_series(frame, time="date")[1]))
