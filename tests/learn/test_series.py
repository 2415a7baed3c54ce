"""Forecasts through tutti.fit: fitted, judged beside the naive ones, predicted step by step, and repeated."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti.core import InputError

MONTHS: dict[str, Any] = {"time": "Month", "forecast": "Passengers", "horizon": 6}


@pytest.fixture
def airline(shared_data: Path) -> Path:
    return shared_data / "series" / "airline-passengers.csv"


# catalogue: T13
def test_airline_passengers_are_forecast_better_than_by_their_last_season(airline: Path, place: Path) -> None:
    rates = {"learning_rates": [1e-2], "weight_decays": [0.0], "epochs": 60, "folds": 1}
    model = tutti.fit(airline, **MONTHS, **rates, budget=12, out=place / "r")
    told = {b["name"]: b for b in model.result["baselines"]}
    assert list(told) == ["trivial", "last value", "seasonal naive", "ridge on the window"]
    assert told["seasonal naive"]["difference_high"] < 0
    assert model.result["test"]["unit"] == "block"
    assert not [f for f in model.result["findings"] if f["severity"] != "notice"]
    assert model.predict(airline).shape == (1, 6)


def test_the_file_of_a_forecast_has_a_line_for_each_step(airline: Path, cheap: dict[str, Any], place: Path) -> None:
    model = tutti.fit(airline, **MONTHS, **cheap, out=place / "r")
    assert model.write_predictions(airline, place / "ahead.csv") == 6
    written = pd.read_csv(place / "ahead.csv")
    assert list(written["Month"]) == [f"1961-0{m}-01" for m in range(1, 7)]
    np.testing.assert_allclose(written["prediction"], model.predict(airline)[0], rtol=1e-6)
    again = tutti.load(place / "r")
    assert np.array_equal(again.predict(airline), model.predict(airline))
    assert again.evaluate(airline)["rows"] == 144 - 28 - 6 + 1


def test_several_series_are_told_apart_and_given_parts_are_kept(cheap: dict[str, Any], place: Path) -> None:
    steps = np.arange(300)
    waves = np.stack([np.sin(steps / 3), 100 + 50 * np.cos(steps / 5)], 1)
    options = {"horizon": 4, "window": 30, "parts": (150, 50, 60)}
    model = tutti.fit(waves, **options, **{**cheap, "epochs": 60}, out=place / "r")
    assert model.result["details"]["splits"]["rows_test"] == 57
    assert model.result["details"]["splits"]["kind"] == "given"
    assert model.result["test"]["metric"] == "r2"
    assert model.result["test"]["value"] > 0.9
    assert model.predict(waves).shape == (1, 4, 2)
    np.testing.assert_allclose(model.predict(waves)[0, :, 0], np.sin(np.arange(300, 304) / 3), atol=0.4)


def test_a_fit_repeats_itself(airline: Path, cheap: dict[str, Any], place: Path) -> None:
    first, second = (tutti.fit(airline, **MONTHS, **cheap, out=place / name) for name in ("a", "b"))
    assert np.array_equal(first.predict(airline), second.predict(airline))
    assert first.result["test"] == second.result["test"]


@pytest.mark.parametrize("name", ["dlinear", "mlp", "transformer", "lstm", "gru", "tcn"])
def test_every_network_trains(name: str, airline: Path, cheap: dict[str, Any], place: Path) -> None:
    model = tutti.fit(airline, **MONTHS, **{**cheap, "epochs": 1, "folds": 1}, model=name, out=place / "r")
    assert np.isfinite(model.predict(airline)).all()


def test_a_panel_is_forecast_series_by_series(cheap: dict[str, Any], place: Path) -> None:
    steps = np.arange(120)
    parts = [
        pd.DataFrame({"day": pd.date_range("2024-01-01", periods=120), "shop": shop, "sold": level + np.sin(steps)})
        for shop, level in (("north", 10.0), ("south", 90.0))
    ]
    options = {"time": "day", "series": "shop", "forecast": "sold", "horizon": 5, "window": 20}
    model = tutti.fit(pd.concat(parts), **options, **cheap, out=place / "r")
    assert model.write_predictions(pd.concat(parts), place / "ahead.csv") == 10
    written = pd.read_csv(place / "ahead.csv")
    assert list(written.columns) == ["shop", "day", "prediction", "prediction_low", "prediction_high"]
    assert list(written["shop"]) == ["north"] * 5 + ["south"] * 5
    assert (written["prediction"][5:] > 60).all()
    assert (written["prediction"][:5] < 40).all()


def test_bad_input_says_what_to_do(airline: Path, cheap: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="how far it reaches"):
        tutti.fit(airline, time="Month", forecast="Passengers", **cheap)
    with pytest.raises(InputError, match="are needed"):
        tutti.fit(airline, time="Month", horizon=120, **cheap)
