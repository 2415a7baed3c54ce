"""A date column that does not order the split is warned about, with the flag that does it."""

import numpy as np
import pandas as pd
import pytest

from tutti.core import Observer
from tutti.data import read
from tutti.learn._declare import declare_table
from tutti.learn._options import Options


# catalogue: E3
@pytest.mark.parametrize("time", [None, "day"])
def test_a_shuffled_split_of_dated_rows_names_the_flag(time: str | None) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"day": pd.date_range("2024-01-01", periods=200), "x": rng.normal(size=200), "y": rng.normal(size=200)}
    )
    options = Options.of({"target": "y", "time": time})
    declared = declare_table(read(frame, target="y", time=time), options, Observer())
    told = [f.message for f in declared.findings if "--time day" in f.message]
    assert len(told) == (time is None)
    assert declared.splits.ordered == (time is not None)
