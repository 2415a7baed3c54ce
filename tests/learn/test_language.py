"""Language models end to end: fit, judge, save, generate."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tutti
from tutti.cli._app import app
from tutti.core import InputError, Schema, TableShape
from tutti.data import Reading
from tutti.learn import Model
from tutti.metrics import metrics_for
from tutti.predictor import Predictor
from tutti.tasks import Regression

TINY: dict[str, Any] = {
    "generate": True, "length": 32, "model": {"name": "gpt", "width": 32, "layers": 1}, "epochs": 0.08,
    "batch_size": 16, "learning_rates": [1e-2], "budget": "60s",
}  # fmt: skip


@pytest.fixture(scope="module")
def text(shared_data: Path) -> str:
    return (shared_data / "text" / "tinyshakespeare.txt").read_text(encoding="utf8")[:50_000]


@pytest.fixture(scope="module")
def fitted(text: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("language")
    book = folder / "book.txt"
    book.write_text(text, encoding="utf8")
    return tutti.fit(book, out=folder / "run", **TINY)


def test_it_learns_and_is_judged_beside_n_grams(fitted: Any) -> None:
    result = fitted.result
    names = {b["name"]: b["value"] for b in result["baselines"]}
    assert set(names) == {"trivial", "n-grams"}
    assert names["n-grams"] < result["test"]["value"] < 0.8 * names["trivial"]
    assert result["test"]["metric"] == "perplexity"
    assert result["test"]["unit"] == "block"
    assert "worse than n-grams" in result["verdict"]
    found = {m["metric"]: m["value"] for m in result["details"]["metrics"]}
    assert set(found) == set(metrics_for("language")) == {"perplexity", "nats", "bits"}
    assert found["perplexity"] == pytest.approx(np.exp(found["nats"]))
    assert found["bits"] == pytest.approx(found["nats"] / np.log(2))


def test_the_saved_model_judges_and_writes_as_the_fitted_one(fitted: Any, text: str, tmp_path: Path) -> None:
    again = tutti.load(fitted._run.folder)
    prompt = "First Citizen:\n"
    first = fitted.generate(prompt, tokens=80, temperature=0.8, top_k=20, top_p=0.95, seed=3)
    assert first == again.generate(prompt, tokens=80, temperature=0.8, top_k=20, top_p=0.95, seed=3)
    assert first != fitted.generate(prompt, tokens=80, seed=4)
    assert first.startswith(prompt)
    assert len(first) == len(prompt) + 80
    held = text[45_000:]
    scores = {m["metric"]: m["value"] for m in again.evaluate(held)["metrics"]}
    assert scores["perplexity"] == pytest.approx(fitted.result["test"]["value"], rel=1e-6)
    nats = again.predict(held)
    assert nats.mean() == pytest.approx(scores["nats"], rel=1e-5)
    out = tmp_path / "nats.csv"
    assert again.write_predictions(held, out) == len(nats)
    assert out.read_text(encoding="utf8").splitlines()[0] == "prediction"


def test_the_command_line_writes_text(fitted: Any) -> None:
    run = str(fitted._run.folder)
    told = CliRunner().invoke(app, ["sample", run, "--prompt", "ROMEO:", "-n", "20", "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    assert found["text"].startswith("ROMEO:")
    assert len(found["text"]) == 26


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"prompt": ""}, "empty"),
        ({"prompt": "ROMEO € ß €"}, "'€', 'ß'"),
        ({"prompt": "A", "temperature": 0}, "temperature"),
        ({"prompt": "A", "top_p": 1.5}, "top_p"),
        ({"prompt": "A", "tokens": 0}, "0 tokens"),
    ],
)
def test_bad_prompts_are_named(fitted: Any, told: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fitted.generate(**told)


def test_other_models_write_no_text() -> None:
    predictor = Predictor(
        task=Regression(names=("y",)), shape=TableShape(numbers=2), model={"name": "linear"}, networks=[]
    )
    with pytest.raises(InputError, match="generates no text"):
        Model(predictor, Schema(columns=(), rows=0), {}, None, Reading()).generate("a")


def test_a_string_a_test_file_and_an_lstm(text: str, tmp_path: Path) -> None:
    options = {**TINY, "model": {"name": "lstm", "width": 16, "hidden": 32}, "epochs": 0.01, "baselines": False}
    model = tutti.fit(text[:20_000], test=text[30_000:34_000], out=tmp_path / "run", **options)
    assert model.result["test"]["n"] == (4_000 - 1) // 32
    assert len(model.generate("A", tokens=5)) == 6
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf8"))
    assert config["source"] is None  # a text in memory is not written down
