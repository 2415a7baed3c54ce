"""Several optimizers in one population: their settings, their rates, the run folder, a rerun, a resume."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import tutti
from tutti.core import Board, InputError, Observer
from tutti.learn import rerun, resume
from tutti.optim import find_rules
from tutti.runs import Run
from tutti.search import Grid, Scale
from tutti.search import _search as search

ONE = {"target": "cultivar", "drop": ["strong", "late", "dense"]}
SEVERAL: dict[str, Any] = {
    "optimizer": "adam,muon,sgd",
    "epochs": 3,
    "folds": 2,
    "baselines": False,
    "weight_decays": [0.0],
}
Weights = Callable[[Any], dict[str, torch.Tensor]]


# catalogue: L6
def test_several_optimizers_are_one_population(wine_csv: Path) -> None:
    model = tutti.fit(wine_csv, **ONE, **SEVERAL)
    settings = [s["setting"] for s in model.result["details"]["settings"]]
    names = [s["optimizer"] for s in settings]
    assert set(names) == {"adam", "muon", "sgd"}
    assert min(map(names.count, names)) >= 3
    assert model.result["best"]["optimizer"] in names
    assert any("3 optimizers ×" in line for line in model.result["details"]["plan"])
    rates = {n: {s["learning_rate"] for s in settings if s["optimizer"] == n} for n in names}
    assert rates["muon"] >= {2e-3, 3e-2}
    assert rates["sgd"] >= {0.2, 3.0}
    made = Run.open(model.run).read_json("plan.json")["made"]["optimizer"]
    assert [rule["name"] for rule in made] == ["adam", "muon", "sgd"]
    model.report("page.html")
    assert "muon" in Path("page.html").read_text(encoding="utf8")


def test_a_rerun_repeats_several_optimizers(wine_csv: Path) -> None:
    tutti.fit(wine_csv, **ONE, **SEVERAL)
    _, comparison = rerun("runs/wine")
    assert comparison["identical"] is True


class Ctrl(Observer):
    """Presses Ctrl-C at the third board."""

    boards = 0

    def on_board(self, board: Board) -> None:
        self.boards += 1
        if self.boards == 3:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "optimizer", ["adam,sam,schedulefree_adamw", pytest.param("torch.NAdam,muon", marks=pytest.mark.slow)]
)
def test_an_interrupted_fit_resumes_to_the_bit(
    wine_csv: Path, weights_of: Weights, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    monkeypatch.setattr(search, "CHECKPOINT_SECONDS", 0.0)
    options = {**ONE, **SEVERAL, "optimizer": optimizer, "learning_rates": [1e-3, 1e-2]}
    whole = tutti.fit(wine_csv, **options, out="whole")
    tutti.fit(wine_csv, **options, out="cut", observer=Ctrl())
    resumed = resume("cut")
    assert resumed.result["best"] == whole.result["best"]
    first, second = weights_of("whole"), weights_of("cut")
    assert all(torch.equal(first[k].nan_to_num(), second[k].nan_to_num()) for k in first)


def test_rates_that_were_given_are_taken_as_they_are(wine_csv: Path) -> None:
    options = {**SEVERAL, "learning_rates": [1e-3, 1e-2], "optimizer": ["lion", {"name": "sgd"}]}
    model = tutti.fit(wine_csv, **ONE, **options, rungs=False)
    settings = [s["setting"] for s in model.result["details"]["settings"]]
    assert {(s["optimizer"], s["learning_rate"]) for s in settings} >= {
        (n, r) for n in ("lion", "sgd") for r in (1e-3, 1e-2)
    }


def test_one_optimizer_has_no_name_of_its_own_in_the_settings(wine_csv: Path, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine_csv, **ONE, **cheap, optimizer="AdEMAMix")
    assert "optimizer" not in model.result["best"]
    assert Run.open(model.run).read_json("plan.json")["made"]["optimizer"]["name"] == "ademamix"


def test_a_rule_for_a_constant_rate_gets_one(wine_csv: Path, cheap: dict[str, Any]) -> None:
    model = tutti.fit(wine_csv, **ONE, **cheap, optimizer="schedule-free adamw")
    made = Run.open(model.run).read_json("plan.json")["made"]
    assert made["schedule"]["name"] == "constant"
    assert made["schedule"]["warmup_fraction"] > 0


def test_an_optimizer_that_evaluates_again_alone_is_looped(wine_csv: Path, cheap: dict[str, Any]) -> None:
    options = {
        **cheap,
        "learning_rates": [0.1],
        "epochs": 1,
        "folds": 2,
        "optimizer": {"name": "LBFGS", "max_iter": 3},
    }
    model = tutti.fit(wine_csv, **ONE, **options)
    assert Run.open(model.run).read_json("plan.json")["plan"]["executor"] == "looped"
    assert model.result["test"]["value"] > 0.5


def test_estimators_take_them_too(wine: pd.DataFrame) -> None:
    x = wine[["alcohol", "ash", "hue", "proline"]].to_numpy()
    model = tutti.TuttiClassifier(optimizer="adam,lion", epochs=2, folds=2, weight_decays=[0.0])
    model.fit(x, wine["cultivar"])
    assert model.result_["best"]["optimizer"] in ("adam", "lion")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("adam,moun", "Did you mean 'muon'"),
        ("adam,adam", "given twice"),
        ("kfac", "gradient alone"),
        ([], "no optimizer"),
        (3, "expected a name"),
        ([{"beta2": 0.5}], "no name"),
        ("torch.SparseAdam", "sparse"),
    ],
)
def test_what_cannot_be_used_is_said(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tutti.fit("no such file.csv", optimizer=given)


def test_two_of_one_name_go_by_their_options() -> None:
    rules = find_rules([{"name": "adam", "beta2": 0.9}, "adam", "SAdam (Tong et al., 2019)"])
    assert list(rules) == ["adam(beta2=0.9)", "adam", "softplus_adam"]
    assert list(find_rules("SAdam (Tong et al., 2019), lion")) == ["softplus_adam", "lion"]


def test_the_grid_is_scaled_for_each_optimizer() -> None:
    scales = (Scale(optimizer="adam"), Scale(optimizer="sgd", rate=100.0, decay=0.01))
    grid = Grid(learning_rates=(1e-3, 1 / 300), weight_decays=(0.0, 0.1), scales=scales)
    made = grid.settings()
    assert [s.optimizer for s in made] == ["adam"] * 4 + ["sgd"] * 4
    assert {s.learning_rate for s in made[:4]} == {1e-3, 1 / 300}
    assert {(s.learning_rate, s.weight_decay) for s in made[4:]} == {(r, d) for r in (0.1, 0.333) for d in (0, 1e-3)}
    again = Grid.around(made)
    assert len(again.settings()) == 8
    grown = grid.grow(made[-1], made)
    assert [s.optimizer for s in grown] == ["sgd", "sgd"]
    assert [s.learning_rate for s in grown] == pytest.approx([0.333 * 3.33, 0.333])
    assert [s.weight_decay for s in grown] == pytest.approx([1e-3, 3e-3])
