"""Rare classes are told with their counts and with what weights them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import tutti


def told(rare: int, cheap: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=300), "z": random.normal(size=300)})
    table["ill"] = np.where(np.arange(300) < rare, "yes", "no")
    model = tutti.fit(table, target="ill", **cheap, **options)
    return [f for f in model.result["findings"] if f["kind"] == "class-imbalance"]


def test_a_rare_class_is_told_with_counts_and_the_flag_that_weights_it(cheap: dict[str, Any]) -> None:
    (found,) = told(20, cheap)
    assert "Class 'yes' has 20 of 300 rows, 'no' has 280" in found["message"]
    assert "is right in 93.3%" in found["message"]
    assert "--class-weight balanced" in found["message"]
    assert (found["where"], found["severity"]) == ("ill", "notice")


@pytest.mark.parametrize(("rare", "options"), [(40, {}), (20, {"class_weight": "balanced"})])
def test_balanced_or_weighted_classes_are_not(rare: int, options: dict[str, Any], cheap: dict[str, Any]) -> None:
    assert told(rare, cheap, **options) == []
