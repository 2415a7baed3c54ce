"""What a task makes of a target: its kind, its codes, its predictions, its JSON; and the errors it raises."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from torch.testing import assert_close

from tutti import tasks
from tutti.core import InputError
from tutti.tasks import Binary, Multiclass, MultiLabel, Regression, infer, task_from_json

GENERATOR = np.random.default_rng(0)
REALS = GENERATOR.standard_normal(60)
DIGITS = np.arange(60) % 3
WORDS = np.array(["b", "a", "c"])[DIGITS]


# catalogue: T1, T2, T3, T4
@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (REALS, "regression", ()),
        (REALS.astype(np.float32), "regression", ()),
        (REALS.round(1), "regression", ()),
        (np.arange(60), "regression", ()),
        (np.arange(210) % 21, "regression", ()),  # more than 20 whole numbers
        (np.arange(60) % 15, "regression", ()),  # fewer than 5 rows each
        (np.r_[DIGITS, 7], "regression", ()),  # one stands alone
        (DIGITS, "multiclass", ("0", "1", "2")),
        (DIGITS.astype(float), "multiclass", ("0", "1", "2")),
        (DIGITS.astype(np.uint8), "multiclass", ("0", "1", "2")),
        (5 - 4 * DIGITS, "multiclass", ("-3", "1", "5")),
        (10 * (1 + np.arange(60) % 10), "multiclass", ("10", "20", "30", "40", "50", "60", "70", "80", "90", "100")),
        (np.where(REALS > 0, 1.5, -0.5), "binary", ("-0.5", "1.5")),
        (REALS > 0, "binary", ("False", "True")),
        ([0, 1, 1, 0], "binary", ("0", "1")),
        (WORDS, "multiclass", ("a", "b", "c")),
        (WORDS.astype(object), "multiclass", ("a", "b", "c")),
        (["no", "yes", "yes", "no"], "binary", ("no", "yes")),
        (DIGITS.astype(str), "multiclass", ("0", "1", "2")),
        (pd.Series(WORDS, dtype="category"), "multiclass", ("a", "b", "c")),
        (pd.Series(DIGITS, dtype="Int64"), "multiclass", ("0", "1", "2")),
        (np.array([True, False, "maybe"] * 4, dtype=object), "multiclass", ("False", "True", "maybe")),
        (torch.from_numpy(DIGITS), "multiclass", ("0", "1", "2")),
    ],
    ids=str,
)
def test_the_task_follows_from_one_column(values: Any, kind: str, classes: tuple[str, ...]) -> None:
    task = infer(values, ("y",))
    assert task.kind == kind
    assert task.classes == classes
    assert task.names == ("y",)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.stack([DIGITS > 0, DIGITS > 1], axis=1), "multilabel"),
        (np.stack([DIGITS > 0, DIGITS > 1], axis=1).astype(float), "multilabel"),
        (pd.DataFrame({"p": DIGITS > 0, "q": (DIGITS > 1).astype(int)}), "multilabel"),
        (np.stack([np.where(DIGITS > 0, "True", "False"), np.where(DIGITS > 1, "1", "0")], axis=1), "multilabel"),
        (np.stack([np.where(DIGITS > 0, "yes", "no"), np.where(DIGITS > 1, "TRUE", "FALSE")], axis=1), "multilabel"),
        (np.stack([REALS, DIGITS], axis=1), "regression"),
        (pd.DataFrame({"p": REALS, "q": DIGITS}), "regression"),
    ],
)
def test_the_task_follows_from_several_columns(values: Any, kind: str) -> None:
    task = infer(values, ("p", "q"))
    assert task.kind == kind
    assert task.outputs == 2
    assert task.classes == (("p", "q") if kind == "multilabel" else ())


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (DIGITS, "regression", "regression"),
        (REALS > 0, "regression", "regression"),
        (DIGITS, "classification", "multiclass"),
        (DIGITS > 0, "classification", "binary"),
        (DIGITS > 0, "multiclass", "multiclass"),
        (np.arange(60) % 30, "multiclass", "multiclass"),
        (DIGITS > 0, "multilabel", "multilabel"),
        (np.where(DIGITS > 0, "True", "False"), "multilabel", "multilabel"),
    ],
)
def test_a_kind_that_is_given_decides(values: Any, kind: str, expected: str) -> None:
    assert infer(values, ["y"], kind).kind == expected


@pytest.mark.parametrize(
    "values", [WORDS, DIGITS, 10 * DIGITS, REALS > 0, 0.5 * DIGITS], ids=["w", "d", "t", "b", "h"]
)
def test_codes_and_labels_are_scikit_learns(values: np.ndarray) -> None:
    task = infer(values, ["y"], "classification")
    theirs = LabelEncoder().fit(values)
    encoded = task.encode(values)
    assert encoded.dtype == np.int64
    assert_array_equal(encoded, theirs.transform(values))
    labels = task.labels(np.eye(len(task.classes))[encoded])
    assert_array_equal(labels, values)
    assert labels.dtype.kind == (values.dtype.kind if values.dtype.kind != "U" else "O")


def test_codes_read_numbers_however_they_are_written() -> None:
    task = infer(DIGITS, ["y"])
    for values in ([2, 0], [2.0, 0.0], ["2", "0.0"], np.array([2, 0], dtype=object)):
        assert_array_equal(task.encode(values), [2, 0])
    task = infer(np.array([0.1, 0.2] * 3, dtype=np.float32), ["y"])
    assert task.classes == ("0.1", "0.2")


def test_very_large_classes_keep_their_value() -> None:
    values = np.array([2**64 - 1, 2**63] * 2, dtype=np.uint64)
    task = infer(values, ["y"])
    assert_array_equal(task.labels(np.eye(2)[task.encode(values)]), values)


# catalogue: T1
def test_regression_works_in_standardised_units_of_its_rows() -> None:
    values = np.stack([1e3 + 10 * REALS, np.full(60, 3.3)], axis=1)
    task = Regression(names=("p", "q"))
    encoded = task.encode(values)
    assert encoded.dtype == np.float32
    centre, scale = tasks.target_statistics(encoded)
    theirs = StandardScaler().fit(encoded.astype(float))
    assert_allclose(centre, theirs.mean_, rtol=1e-12)
    assert_allclose(scale, theirs.scale_, rtol=1e-12)
    assert scale[1] == 1
    units = tasks.standardise(encoded, centre, scale)
    assert_allclose(units.mean(0), 0, atol=1e-6)
    assert_allclose(units.std(0), [1, 0], atol=1e-6)
    assert_allclose(tasks.restore(units, centre, scale), encoded, rtol=1e-12)
    tensors = [torch.from_numpy(array) for array in (encoded, centre, scale)]
    assert_close(tasks.restore(tasks.standardise(*tensors), *tensors[1:]), tensors[0].double())


@pytest.mark.parametrize("value", [0.1, 3.3, 1e30, 1e-30, 0.0])
def test_a_constant_output_has_scale_one_whatever_the_rounding(value: float) -> None:
    for rows in (1, 3, 10, 61, 399):
        assert tasks.target_statistics(np.full((rows, 1), value))[1] == 1
    tiny = np.array([[0.0], [1e-44]], dtype=np.float32)
    assert tasks.target_statistics(tiny)[1] == pytest.approx(tiny[1, 0] / 2)


def test_an_affine_holds_the_units_of_a_member() -> None:
    target = np.stack([1e3 + 10 * REALS, np.full(60, 3.3)], axis=1).astype(np.float32)
    affine = tasks.Affine.fit(target)
    units = affine.standardise(torch.from_numpy(target))
    assert_allclose(units.std(0, correction=0), [1, 0], atol=1e-5)
    assert_allclose(affine.restore(units), target, rtol=1e-6)
    task = Regression(names=("p", "q"))
    replicas = units[None, :, None, :].expand(2, 60, 4, 2)
    assert_allclose(tasks.answers(task, replicas, affine, 4)[1], target, rtol=1e-6)


def test_replicas_average_probabilities_not_logits() -> None:
    output = torch.tensor([-3.0, 1.0, 4.0]).view(1, 3, 1)
    answer = tasks.answers(Binary(names=("y",), classes=("0", "1")), output, replicas=3)
    assert_close(answer[0, 1], output.sigmoid().mean())


def test_predictions_have_the_agreed_form() -> None:
    output = torch.randn(3, 7, 1, dtype=torch.float64)
    two = Binary(names=("y",), classes=("0", "1")).predict(output)
    assert two.shape == (3, 7, 2)
    assert_close(two[..., 1], output[..., 0].sigmoid())
    assert_close(two.sum(-1), torch.ones(3, 7, dtype=torch.float64))
    many = Multiclass(names=("y",), classes=("a", "b", "c")).predict(output.expand(3, 7, 3) * torch.arange(3))
    assert_close(many, (output * torch.arange(3)).softmax(-1))
    assert_close(MultiLabel(names=("p", "q")).predict(output.expand(3, 7, 2)), output.sigmoid().expand(3, 7, 2))
    assert_close(Regression(names=("y",)).predict(output), output)


def test_labels_of_values_and_of_several_labels() -> None:
    assert_array_equal(MultiLabel(names=("p", "q")).labels(np.array([[0.2, 0.7], [0.5, 0.51]])), [[0, 1], [0, 1]])
    assert_array_equal(Regression(names=("y",)).labels(np.array([[0.2], [0.7]])), [0.2, 0.7])
    assert_array_equal(Regression(names=("y", "z")).labels(np.array([[0.2, 0.7]])), [[0.2, 0.7]])


def test_the_class_of_a_tie_is_the_first() -> None:
    zero = torch.zeros(2, 1)
    task = Binary(names=("y",), classes=("0", "1"), meaning="integer")
    assert_array_equal(task.labels(task.predict(zero).numpy()), [0, 0])


def test_trivial_predictions_are_scikit_learns_dummies() -> None:
    x = np.zeros((60, 1))
    for values in (WORDS, DIGITS > 0):
        task = infer(values, ["y"])
        theirs = DummyClassifier(strategy="prior").fit(x, values).predict_proba(x[:1])[0]
        assert_allclose(task.trivial(task.encode(values)), theirs)
    several = np.stack([REALS, DIGITS], axis=1)
    task = infer(several, ["p", "q"])
    theirs = DummyRegressor().fit(x, several).predict(x[:1])[0]
    assert_allclose(task.trivial(task.encode(several)), theirs, rtol=1e-6)
    task = infer(np.stack([DIGITS > 0, DIGITS > 1], axis=1), ["p", "q"])
    assert_allclose(task.trivial(np.stack([DIGITS > 0, DIGITS > 1], axis=1).astype(np.float32)), [2 / 3, 1 / 3])


def test_counts_show_the_imbalance() -> None:
    task = infer(WORDS[:59], ["y"])
    assert task.counts(task.encode(WORDS[:59])) == {"a": 20, "b": 20, "c": 19}
    labels = np.array([[0, 1], [1, 1], [0, 0]])
    assert infer(labels, ["p", "q"]).counts(labels.astype(np.float32)) == {"p": 1, "q": 2}
    assert infer(REALS, ["y"]).counts(REALS[:, None].astype(np.float32)) == {}


def test_balanced_weights_are_scikit_learns() -> None:
    values = np.array([0] * 50 + [1] * 9 + [2] * 3)
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=values)
    assert_allclose(tasks.class_weights(values, 3), theirs)
    task = infer(values, ["y"], "classification")
    assert isinstance(task, Multiclass)
    assert_allclose(task.balanced(values).class_weights, theirs)
    assert tasks.class_weights(values, 4)[3] == 0

    labels = np.stack([values == 0, values == 1], axis=1).astype(np.float32)
    several = MultiLabel(names=("p", "q")).balanced(labels)
    theirs = compute_class_weight("balanced", classes=np.array([0.0, 1.0]), y=labels[:, 1])
    assert several.absent_weights is not None
    assert several.present_weights is not None
    assert_allclose([several.absent_weights[1], several.present_weights[1]], theirs)


def test_balanced_weights_leave_the_scale_of_the_loss() -> None:
    target = torch.tensor([0] * 90 + [1] * 10)
    task = Binary(names=("y",), classes=("0", "1")).balanced(target.numpy())
    assert task.loss(torch.zeros(100, 1), target).mean().item() == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    "task",
    [
        Regression(names=("p", "q"), loss_name="huber"),
        Binary(names=("y",), classes=("no", "yes"), class_weights=(0.5, 2.0)),
        Multiclass(names=("y",), classes=("1", "2", "3"), meaning="integer", loss_name="hinge"),
        MultiLabel(names=("p", "q"), absent_weights=(1.0, 2.0), present_weights=(2.0, 1.0)),
    ],
)
def test_tasks_survive_json(task: Any) -> None:
    data = json.loads(json.dumps(task.to_json()))
    assert data["kind"] == task.kind
    assert task_from_json(data) == task
    assert isinstance(task, tasks.Task)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "binery", "names": ["y"]}, "Did you mean 'binary'"),
        ({"names": ["y"]}, "Unknown task"),
        ({"kind": "binary", "names": ["y"]}, "cannot be read"),
        ({"kind": "binary", "names": ["y"], "classes": ["a"]}, "2 classes"),
        ({"kind": "multiclass", "names": ["y"], "classes": ["a"]}, "at least 2 classes"),
        ({"kind": "multiclass", "names": ["y"], "classes": ["a", "a"]}, "same name"),
        ({"kind": "multiclass", "names": ["y", "z"], "classes": ["a", "b"]}, "one target column"),
        ({"kind": "binary", "names": ["y"], "classes": ["a", "b"], "meaning": "code"}, "meaning"),
        ({"kind": "binary", "names": ["y"], "classes": ["a", "b"], "class_weights": [1.0]}, "2 numbers"),
        ({"kind": "regression", "names": ["y"], "loss_name": "hubber"}, "Did you mean 'huber'"),
        ({"kind": "regression", "names": []}, "at least one"),
        ({"kind": "multilabel", "names": []}, "at least one"),
        ({"kind": "multilabel", "names": ["y"], "absent_weights": [1.0]}, "Give both"),
        ({"kind": "multilabel", "names": ["y"], "colour": 1}, "Unknown option"),
    ],
    ids=str,
)
def test_descriptions_that_make_no_sense_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        task_from_json(data)


GAPS = np.array([1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (GAPS, None, r"'y' is missing in 1 row \(first: row 2\)"),
        ([None, "a", "", "b"], None, r"missing in 2 rows \(first: row 1\)"),
        (np.array(["a", " ", "b"]), None, "missing in 1 row"),
        (pd.Series([1, None, 2], dtype="Int64"), None, "missing in 1 row"),
        (pd.Series(["a", None, "b"], dtype="string"), None, "missing in 1 row"),
        (np.array([1.0, np.inf, -np.inf, 2]), None, "2 infinite values"),
        (np.array([1.0, 1e39, 2.0]), None, "1 infinite value "),
        (np.ones(20), None, "single class|single value"),
        (np.full(20, 2.5), "regression", "single value"),
        (["a"] * 20, None, "single class"),
        (["a", "a", "b"], None, "Class 'b' of target 'y' has a single row"),
        (["a", "c", "b"], None, "3 of 3 classes"),
        ([1, 2, 2, 3, 3], "multiclass", "ask for 'regression'"),
        (WORDS, "regression", "holds text, such as 'b'"),
        ([f"1,{i:03}" for i in range(100)], None, "numbers written as text, such as '1,000'"),
        (DIGITS, "binary", "has 3 classes"),
        (DIGITS, "regresion", "Did you mean 'regression'"),
        (DIGITS, "multilabel", "holds 2; a multilabel task needs 0 and 1"),
        (["True", "no"] * 5 + ["maybe"], "multilabel", "holds 'no'; a multilabel task needs 0 and 1"),
        (np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]"), None, "datetime64"),
        (np.array([1j, 2j]), None, "complex128"),
        ([], None, "no rows"),
        (np.zeros((4, 2)), None, "one column for each"),
        (3.0, None, "one column for each"),
        ([[1], [1, 2]], None, "no array"),
    ],
    ids=str,
)
def test_targets_that_nothing_can_be_learned_from_are_refused(values: Any, kind: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        infer(values, ["y"], kind)


def test_several_columns_must_fit_together() -> None:
    with pytest.raises(InputError, match="'q' holds text"):
        infer(pd.DataFrame({"p": REALS, "q": WORDS}), ["p", "q"])
    with pytest.raises(InputError, match="'q' holds text, such as 'no'"):  # a file's numbers beside words are text
        infer(np.stack([REALS.astype(str), np.where(DIGITS > 0, "yes", "no")], axis=1), ["p", "q"])
    with pytest.raises(InputError, match="a multiclass task has one"):
        infer(np.stack([DIGITS, DIGITS], axis=1), ["p", "q"], "multiclass")
    with pytest.raises(InputError, match="'q' has a single class"):
        infer(np.stack([DIGITS > 0, DIGITS > 9], axis=1), ["p", "q"])


# catalogue: the labels of adult's test file end with a full stop.
def test_a_label_that_differs_in_the_test_file_is_named_with_its_nearest() -> None:
    task = infer(["<=50K", ">50K"] * 5, ["income"])
    with pytest.raises(InputError, match=r"'<=50K.' is no class of target 'income'. Did you mean '<=50K'\?"):
        task.encode(["<=50K.", ">50K."])
    with pytest.raises(InputError, match="There is: 0, 1, 2"):
        infer(DIGITS, ["y"]).encode([1, 17])


def test_balanced_tasks_change_nothing_else() -> None:
    task = Binary(names=("y",), classes=("a", "b"), loss_name="hinge")
    assert replace(task.balanced(np.array([0, 1, 1])), class_weights=None) == task


cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from(["1", "2.5", "yes"])
)
columns = st.one_of(
    st.lists(cells, max_size=30),
    st.lists(st.integers(-3, 3), min_size=1, max_size=60),
    st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=30),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=30),
)


@settings(max_examples=300, deadline=None)
@given(columns, st.sampled_from([None, *tasks.KINDS]))
def test_whatever_the_target_there_is_a_task_or_a_clear_error(values: list[Any], kind: str | None) -> None:
    try:
        task = infer(np.array(values, dtype=object), ["y"], kind)
    except InputError:
        return
    encoded = task.encode(np.array(values, dtype=object))
    assert len(encoded) == len(values)
    assert np.isfinite(encoded).all()
    assert np.isfinite(task.trivial(encoded)).all()
    if task.kind in ("binary", "multiclass"):
        labels = task.labels(np.eye(len(task.classes))[encoded])
        assert_array_equal(task.encode(labels), encoded)
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task


def test_labels_written_as_words_are_zeros_and_ones() -> None:
    """Whatever the words, and also where a column of later rows says yes alone."""
    task = infer(
        np.stack([np.where(DIGITS > 0, "True", "False"), np.where(DIGITS > 1, "1", "0")], axis=1), ["p", "q"]
    )
    assert_array_equal(task.encode([["yes", "0"], ["yes", "1"]]), [[1, 0], [1, 1]])
    assert_array_equal(task.encode([["TRUE", "f"], ["false", "t"]]), [[1, 0], [0, 1]])
