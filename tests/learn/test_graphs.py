"""Graphs through tutti.fit: molecules, collections, one graph whose nodes are the samples; saved and loaded again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti import models
from tutti.core import InputError

SMALL = models.GraphGIN(width=16, layers=2)


def _result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf8"))
    return found


# catalogue: T7
def test_a_collection_is_fitted_saved_and_fitted_again_alike(shared_data: Path, cheap: dict[str, Any]) -> None:
    source = shared_data / "graphs" / "tu" / "MUTAG.txt"
    cheap |= {"model": SMALL, "epochs": 8, "folds": 2}
    model = tutti.fit(source, out="one", **cheap)
    result = _result(Path("one"))
    assert result["test"]["value"] > 0.6
    again = tutti.fit(source, out="two", **cheap)
    probabilities = model.predict_proba(source)
    assert probabilities.shape == (188, 2)
    assert np.array_equal(probabilities, again.predict_proba(source))
    assert np.array_equal(probabilities, tutti.load("one").predict_proba(source))


# catalogue: T19
def test_molecules_with_scaffolds_held_out(shared_data: Path, cheap: dict[str, Any]) -> None:
    table = pd.read_csv(shared_data / "molecules" / "delaney-processed.csv").iloc[:300]
    table = table[["smiles", "measured log solubility in mols per litre"]].set_axis(["smiles", "logS"], axis=1)
    cheap |= {"model": models.MPNN(width=16), "epochs": 15, "folds": 2}
    model = tutti.fit(table, smiles="smiles", target="logS", group="scaffold", out="run", **cheap)
    result = _result(Path("run"))
    assert result["details"]["splits"]["unit"] == "group"
    assert result["test"]["value"] < 0.9 * table["logS"].std()
    answers = model.predict({"smiles": ["c1ccccc1", "CCO"]})
    assert answers[0] < answers[1]  # ethanol dissolves, benzene does not
    with pytest.raises(InputError, match=r"row 1 \('C1CC'\)"):
        model.predict({"smiles": ["CC", "C1CC"]})


# catalogue: T7
def test_nodes_of_one_graph_and_of_a_new_one(tmp_path: Path, cheap: dict[str, Any]) -> None:
    """Groups of nodes with many edges inside; predictions follow the graph that is given, not the one fitted."""
    rng = np.random.default_rng(0)

    def write(name: str, nodes: int) -> None:
        group = np.arange(nodes) % 2
        near = group[:, None] == group
        pairs = np.argwhere(np.triu(rng.random((nodes, nodes)) < np.where(near, 0.3, 0.02), 1))
        size = group * 2.5 + rng.normal(size=nodes)
        pd.DataFrame({"size": size, "class": np.array(["even", "odd"])[group]}).to_csv(f"{name}.csv", index=False)
        pd.DataFrame(pairs, columns=["source", "target"]).to_csv(f"{name}_edges.csv", index=False)

    write("old", 80)
    write("new", 80)
    cheap |= {"epochs": 60, "baselines": True, "budget": 20}
    tutti.fit("old.csv", edges="old_edges.csv", target="class", out="run", **cheap)
    result = _result(Path("run"))
    assert result["test"]["value"] > 0.8
    assert {b["name"] for b in result["baselines"]} >= {"label propagation", "linear", "MLP without edges"}
    assert "edges-across-splits" in {f["kind"] for f in result["findings"]}
    loaded = tutti.load("run")
    features = pd.read_csv("new.csv").drop(columns="class")
    truth = pd.read_csv("new.csv")["class"].to_numpy()
    answers = loaded.predict((features, "new_edges.csv"))
    assert (answers == truth).mean() > 0.8
    with pytest.warns(UserWarning, match="There is no edge"):
        alone = loaded.predict((features, np.zeros((2, 0), int)))
    assert (alone == truth).mean() < (answers == truth).mean()
    with pytest.raises(InputError, match="names node 80"):
        loaded.predict((features, [[0], [80]]))
