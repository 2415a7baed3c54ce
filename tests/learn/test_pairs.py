"""Edges of one graph through tutti.fit: labels of edges and links, saved and loaded again; the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti import models

Command = Callable[..., tuple[int, str, str]]


def _result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf8"))
    return found


def _write(seed: int = 0, nodes: int = 90) -> pd.DataFrame:
    """Two groups of nodes: friends are those of one group, told from what both ends and their neighbours say."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, nodes)
    near = group[:, None] == group
    first, second = np.nonzero(np.triu(rng.random((nodes, nodes)) < np.where(near, 0.12, 0.06), 1))
    friends = group[first] == group[second]
    names = np.array([f"p{i}" for i in range(nodes)])
    people = pd.DataFrame({"name": names, "size": 1.5 * group + rng.normal(size=nodes)})
    edges = pd.DataFrame({"source": names[first], "target": names[second], "years": rng.random(len(first))})
    edges["calls"] = np.where(friends, 3.0, 0.0) * edges.years + rng.normal(size=len(first))
    edges["friend"] = np.where(friends, "yes", "no").astype(object)
    people.to_csv("nodes.csv", index=False)
    edges.to_csv("edges.csv", index=False)
    return edges


# catalogue: T7
@pytest.mark.usefixtures("steady")
def test_labels_of_edges_from_the_command_line(command: Command) -> None:
    edges = _write()
    edges.loc[::5, "friend"] = None
    edges.to_csv("edges.csv", index=False)
    options = ["--epochs", 40, "--folds", 3, "--learning-rate", 0.02, "--weight-decay", 0, "-o", "run", "--json"]
    code, said, told = command("fit", "nodes.csv", "--edges", "edges.csv", "--target", "friend", *options)
    assert code == 0, told
    result = json.loads(said)
    assert result["data"]["kind"] == "edges"
    assert result["data"]["rows"] == edges["friend"].notna().sum()
    assert result["test"]["value"] > 0.75
    assert {b["name"] for b in result["baselines"]} >= {"trivial", "linear", "boosted trees"}
    code, said, told = command("predict", "run", "nodes.csv", "--edges", "edges.csv")
    assert code == 0, told
    assert len(said.splitlines()) == 1 + len(edges)
    answers = np.array([line.split(",")[0] for line in said.splitlines()[1:]])
    truth = pd.read_csv("edges.csv").friend
    assert (answers == truth)[truth.notna()].mean() > 0.75
    edges.head(4).drop(columns="friend").to_csv("pairs.csv", index=False)
    code, said, _ = command("predict", "run", "nodes.csv", "--edges", "edges.csv", "--pairs", "pairs.csv")
    assert [line.split(",")[0] for line in said.splitlines()[1:]] == answers[:4].tolist()
    edges[edges["friend"].notna()].to_csv("known.csv", index=False)
    options = ["--edges", "edges.csv", "--pairs", "known.csv", "--json"]
    code, said, _ = command("evaluate", "run", "nodes.csv", *options)
    assert json.loads(said)["rows"] == edges["friend"].notna().sum()
    report = Path("run", "report.html").read_text(encoding="utf8")
    assert "friend" in report


# catalogue: T7
def test_labels_do_not_reach_the_network_and_both_directions_answer_alike(
    cheap: dict[str, Any], steady: None
) -> None:
    edges = _write()
    model = tutti.fit("nodes.csv", edges="edges.csv", target="friend", out="run", **cheap)
    nodes = "nodes.csv"
    answers = model.predict_proba((nodes, edges))
    other = edges.assign(friend=np.where(edges.friend == "yes", "no", "yes"))
    np.testing.assert_array_equal(model.predict_proba((nodes, other)), answers)
    turned = edges.rename(columns={"source": "target", "target": "source"})
    np.testing.assert_allclose(tutti.load("run").predict_proba((nodes, turned)), answers, rtol=1e-5)


