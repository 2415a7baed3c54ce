"""Texts from a file to a judged model: real sentences, every network, predictions in order, rerun identical."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tutti
from tutti import data
from tutti.evaluation._features_text import Counted, Weighted

FEW = 200


@pytest.fixture(scope="session")
def sentences(shared_data: Path) -> tuple[list[str], np.ndarray]:
    """The first sentences of the binary Stanford sentiment development set."""
    table = data.read(shared_data / "text" / "sst" / "stsa.binary.dev")
    assert isinstance(table.sample, data.Texts)
    assert table.target is not None
    return list(table.sample.corpus.texts), np.asarray(table.target)


# catalogue: T5, D4
def test_sentences_are_learnt_judged_and_predicted_in_order(
    shared_data: Path, sentences: tuple[list[str], np.ndarray]
) -> None:
    folder = shared_data / "text" / "sst"
    model = tutti.fit(
        folder / "stsa.binary.train", test=folder / "stsa.binary.test", folds=2, epochs=5, learning_rates=[5e-3],
        weight_decays=[0.0],
    )  # fmt: skip
    result = model.result
    assert result["test"]["n"] == 1821
    assert result["test"]["value"] > 0.78
    assert [b["name"] for b in result["baselines"]] == ["trivial", "TF-IDF linear"]
    assert result["baselines"][1]["value"] > 0.79
    assert {"vocabulary", "duplicate-rows"} <= {f["kind"] for f in result["findings"]}
    texts, target = sentences
    found = model.predict(texts)
    assert np.mean(found == target) > 0.76
    np.testing.assert_array_equal(model.predict(texts[::-1]), found[::-1])
    assert model.run is not None
    again = tutti.load(model.run)
    np.testing.assert_allclose(again.predict_proba(texts[:50]), model.predict_proba(texts[:50]), rtol=1e-6)
    _words_are_worth_what_their_absence_changes(model)


def _words_are_worth_what_their_absence_changes(model: Any) -> None:
    assert model.run is not None
    shown = json.loads((model.run / "examples.json").read_text(encoding="utf8"))
    divided = [e for e in shown if "parts" in e]
    assert len(divided) > 10
    for example in divided[:3]:
        words = [word for word, _ in example["parts"]]
        text = "".join(words)
        assert example["picture"]["text"].startswith(text)
        answer = list(model.classes_).index(example["answer"])
        less = ["".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        found = model.predict_proba([text, *less])[:, answer]
        odds = np.log(found / (1 - found))
        np.testing.assert_allclose([worth for _, worth in example["parts"]], odds[0] - odds[1:], atol=1e-3)


# catalogue: A17, A12
@pytest.mark.parametrize("name", ["bag", "convolution", "lstm", "transformer"])
def test_every_network_for_texts_trains_and_repeats_itself(
    name: str, cheap: dict[str, Any], sentences: tuple[list[str], np.ndarray]
) -> None:
    texts, target = sentences[0][:FEW], sentences[1][:FEW]
    small = {
        "bag": {"buckets": 1 << 12},
        "convolution": {"channels": 8, "width": 16},
        "lstm": {"hidden": 8, "width": 8},
        "transformer": {"layers": 1, "width": 16, "heads": 2},
    }
    config = {"name": name, **small[name]}
    options = cheap | {"model": config, "folds": 2, "epochs": 1, "setting": {"dropout": 0.2}}
    first, second = (tutti.fit((texts, target), out=f"run{i}", **options) for i in range(2))
    assert first.result["test"]["n"] == FEW // 5
    np.testing.assert_array_equal(first.predict_proba(texts), second.predict_proba(texts))


def test_values_are_regressed_from_texts(cheap: dict[str, Any]) -> None:
    draw = np.random.default_rng(0)
    words = [f"word{i}" for i in range(30)]
    worth = draw.normal(size=30)
    chosen = [draw.permutation(30)[:12] for _ in range(300)]
    texts = [" ".join(words[i] for i in row) for row in chosen]
    values = np.array([worth[row].sum() for row in chosen])
    model = tutti.fit((texts, values), **(cheap | {"epochs": 60, "learning_rates": [3e-2], "baselines": True}))
    scores = {b["name"]: b["value"] for b in model.result["baselines"]}
    assert model.result["test"]["value"] < 0.85 * scores["trivial"]
    assert scores["TF-IDF linear"] < 0.85 * scores["trivial"]


def test_the_baselines_weights_are_those_of_scikit_learn(sentences: tuple[list[str], np.ndarray]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from tutti.data._words import words_of

    table = data.read(sentences)
    rows, other = np.arange(500), np.arange(500, 872)
    assert isinstance(table.sample, data.Texts)
    ours = Weighted(Counted(table.sample), rows)
    theirs = TfidfVectorizer(
        tokenizer=words_of, token_pattern=None, lowercase=False, ngram_range=(1, 2), sublinear_tf=True
    )
    texts = np.array(sentences[0], object)
    for chosen, matrix in ((rows, theirs.fit_transform(texts[rows])), (other, theirs.transform(texts[other]))):
        mine = ours.transform(chosen[:, None].astype(float))
        assert mine.shape == matrix.shape
        np.testing.assert_allclose((mine @ mine.T).toarray(), (matrix @ matrix.T).toarray(), atol=1e-9)
        np.testing.assert_allclose(np.sort(mine.sum(0)), np.sort(np.asarray(matrix.sum(0)).ravel()), atol=1e-9)


def test_names_are_counted_by_their_letters() -> None:
    table = data.read((["anna", "otto", "ana"], ["a", "b", "a"]))
    assert isinstance(table.sample, data.Texts)
    counted = Counted(table.sample)
    letters = {"anna"[i : i + n] for n in range(1, 5) for i in range(5 - n)}
    letters |= {"otto"[i : i + n] for n in range(1, 5) for i in range(5 - n)} | {"ana"}
    letters |= {"ana"[i : i + n] for n in range(1, 4) for i in range(4 - n)}
    assert counted.table.shape == (3, len(letters))
    assert counted.table.sum() == 10 + 10 + 6
