"""Forecasts: the next steps of one or several series, all at once."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from tutti.core import InputError
from tutti.tasks._regression import Regression
from tutti.tasks._task import TaskKind


@dataclass(frozen=True, kw_only=True)
class Forecast(Regression):
    """A regression on the next `horizon` steps of every series in `names`: the direct strategy, one output per step.

    Outputs are step by step, and within a step series by series: output h·len(names) + c is series c, h + 1 steps
    ahead. Its metrics, its loss and its units are a regression's, each step of each series being an output of its
    own. Several series are judged by R² (their scales differ, and it has none), one by its RMSE.
    """

    name: ClassVar[str] = "forecast"
    horizon: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.horizon < 1:
            raise InputError(f"The horizon is {self.horizon}; expected at least 1 step.")

    @property
    def kind(self) -> TaskKind:
        return "regression"

    @property
    def default_metric(self) -> str:  # type: ignore[override]
        return "rmse" if len(self.names) == 1 else "r2"

    @property
    def outputs(self) -> int:
        return len(self.names) * self.horizon

    @property
    def labelled(self) -> tuple[str, ...]:
        """A name for each output: "OT+1", "OT+2", …"""
        return tuple(f"{name}+{step}" for step in range(1, self.horizon + 1) for name in self.names)

    def encode(self, values: Any) -> Float[np.ndarray, "rows out"]:
        """The futures [rows, horizon · series] as float32; windows that lie over each other are not copied."""
        try:
            with np.errstate(over="ignore"):  # what float32 does not hold is refused below, by its own error
                futures = np.asarray(values, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"The futures of {', '.join(self.names)} are no numbers: {error}.") from None
        if futures.ndim != 2 or futures.shape[1] != self.outputs:
            raise InputError(
                f"The futures have shape {list(futures.shape)}; expected {self.outputs} numbers in a row: "
                f"{self.horizon} steps of {', '.join(self.names)}."
            )
        if not len(futures):
            raise InputError(f"There is no future of {', '.join(self.names)} to forecast.")
        ends = np.array([futures.min(), futures.max()])  # a mask would be as large as all windows together
        if not np.isfinite(ends).all():
            raise InputError(
                f"The futures of {', '.join(self.names)} hold missing or infinite values (beyond "
                f"±{np.finfo(np.float32).max:.1e}).",
                fix="Fill them in, cap them or leave those rows out.",
            )
        return futures

    def labels(self, prediction: Float[np.ndarray, "rows out"]) -> Float[np.ndarray, "rows ..."]:
        """The values themselves: [rows, horizon] for one series, else [rows, horizon, series]."""
        if len(self.names) == 1:
            return prediction
        return prediction.reshape(len(prediction), self.horizon, len(self.names))
