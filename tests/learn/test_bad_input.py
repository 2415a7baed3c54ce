"""Bad data given to the commands: one clear error (exit code 2, no traceback, nothing left behind) or a notice."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti
from tutti.core import InputError
from tutti.learn import Model

Command = Callable[..., tuple[int, str, str]]

HEADER = "size,colour,label\n"
ROWS = "".join(f"{i % 7}.5,{'red' if i % 2 else 'blue'},{'yes' if i % 3 else 'no'}\n" for i in range(60))
GOOD = HEADER + ROWS


def assert_refused(said: tuple[int, str, str], *words: str) -> None:
    """A mistake of the user's: exit code 2, said once on stderr in a line or two."""
    code, out, err = said
    assert code == 2, (code, out, err)
    for word in words:
        assert word in err, err
    assert "Traceback" not in out + err
    assert 1 <= len(err.strip().splitlines()) <= 12
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["data.csv is empty"]),
        ("\n \n", ["data.csv is empty"]),
        (HEADER, ["data.csv has a header but no rows"]),
        ((HEADER + "ü,red,yes\n").encode() + "é,blue,no\n".encode("latin1"), ["mixes encodings", "line 3"]),
        ("size,label,size\n" + "1,yes,2\n" * 30, ["several columns named 'size'", "Rename"]),
        (GOOD.replace("no", "yes"), ["single class", "'label'"]),
        (HEADER + "1,red,\n" * 30, ["target label has no value in any row"]),
        (GOOD + "1.5,red,perhaps\n", ["'perhaps'", "a single row"]),
        (HEADER + "".join(f",,{'yes' if i % 2 else 'no'}\n" for i in range(30)), ["No column is left to learn from"]),
        (HEADER + "1,red,yes\n2,blue,no\n" * 2, ["4 rows", "at least 6"]),
        (GOOD + "1,2,3,4\n", ["Line 62 has 4 cells"]),
        (b"PK\x03\x04 a spreadsheet", ["spreadsheets as CSV"]),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    content: str | bytes, words: list[str], command: Command, place: Path
) -> None:
    path = place / "data.csv"
    path.write_bytes(content.encode("utf8") if isinstance(content, str) else content)
    assert_refused(command("fit", "data.csv", "--target", "label"), *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "lable"], ["Unknown column 'lable'", "Did you mean 'label'?"]),
        ([], ["No target was named", "'size', 'colour', 'label'", "--target"]),
        (["--target", "label", "--delimiter", ";"], ["one column only", "delimiter"]),
        (["--target", "label", "--drop", "sise"], ["Did you mean 'size'?"]),
        (["--target", "label", "--kind", "size=numbr"], ["Unknown kind 'numbr'", "Did you mean 'number'?"]),
        (["--target", "label", "--kind", "size"], ["COLUMN=KIND"]),
        (["--target", "label", "--kind", "colour=number"], ["'colour'", "expected a number"]),
        (["--target", "label", "--time", "colour"], ["neither dates nor numbers"]),
        (["--target", "label", "--group", "label"], ["both target and group"]),
        (["--target", "label", "--weight", "colour"], ["'colour'"]),
        (["--target", "colour", "--task", "regression"], ["expected a number"]),
        (["--target", "label", "--task", "regresion"], ["Did you mean 'regression'?"]),
        (["--target", "label", "--metric", "acuracy"], ["Did you mean 'accuracy'?"]),
        (["--target", "label", "--metric", "rmse"], ["rmse does not suit a binary task", "accuracy"]),
        (["--target", "label", "--model", "mpl"], ["Unknown model 'mpl'", "Did you mean 'mlp'?"]),
        (
            ["--target", "label", "--model", '{"name": "mlp", "widths": [8]}'],
            ["Unknown option of model 'mlp' 'widths'"],
        ),
        (["--target", "label", "--model", '{"name": '], ["--model is not JSON"]),
        (["--target", "label", "--optimizer", "adamm"], ["Unknown optimizer 'adamm'", "Did you mean 'Adam'"]),
        (["--target", "label", "--schedule", "cosin"], ["Did you mean 'cosine'?"]),
        (["--target", "label", "--test-size", "1.5"], ["1.5"]),
        (["--target", "label", "--test", "data.csv", "--test-size", "0.3"], ["--test and --test-size"]),
        (["--target", "label", "--test", "nowhere.csv"], ["no file 'nowhere.csv'"]),
        (["--target", "label", "--folds", "0"], ["folds"]),
        (["--target", "label", "--folds", "100"], ["folds"]),
        (["--target", "label", "--gap", "3"], ["gap"]),
        (["--target", "label", "--learning-rate", "-1"], ["learning_rate is -1"]),
        (["--target", "label", "--epochs", "0"], ["epochs is 0"]),
        (["--target", "label", "--batch-size", "0"], ["batch_size is 0"]),
        (["--target", "label", "--class-weight", "even"], ["balanced"]),
        (["--target", "label", "--budget", "9s"], ["The budget is 9s", "at least 10 s"]),
        (["--target", "label", "--budget", "soon"], ["The budget is 'soon'", "60s"]),
        (["--target", "label", "--budget", "nan"], ["budget"]),
        (["--target", "label", "--targt", "label"], ["--targt", "--target"]),
        (["--target", "label", "--seed", "one"], ["--seed"]),
    ],
)
def test_an_option_that_makes_no_sense_is_named(
    options: list[str], words: list[str], command: Command, place: Path
) -> None:
    (place / "data.csv").write_text(GOOD, "utf8")
    assert_refused(command("fit", "data.csv", *options), *words)


