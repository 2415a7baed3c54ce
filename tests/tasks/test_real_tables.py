"""Targets of real tables: the task they ask for, and linear models that agree with scikit-learn's on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tutti.tasks import Affine, Task, answers, infer


# catalogue: T1, T2, T3
@pytest.mark.parametrize(
    ("table", "header", "column", "kind", "classes"),
    [
        ("titanic", 0, "survived", "binary", 2),
        ("titanic", 0, "class", "multiclass", 3),
        ("titanic", 0, "alone", "binary", 2),
        ("penguins", 0, "species", "multiclass", 3),
        ("abalone", None, 8, "regression", 0),
        ("wine", None, 13, "multiclass", 3),
        ("winequality-red", None, 11, "multiclass", 6),  # a score of 3 to 8: ask for 'regression' to have it so
        ("german", None, 20, "binary", 2),
        ("adult-test", None, -1, "binary", 2),
        ("california_housing", 0, "median_house_value", "regression", 0),
        ("diamonds", 0, "price", "regression", 0),
        ("diamonds", 0, "cut", "multiclass", 5),
        ("mpg", 0, "mpg", "regression", 0),
        ("tips", 0, "tip", "regression", 0),
        ("boston_housing", None, 13, "regression", 0),
        ("pima-indians-diabetes", None, 8, "binary", 2),
        ("wheat-seeds", None, 7, "multiclass", 3),
    ],
)
def test_the_task_of_a_real_table(
    shared_data: Path, table: str, header: int | None, column: str | int, kind: str, classes: int
) -> None:
    frame = pd.read_csv(shared_data / "tables" / f"{table}.csv", header=header, skipinitialspace=True)
    values = frame[column] if isinstance(column, str) else frame.iloc[:, column]
    task = infer(values, ["y"])
    assert task.kind == kind
    assert len(task.classes) == classes


def fitted(task: Task, features: Tensor, target: Tensor) -> Tensor:
    """Outputs of the linear network that minimises the task's loss on these rows."""
    inputs = torch.cat([features, torch.ones(len(features), 1, dtype=features.dtype)], dim=1)
    weights = torch.zeros(inputs.shape[1], task.outputs, dtype=features.dtype, requires_grad=True)
    options = {"max_iter": 1000, "tolerance_grad": 1e-9, "tolerance_change": 1e-15}
    optimizer = torch.optim.LBFGS([weights], **options, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = task.loss(inputs @ weights, target).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return inputs @ weights.detach()


# catalogue: T1
def test_linear_regression_on_a_real_table_is_scikit_learns(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "tables" / "boston_housing.csv", header=None).to_numpy(float)
    features, raw = StandardScaler().fit_transform(table[:, :-1]), table[:, -1]
    task = infer(raw, ["price"])
    encoded = task.encode(raw)
    affine = Affine.fit(encoded)
    target = affine.standardise(torch.from_numpy(encoded)).double()
    output = fitted(task, torch.from_numpy(features), target)
    prediction = answers(task, output, affine)
    theirs = LinearRegression().fit(features, raw).predict(features)
    np.testing.assert_allclose(prediction[:, 0], theirs, atol=1e-4)


# catalogue: T2, T3, T12
@pytest.mark.parametrize(
    ("table", "header", "column"), [("pima-indians-diabetes", None, 8), ("winequality-red", None, 11)]
)
def test_logistic_regression_on_a_real_table_is_scikit_learns(
    shared_data: Path, table: str, header: int | None, column: int
) -> None:
    frame = pd.read_csv(shared_data / "tables" / f"{table}.csv", header=header).to_numpy(float)
    features, raw = StandardScaler().fit_transform(np.delete(frame, column, axis=1)), frame[:, column]
    task = infer(raw, ["y"])
    target = torch.from_numpy(task.encode(raw))
    output = fitted(task, torch.from_numpy(features), target)
    theirs = LogisticRegression(C=np.inf, tol=1e-8, max_iter=5000).fit(features, raw)
    probabilities = theirs.predict_proba(features)
    np.testing.assert_allclose(task.predict(output), probabilities, atol=2e-4)
    np.testing.assert_array_equal(task.labels(task.predict(output).numpy()), theirs.predict(features))
    ours = task.loss(output, target).mean().item()
    assert ours == pytest.approx(log_loss(raw, probabilities), abs=1e-6)
