"""What a report shows of the samples that judge: mistakes as mistakes, groups in turn, where attention looks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import tutti
from tutti.data import Sets
from tutti.learn._declare import Declared
from tutti.learn._examples import MISTAKES, OTHERS, examples
from tutti.predictor import Predictor

SPEAKERS = 2


def _declared(target: np.ndarray, unit: str, units: np.ndarray, task: str = "multiclass") -> Any:
    """What `examples` asks of a declaration: sets of one point each, whose value is their row."""
    items = torch.arange(len(target), dtype=torch.float32)[:, None, None]
    sample = Sets(items=items, counts=torch.ones(len(target), dtype=torch.int32), names=("row",))
    classes = () if task == "regression" else ("a", "b", "c")
    found = Declared.__new__(Declared)
    parts = {
        "table": SimpleNamespace(sample=sample),
        "target": target,
        "metric": "rmse" if task == "regression" else "accuracy",
        "splits": SimpleNamespace(unit=unit, units=units),
        "task": SimpleNamespace(kind=task, classes=classes),
    }
    for name, part in parts.items():
        object.__setattr__(found, name, part)
    return found


def _classified(wrong: int, rows: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Targets and probabilities of which `wrong` are mistaken, the later the graver; the next ones are nearly so."""
    target = np.zeros(rows, np.int64)
    right = np.linspace(0.99, 0.51, rows)
    right[rows - wrong :] = np.linspace(0.4, 0.01, wrong)
    return target, np.stack([right, 1 - right, np.zeros(rows)], axis=1)


@pytest.mark.parametrize("unit", ["row", "group"])
@pytest.mark.parametrize("wrong", [0, 3, 30])
def test_the_worst_are_mistakes_and_groups_show_as_many_as_rows(unit: str, wrong: int) -> None:
    target, prediction = _classified(wrong)
    units = np.arange(len(target)) % SPEAKERS
    found = examples(_declared(target, unit, units), np.arange(len(target)), prediction)
    worst = [e for e in found if e["worst"]]
    assert len(worst) == min(wrong, MISTAKES)
    assert len(found) == len(worst) + OTHERS
    assert all(e["truth"] != e["answer"] for e in worst)
    assert [e["loss"] for e in worst] == sorted((e["loss"] for e in worst), reverse=True)
    assert len({e["row"] for e in found}) == len(found)


def test_groups_take_turns_among_the_worst() -> None:
    target, prediction = _classified(40)
    units = np.where(np.arange(80) >= 50, 7, np.arange(80) % 5)  # the thirty gravest mistakes are of one group
    found = examples(_declared(target, "group", units), np.arange(80), prediction)
    rows = [e["row"] for e in found if e["worst"]]
    counts = {unit: sum(units[row] == unit for row in rows) for unit in (0, 1, 2, 3, 4, 7)}
    assert counts == {0: 2, 1: 2, 2: 2, 3: 2, 4: 2, 7: 2}
    assert rows[0] == 79


def test_a_block_of_time_is_shown_once_among_the_worst_and_values_are_all_in_question() -> None:
    target = np.zeros((60, 1), np.float32)
    prediction = np.linspace(0, 1, 60, dtype=np.float32)[:, None]
    blocks = np.arange(60) // 10
    found = examples(_declared(target, "block", blocks, "regression"), np.arange(60), prediction)
    assert [e["row"] for e in found if e["worst"]] == [59, 49, 39, 29, 19, 9]
    assert sum(not e["worst"] for e in found) == OTHERS


def test_several_labels_are_mistaken_where_one_of_them_is() -> None:
    target = np.zeros((30, 2), np.float32)
    prediction = np.full((30, 2), 0.1)
    prediction[[4, 9], [0, 1]] = 0.7
    declared = _declared(target, "row", np.arange(30), "multilabel")
    declared.task.classes = ("a", "b")
    assert {e["row"] for e in examples(declared, np.arange(30), prediction) if e["worst"]} == {4, 9}


# catalogue: T8
def test_examples_of_sets_tell_where_attention_looks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 9, 120)
    items = rng.normal(size=(120, 8, 2)).astype(np.float32)
    label = np.array([items[i, : counts[i], 0].max() > 1 for i in range(120)]).astype(int)
    items[np.arange(8) >= counts[:, None]] = np.nan
    items[::2, 0, 1] = np.nan  # items that a picture cannot show
    options: dict[str, Any] = {"learning_rates": [1e-2], "weight_decays": [0.0], "folds": 2, "epochs": 5}
    model = tutti.fit(
        (items, label), data="sets", model="attention", baselines=False, out=tmp_path / "run", **options
    )
    shown = model.report().read_text(encoding="utf8")
    assert "the item that it looks at most" in shown
    assert "look-4" in shown
    found = tutti.runs.Run.open(tmp_path / "run").read_json("examples.json")
    assert found
    networks = model.predictor.networks
    for example in found:
        row = example["row"]
        read = torch.tensor(np.nan_to_num(items[row : row + 1], nan=np.nan))
        there = torch.tensor(counts[row : row + 1])
        points = np.array(example["picture"]["points"])
        assert len(points) == len(example["attention"])
        weights = sum(n.attention(read, there, rescale=False)[0].numpy() for n in networks) / len(networks)
        weights = weights[: counts[row]]
        expected = (weights - weights.min()) / (weights.max() - weights.min())
        by_value = {tuple(np.float32(item)): a for item, a in zip(items[row], expected, strict=False)}
        own = [by_value[tuple(np.float32(point))] for point in points]
        np.testing.assert_allclose(example["attention"], own, atol=2e-3)


def test_networks_that_do_not_look_say_nothing() -> None:
    target, prediction = _classified(3)
    silent = Predictor.__new__(Predictor)
    object.__setattr__(silent, "networks", [torch.nn.Linear(1, 1)])
    declared = _declared(target, "row", np.arange(80))
    assert not any("attention" in e for e in examples(declared, np.arange(80), prediction, silent, 0.0))