def test_a_file_that_is_not_there_is_named(command: Command, place: Path) -> None:
    (place / "titanic.csv").write_text(GOOD, "utf8")
    assert_refused(command("fit", "titanik.csv", "--target", "label"), "'titanik.csv'", "Did you mean 'titanic.csv'?")
    assert_refused(command("fit", "digit"), "Did you mean 'digits'?")
    assert_refused(command("fit"), "There is no data", "tutti fit digits")
    assert_refused(command("fit", ".", "--target", "label"), "is a folder")


def test_unknown_keywords_get_the_nearest_name(place: Path) -> None:
    with pytest.raises(TypeError, match=r"Unknown option 'learning_rate'\. Did you mean 'learning_rates'"):
        tutti.fit("digits", learning_rate=0.1)
    with pytest.raises(InputError, match=r"Unknown option 'buget'\. Did you mean 'budget'"):
        tutti.fit("digits", buget=20)
    with pytest.raises(InputError, match="The model is a int; expected a name"):
        tutti.fit("digits", model=3)
    assert not (place / "runs").exists()


# What is noticed, and trained on all the same.


def kinds(model: Model) -> set[str]:
    return {finding["kind"] for finding in model.result["findings"]}


@pytest.fixture
def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=60)
    return pd.DataFrame({"x": x, "z": random.normal(size=60), "y": np.where(x > 0, "up", "down")})


def saved(frame: pd.DataFrame) -> str:
    frame.to_csv("data.csv", index=False)
    return "data.csv"


