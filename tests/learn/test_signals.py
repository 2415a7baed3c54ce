"""Signals from files to a saved, judged model: the call, the prediction of new files, the bad inputs."""

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tutti
from tutti import models
from tutti.core import InputError

SMALL = models.InceptionTime(filters=4, kernels=(3, 9), depth=3)


def record(folder: Path, speakers: int = 3, takes: int = 6) -> Path:
    """Tones of two pitches, by several speakers of several loudnesses, of unequal length."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for label, hertz in (("low", 300), ("high", 900)):
        for speaker in range(speakers):
            for take in range(takes):
                n = int(rng.integers(800, 1600))
                x = np.sin(2 * np.pi * hertz * np.arange(n) / 8000) * 5000 / (1 + speaker) + rng.normal(0, 50, n)
                with wave.open(str(folder / f"{label}_s{speaker}_{take}.wav"), "wb") as out:
                    out.setnchannels(1)
                    out.setsampwidth(2)
                    out.setframerate(8000)
                    out.writeframes(x.astype("<i2").tobytes())
    return folder


# catalogue: D3, A36
def test_recordings_with_speakers_held_out(cheap: dict[str, Any], tmp_path: Path) -> None:
    folder = record(tmp_path / "sounds")
    pattern = "{label}_{speaker}_*.wav"
    options = {**cheap, "target_from": pattern, "group": "speaker", "model": SMALL, "epochs": 12, "folds": 2}
    model = tutti.fit(folder, **options)
    assert model.result["details"]["splits"]["kind"] == "group"
    assert model.result["test"]["value"] == 1.0
    new = folder / "low_s0_0.wav"
    assert list(model.predict(new)) == ["low"]
    again = tutti.fit(folder, **options)
    assert again.result["best"] == model.result["best"]
    assert again.result["test"] == model.result["test"]


# catalogue: D3, D7
def test_a_given_test_file_and_the_baselines(cheap: dict[str, Any], shared_data: Path) -> None:
    folder = shared_data / "series" / "ucr"
    train, test = folder / "ItalyPowerDemand_TRAIN.ts", folder / "ItalyPowerDemand_TEST.ts"
    model = tutti.fit(train, test=str(test), model=SMALL, **{**cheap, "epochs": 25, "folds": 2})
    assert model.result["test"]["n"] == 1029
    assert model.result["test"]["value"] > 0.9
    predicted = model.predict(test)
    truth = [line.rsplit(":", 1)[1] for line in test.read_text(encoding="utf8").splitlines() if line[:1] not in "@#"]
    assert (predicted.astype(float) == np.array(truth, float)).mean() == pytest.approx(model.result["test"]["value"])


def test_regression_of_whole_signals_of_unequal_length(cheap: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    frequency = rng.uniform(0.05, 0.4, 120)
    signals = [np.sin(f * np.arange(n)) for f, n in zip(frequency, rng.integers(40, 90, 120), strict=True)]
    model = tutti.fit((signals, frequency), model=SMALL, **{**cheap, "epochs": 20, "folds": 2})
    assert model.result["run"]
    assert model.result["test"]["metric"] == "rmse"
    assert model.result["test"]["value"] < 0.6 * float(frequency.std())
    order = model.predict(signals[:6])
    alone = np.concatenate([model.predict([s, signals[0]])[:1] for s in signals[:6]])
    np.testing.assert_allclose(order, alone, rtol=1e-4, atol=1e-5)


def test_a_fit_of_nothing_to_predict_is_told(tmp_path: Path) -> None:
    folder = record(tmp_path / "flat", speakers=1, takes=2)
    with pytest.raises(InputError, match="target"):
        tutti.fit(folder)
