"""A run's network looked into: the numbers are those of its own loss on its own rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tutti
from tutti.learn import inspect


def test_the_inspection_of_a_linear_run_is_that_of_least_squares(place: Path) -> None:
    """A linear regression: the Hessian is 2/n XᵀX of its scaled features and a one, whatever the weights."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(120, 3, generator=generator).numpy()
    y = x @ [1.0, -2.0, 0.5] + 0.1 * torch.randn(120, generator=generator).numpy()
    options: dict[str, Any] = {"folds": 2, "epochs": 4, "baselines": False, "learning_rates": [1e-2, 1e-1]}
    np.savetxt("x.csv", np.c_[x, y], delimiter=",", header="a,b,c,y", comments="")
    tutti.fit("x.csv", target="y", model="linear", out="run", **options)
    found = inspect("run")
    numbers = found.graph.node("input 0")
    assert numbers.shape[1] == 3
    assert found.curvature.residual < 1e-6
    assert found.curvature.largest_stable_step == pytest.approx(2 / found.curvature.largest[0])
    assert len(found.curvature.largest) == 4
    # The features are standardised, so the curvatures lie around 2 and their sum is 2·(3 + 1) but for sampling.
    assert sum(found.curvature.largest) == pytest.approx(8, rel=0.15)
    assert found.noise[8] == pytest.approx(found.noise[1] / 8 * (1 - 8 / found.rows) / (1 - 1 / found.rows))
    assert found.graph.loss.gradient == 1.0