def test_rows_without_a_target_are_set_aside(table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    table.loc[:4, "y"] = None
    model = tutti.fit(saved(table), target="y", **cheap)
    assert "rows-without-target" in kinds(model)
    assert model.result["data"]["rows"] == 55
    assert len(model.predict("data.csv")) == 60


def test_a_class_with_fewer_rows_than_folds_shrinks_the_folds(table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    table.loc[:3, "y"] = "rare"
    model = tutti.fit(saved(table), target="y", **{**cheap, "folds": 5})
    assert model.result["details"]["splits"]["folds"] == 3  # of four rows one is in the test
    assert any("rare" in f["where"] + f["message"] for f in model.result["findings"])
    assert model.predict_proba(table).shape == (60, 3)


def test_columns_without_a_message_are_set_aside(table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    table["nothing"] = np.nan
    table["same"] = "always"
    table["z"] = table["z"].where(np.arange(60) % 9 > 0, np.inf)
    model = tutti.fit(saved(table), target="y", **cheap)
    findings = {f["kind"]: f for f in model.result["findings"]}
    assert findings["constant"]["where"] == "nothing, same"
    assert findings["infinite-values"]["where"] == "z"
    assert model.schema.numbers == ("x", "z")
    with pytest.warns(UserWarning, match="z: 7 infinite"):
        assert np.isfinite(model.predict_proba(table)).all()


def test_ten_thousand_categories_are_read(cheap: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    names = np.array([f"city {i}" for i in range(10_000)])[random.permutation(np.arange(12_000) % 10_000)]
    frame = pd.DataFrame({"city": names, "x": random.normal(size=12_000), "y": random.normal(size=12_000)})
    model = tutti.fit(saved(frame), target="y", **{**cheap, "epochs": 1})
    assert any("city" in f["where"] for f in model.result["findings"])
    assert len(model.predict(frame.iloc[:10])) == 10


def test_thousands_separators_are_numbers(table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    table["price"] = [f"{1000 + 37 * i:,}.50" for i in range(60)]
    model = tutti.fit(saved(table), target="y", **cheap)
    assert model.schema.numbers == ("x", "z", "price")
    plain = table.assign(price=[1000.5 + 37 * i for i in range(60)])
    np.testing.assert_array_equal(model.predict_raw(plain), model.predict_raw(table))


@pytest.mark.parametrize("target", ["y", "x"])
def test_fewer_than_twenty_rows_are_fitted_with_fewer_folds(
    target: str, table: pd.DataFrame, cheap: dict[str, Any]
) -> None:
    model = tutti.fit(saved(table.iloc[:12]), target=target, **{**cheap, "folds": 5})
    assert "few-rows" in kinds(model)
    assert model.result["details"]["splits"]["folds"] < 5
    assert len(model.predict(table)) == 60


def test_more_columns_than_rows_are_noticed(cheap: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(30, 50))
    model = tutti.fit((x, x[:, 0]), **cheap)
    assert "more-columns-than-rows" in kinds(model)
    assert np.isfinite(model.predict(x)).all()


def test_numbers_beyond_float32_are_fitted(table: pd.DataFrame, cheap: dict[str, Any]) -> None:
    table["x"] *= 1e30
    table["z"] = table["z"] * 1e-30 + 1
    model = tutti.fit(saved(table), target="y", **cheap)
    assert np.isfinite(model.predict_proba(table)).all()
    assert model.score_ > 0.7


def test_a_target_far_from_zero_keeps_its_digits(cheap: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    model = tutti.fit((x, 1e6 + 5 * x[:, 0]), **{**cheap, "epochs": 40})
    assert model.score_ < 2.5


def test_every_member_diverging_is_said(table: pd.DataFrame, cheap: dict[str, Any], place: Path) -> None:
    with pytest.raises(InputError, match=r"Every member of the population diverged.*Lower the learning rates"):
        tutti.fit(saved(table), target="x", drop=["y"], **{**cheap, "learning_rates": [1e35], "optimizer": "sgd"})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"seed": None}, "seed is None; expected a whole number"),
    ({"folds": "5"}, "folds is '5'; expected a whole number"),
    ({"folds": "x"}, "folds is 'x'; expected a whole number"),
    ({"folds": 2.5}, "folds is 2.5; expected a whole number"),
    ({"folds": True}, "folds is True; expected a whole number"),
    ({"folds": {"5": 1}}, "folds is {'5': 1}; expected a whole number"),
    ({"folds": [1, 2]}, "Fold 0 is '1'; expected a pair of lists of row numbers"),
    ({"folds": [[[0.5, 1, 2, 3], [4, 5]]]}, "The training rows of fold 0 are '[0.5 1.  2.  3. ]'; expected a list"),
    ({"folds": [[[0, 1, 2, 3], ["a"]]]}, "The validation rows of fold 0 are"),
    ({"gap": "3 days"}, "gap is '3 days'; expected a whole number"),
    ({"epochs": "ten"}, "epochs is 'ten'; expected a number"),
    ({"batch_size": 2.5}, "batch_size is 2.5; expected a whole number"),
    ({"test_size": "a"}, "test_size is 'a'; expected a number"),
    ({"target": 3.5}, "target is 3.5; expected the name"),
    ({"group": ["a"]}, "group is ['a']; expected the name"),
    ({"header": "no"}, "header is 'no'; expected True or False"),
    ({"refit": 1}, "refit is 1; expected True or False"),
    ({"out": 5}, "out is 5; expected a folder"),
    ({"device": "cudaa"}, "The device 'cudaa' cannot be used here"),
    ({"device": "meta"}, "The device 'meta' cannot be used here: it holds no numbers. Give \"cpu\"."),
    ({"device": "cpu:3"}, "The device 'cpu:3' cannot be used here: all processors are one device, \"cpu\". Give"),
    ({"device": "hpu"}, "The device 'hpu' cannot be used here"),
    ({"learning_rates": ["a"]}, "no list of numbers"),
    ({"weight_decays": -1.0}, "weight_decay is -1"),
    ({"setting": {"dropuot": 0.1}}, "Unknown hyper-parameter 'dropuot'. Did you mean 'dropout'"),
    ({"setting": {"dropout": [0.1, 0.2]}}, "dropout is [0.1, 0.2]; a setting holds one number"),
    ({"setting": {"noise": "much"}}, "noise is 'much'; a setting holds one number"),
    (
        {"setting": {"mixup": 0.5}},
        "takes no mixup: it has no layer that asks for it. Leave it out (it takes dropout",
    ),
    ({"executor": "loped"}, "Unknown executor 'loped'. Did you mean 'looped'"),
    ({"executor": 3}, "executor is 3; expected a name"),
    ({"budget": [10]}, "The budget is [10]; expected a time"),
]
EACH = """
import json, sys, tutti
from tutti.core import InputError
said = []
for option in json.load(sys.stdin):
    try:
        tutti.fit("iris", **option)
    except InputError as error:
        said.append(str(error))
    except Exception as error:
        said.append(repr(error))
print(json.dumps(said))
"""


def test_keywords_of_a_wrong_type_are_named(place: Path) -> None:
    """In a process without the types that tests check: what an ordinary user meets."""
    given = json.dumps([option for option, _ in WRONG])
    done = subprocess.run(
        [sys.executable, "-c", EACH], input=given, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    for said, (option, message) in zip(json.loads(done.stdout), WRONG, strict=True):
        assert message in said, (option, said)
        assert "Error(" not in said, option
    assert not (place / "runs").exists()
