"""Small real tables as files, cheap fits, and the command line run in this process."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

CHEAP: dict[str, Any] = {
    "learning_rates": [1e-2],
    "weight_decays": [0.0],
    "epochs": 4,
    "folds": 3,
    "baselines": False,
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, where runs/ lands, and one thread: the tables are small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUTTI_DEBUG", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.fixture
def cheap() -> dict[str, Any]:
    """Options of a fit of one setting, a few passes, no baselines."""
    return dict(CHEAP)


@pytest.fixture(autouse=True)
def steady(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stopwatch, but in tests of it (marked so): which executor is faster is settled, so that two fits are equal
    to the bit. The timing would be half of a small fit."""
    if request.node.get_closest_marker("stopwatch"):
        return
    monkeypatch.setattr("tutti.learn._bench.Bench._time", lambda *_: (1e-4, 1e-5, 1e-6))
    monkeypatch.setattr("tutti.learn._bench.Bench._rematch", lambda self, first, *_: first)


@pytest.fixture(scope="session")
def wine() -> pd.DataFrame:
    """Wine, with missing values, a category, a date, and a target for every task."""
    from sklearn.datasets import load_wine

    data = load_wine(as_frame=True)
    frame = data.frame[["alcohol", "malic_acid", "ash", "magnesium", "flavanoids", "hue", "proline"]].copy()
    random = np.random.default_rng(0)
    for column in ("malic_acid", "flavanoids"):
        frame.loc[random.random(len(frame)) < 0.1, column] = np.nan
    frame["soil"] = np.where(data.frame.color_intensity > 5, "clay", "sand")
    frame.loc[random.random(len(frame)) < 0.1, "soil"] = None
    days = pd.to_timedelta(random.permutation(len(frame)), unit="D")
    frame["bottled"] = (pd.Timestamp("2023-01-01") + days).strftime("%Y-%m-%d")
    frame["strong"] = np.where(data.frame["od280/od315_of_diluted_wines"] > 2.8, "yes", "no")
    frame["late"] = (data.frame.color_intensity > 4).astype(int)
    frame["dense"] = (data.frame.total_phenols > 2.3).astype(int)
    frame["cultivar"] = np.array(["barolo", "grignolino", "barbera"])[data.target]
    return frame


@pytest.fixture
def wine_csv(wine: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "wine.csv"
    wine.to_csv(path, index=False)
    return path


@pytest.fixture
def weights_of() -> Callable[[Path | str], dict[str, torch.Tensor]]:
    """The tensors of a run's model."""
    return lambda folder: load_file(Path(folder) / "model.safetensors")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `tutti ARGUMENTS` in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        from tutti.cli import main

        monkeypatch.setattr(sys, "argv", ["tutti", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return run