@pytest.mark.parametrize("target", ["years", "kind"])
def test_numbers_and_several_classes_with_groups_held_out(target: str, cheap: dict[str, Any], steady: None) -> None:
    edges = _write()
    edges["kind"] = np.array(["a", "b", "c"])[np.arange(len(edges)) % 3]
    edges["team"] = np.arange(len(edges)) % 7
    model = tutti.fit("nodes.csv", edges=edges, target=target, group="team", out="run", **cheap)
    result = _result(Path("run"))
    assert result["details"]["splits"]["unit"] == "group"
    assert model.task.kind == ("regression" if target == "years" else "multiclass")
    assert len(model.predict(("nodes.csv", edges))) == len(edges)


# catalogue: T7
def test_cora_held_out_edges(shared_data: Path, cheap: dict[str, Any], steady: None) -> None:
    """Every tenth of the steps of a whole fit: already well above what common neighbours know."""
    source = shared_data / "graphs" / "cora.npz"
    cheap |= {"epochs": 60, "folds": 2, "baselines": True, "budget": 40, "setting": {"dropout": 0.2}}
    model = tutti.fit(source, links=True, out="run", **cheap)
    result = _result(Path("run"))
    assert result["test"]["metric"] == "auc"
    assert result["test"]["value"] > 0.8
    scores = {b["name"]: b["value"] for b in result["baselines"]}
    assert scores["trivial"] == 0.5
    assert result["test"]["value"] > scores["common neighbours"] > 0.65
    pairs = np.array([[0, 0, 5], [633, 1862, 7]])
    assert model.predict_proba((source, None, pairs)).shape == (3, 2)
    np.testing.assert_array_equal(
        tutti.load("run").predict_proba((source, None, pairs)), model.predict_proba((source, None, pairs))
    )


# catalogue: D4
def test_nodes_that_only_the_features_of_their_edges_tell_apart(cheap: dict[str, Any], steady: None) -> None:
    rng = np.random.default_rng(0)
    lean = rng.normal(size=150)
    first, second = np.nonzero(np.triu(rng.random((150, 150)) < 0.08, 1))
    said = 2.0 * (lean[first] + lean[second]) + rng.normal(size=len(first))
    nodes = {"x": rng.normal(size=150), "class": np.where(lean > 0, "a", "b")}
    edges = {"source": first, "target": second, "amount": said, "weight": rng.random(len(first)) + 0.5}
    cheap |= {"epochs": 30}
    tutti.fit(nodes, edges=edges, target="class", out="sees", **cheap)
    seeing = _result(Path("sees"))
    assert seeing["details"]["plan"][1].startswith("mpnn")
    tutti.fit(nodes, edges=edges, target="class", model="gcn", out="blind", **cheap)
    blind = _result(Path("blind"))
    assert seeing["best"]["cv"]["mean"] > max(0.75, blind["best"]["cv"]["mean"] + 0.1)
    (told,) = (f for f in blind["findings"] if f["kind"] == "unseen-edge-features")
    assert told["where"] == "amount"  # the gcn takes the weights
    drawn = tutti.fit(nodes, edges=edges, target="class", model=models.SAGE(sampled=(3, 3)), out="drawn", **cheap)
    assert [f["where"] for f in drawn.result["findings"] if f["kind"] == "unseen-edge-features"] == ["amount, weight"]
    del edges["amount"]
    tutti.fit(nodes, edges=edges, target="class", out="weighed", **cheap)
    weighed = _result(Path("weighed"))
    assert weighed["details"]["plan"][1].startswith("gcn")
    assert not [f for f in weighed["findings"] if f["kind"] == "unseen-edge-features"]


# catalogue: T7
def test_nothing_is_told_of_a_graph_whose_edges_are_drawn_at_random(cheap: dict[str, Any], steady: None) -> None:
    """Whatever were known of the edges that judge would show here: no pair is likelier than another."""
    rng = np.random.default_rng(0)
    edges = np.stack(np.nonzero(np.triu(rng.random((200, 200)) < 0.05, 1)))
    graph = {"x": rng.normal(size=(200, 4)), "edges": edges}
    tutti.fit(graph, links=True, out="run", **{**cheap, "epochs": 60})
    result = _result(Path("run"))
    assert result["test"]["low"] < 0.5 < result["test"]["high"]
    assert result["best"]["cv"]["mean"] < 0.56
