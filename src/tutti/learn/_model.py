"""The model that a fit returns."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from torch import nn

from tutti.core import InputError, Schema
from tutti.data import Reading, Table, encode
from tutti.learn._network import custom_build
from tutti.learn._text import text_of
from tutti.learn._written import as_csv, written
from tutti.learn._written_masks import check_name, masks_as_file
from tutti.metrics import metrics_for, score
from tutti.predictor import Predictor, Sampling
from tutti.report import write_report
from tutti.runs import Run, write_atomic


class Model:
    """A trained predictor with what is known about it.

    result: the object that `tutti fit --json` prints, plus "details". run: the folder, or None. score_: the test
    score; where nothing was held out, the cross-validated score corrected for the optimism of the search.
    """

    def __init__(
        self,
        predictor: Predictor,
        schema: Schema,
        result: Mapping[str, Any],
        run: Run | None,
        reading: Reading,
    ) -> None:
        self.predictor, self.schema, self.result = predictor, schema, dict(result)
        self._run, self._reading = run, reading

    @property
    def run(self) -> Path | None:
        """The run folder."""
        return None if self._run is None else self._run.folder

    @property
    def task(self) -> Any:
        return self.predictor.task

    @property
    def classes_(self) -> tuple[str, ...]:
        """Class names in the order of the columns of `predict_proba`."""
        return self.predictor.task.classes

    @property
    def module_(self) -> nn.Module:
        """The (first) network, an ordinary torch module of (numbers, codes)."""
        return self.predictor.networks[0]

    @property
    def score_(self) -> float:
        """The score to quote for this model, out of sample."""
        if not self.result:
            raise InputError(
                "This model was stopped before it was judged.", fix="Go on with: tutti fit --resume FOLDER"
            )
        test = self.result.get("test")
        if test is not None:
            return float(test["value"])
        optimism = self.result.get("details", {}).get("optimism")
        return float(optimism["corrected"] if optimism else self.result["best"]["cv"]["mean"])

    def _read(self, source: Any, *, target: bool = False) -> Table:
        """New data by the schema; what is odd about them (columns too many, values never seen) becomes a warning."""
        table = encode(self.schema, source, target=target, reading=self._reading)
        for found in table.findings:
            warnings.warn(f"{found.where}: {found.message}", UserWarning, stacklevel=4)
        return table

    def predict_raw(self, source: Any) -> Float[np.ndarray, "rows ..."]:
        """Probabilities [rows, classes], or values [rows, outputs]."""
        table = self._read(source)
        return self.predictor.on(table)

    def predict(self, source: Any) -> Shaped[np.ndarray, " rows ..."]:
        """One prediction per row, in order: the most likely class, or the value(s)."""
        answers: np.ndarray = self.task.labels(self.predict_raw(source))
        return answers

    def predict_proba(self, source: Any) -> Float[np.ndarray, "rows classes"]:
        """Probabilities, one column per class in the order of `classes_`."""
        if self.task.kind in ("regression", "language"):
            raise InputError(f"A {self.task.kind} task has no probabilities of classes.", fix="Use predict.")
        return self.predict_raw(source)

    def generate(
        self,
        prompt: str,
        *,
        tokens: int = 500,
        temperature: float | int = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """The prompt and so many tokens more, by a language model: each is drawn from the mean probability of its
        networks, given those before it.

        temperature, top_k, top_p: see predictor.Sampling. The same seed gives the same text. A network sees at most
        the tokens of a window: when it is full, it goes on from its last half. Raises InputError for an empty prompt
        and for one with characters (or words) that the training text does not hold.
        """
        sampling = Sampling(temperature=float(temperature), top_k=top_k, top_p=top_p)
        return text_of(self.predictor, self.schema, prompt, tokens=tokens, sampling=sampling, seed=seed)

    def evaluate(self, source: Any) -> dict[str, Any]:
        """Every metric of the task on rows with a known target, each with its 95 % interval.

        Rows are weighted, and intervals resample groups, where the model was fitted with weights or groups.
        """
        table = self._read(source, target=True)
        assert table.target is not None
        units = None if table.group is None else np.unique(table.group, return_inverse=True)[1]
        target = self.task.encode(table.target)
        raw = self.predictor.on(table)
        scores = [
            score(name, target, raw, units=units, weights=table.weight).to_json()
            for name in metrics_for(self.task.kind)
        ]
        known = self.result.get("details", {}).get("metric", {})
        first = known.get("name", self.task.default_metric)
        return {"rows": len(raw), "metric": first, "metrics": scores}

    def write_predictions(self, source: Any, path: str | Path) -> int:
        """Writes a CSV with one line per input row, in order; returns the number of lines.

        Columns: prediction (or prediction_NAME for several targets), and for classes probability_CLASS. Of a forecast
        there is a line for each step after the end of the data, with its time (and series) in front. Of a
        segmentation a TIFF with a page for each image, or an NPZ of `prediction` and `probability`; their number.
        """
        path, masks = Path(path), self.task.kind == "segmentation"
        if masks:
            check_name(path)
        table = self._read(source)
        raw = self.predictor.on(table)
        if masks:
            write_atomic(path, masks_as_file(path, self.task.labels(raw), raw))
            return len(raw)
        band = self.result.get("details", {}).get("intervals", {}).get("width")
        head, lines, count = written(self.task, table, raw, self.task.labels(raw), band)
        write_atomic(path, as_csv(head, lines))
        return count

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the report, one self-contained HTML page (by default into the run folder)."""
        if self._run is None:
            raise InputError("This model has no run folder to report from.", fix="Fit it with tutti.fit.")
        return write_report(self._run.folder, None if path is None else Path(path))


def load(folder: str | Path, *, model: Any = None) -> Model:
    """The model of a finished or interrupted run; `result` is empty where it was stopped before it was judged.
    `model`: the module or function that was fitted, where it was your own.

    Raises InputError where the folder is no run, was changed, or was written by a newer version.
    """
    run = Run.open(folder)
    run.verify()
    if not run.has("model.json"):
        reason = run.summary().reason
        raise InputError(
            f"{folder} holds no model yet: its training {f'failed ({reason})' if reason else 'did not end'}.",
            fix=f"Go on with it: tutti fit --resume {folder}",
        )
    options = run.read_json("config.json")["options"]
    reading = Reading(**{name: options[name] for name in ("header", "delimiter", "skip")})
    build = None if model is None else lambda shape, outputs: custom_build(model, shape, outputs)()
    return Model(
        Predictor.load(run, build),
        Schema.from_json(run.read_json("schema.json")),
        run.read_json("result.json") if run.has("result.json") else {},
        run,
        reading,
    )
