"""What a fit writes into its run folder, and how a later command finds it again."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tutti.core import Fold, InputError, Setting, Splits
from tutti.data import is_prose
from tutti.learn._declare import Declared
from tutti.learn._ladder import Choice
from tutti.learn._options import GIVEN, Options
from tutti.learn._train import Told
from tutti.predictor import CUSTOM
from tutti.runs import Run
from tutti.search import Decision
from tutti.training import Plan

PATHS = ("test", "edges", "masks")  # options that may be files
BASELINES = "baselines.json"  # what the baselines chose, so that a resumed run need not choose again


def write_declared(run: Run, declared: Declared, options: Options, source: Any) -> None:
    """Writes config, schema, task and splits: everything that was decided before training."""
    plain = options.to_json()
    for name in PATHS:
        given = getattr(options, name)
        if isinstance(given, str | Path):
            plain[name] = {"in memory": "str"} if is_prose(given) else _kept_path(run, given)
    run.write_json(
        "config.json",
        {
            "source": _kept_path(run, source) if isinstance(source, str | Path) and not is_prose(source) else None,
            "source_name": declared.table.source,
            "data": declared.table.fingerprint,
            "options": plain,
        },
    )
    run.write_json("schema.json", declared.schema.to_json())
    run.write_json("task.json", declared.task.to_json())
    splits = declared.splits
    run.write_json("splits.json", {"kind": splits.kind, "unit": splits.unit, "rows": splits.rows})
    tensors = {"test": splits.test, "units": splits.units, "purged": splits.purged}
    for number, fold in enumerate(splits.folds):
        tensors |= {f"fold.{number}.train": fold.train, f"fold.{number}.validation": fold.validation}
    if splits.hold_out is not None:
        tensors |= {"hold_out.train": splits.hold_out.train, "hold_out.validation": splits.hold_out.validation}
    run.write_tensors("splits.safetensors", {k: np.ascontiguousarray(v) for k, v in tensors.items()})


def _kept_path(run: Run, source: str | Path) -> Any:
    """{"file": path from the run's folder} of a file, so that both can be moved together and be found from any
    working folder; else the bundled name."""
    if not Path(source).exists():
        return str(source)
    path = Path(source).resolve()
    try:
        return {"file": Path(os.path.relpath(path, run.folder.resolve())).as_posix()}
    except ValueError:  # another drive of Windows
        return {"file": path.as_posix()}


def _found_path(run: Run, kept: Any) -> Any:
    """What `_kept_path` kept, as a path from the working folder."""
    if not (isinstance(kept, Mapping) and "file" in kept):
        return kept
    path = os.path.normpath(run.folder.resolve() / kept["file"])
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive of Windows
        return path


def read_splits(run: Run) -> Splits:
    """The splits of a run."""
    plain, tensors = run.read_json("splits.json"), run.read_tensors("splits.safetensors")
    count = sum(name.startswith("fold.") and name.endswith(".train") for name in tensors)
    folds = [_fold(tensors, f"fold.{i}") for i in range(count)]
    return Splits(
        kind=plain["kind"],
        unit=plain["unit"],
        rows=plain["rows"],
        test=tensors["test"],
        units=tensors["units"],
        purged=tensors["purged"],
        folds=tuple(folds),
        hold_out=_fold(tensors, "hold_out") if "hold_out.train" in tensors else None,
    )


def _fold(tensors: Mapping[str, np.ndarray], name: str) -> Fold:
    return Fold(train=tensors[f"{name}.train"], validation=tensors[f"{name}.validation"])


def write_plan(
    run: Run, choice: Choice, made: Mapping[str, Any], grid: list[Setting], decisions: list[Decision]
) -> None:
    """Writes the Plan, before it is used and again with the decisions that were made on the way.

    `made`: the model, optimizer and schedule that options and default recipe came to. A later version, whose recipe
    may be another, repeats the run with these.
    """
    run.write_json(
        "plan.json",
        {
            "plan": choice.plan.to_json(),
            "folds": choice.trial.folds,
            "raced": choice.raced,
            "quick": choice.quick,
            "after": choice.after,
            "made": dict(made),
            "settings": [s.to_json() for s in grid],
            "decisions": [d.to_json() for d in decisions],
        },
    )


def read_plan(run: Run, *, decisions: bool) -> Told:
    """What a run was told or decided; with its decisions to be followed, or without."""
    plain = run.read_json("plan.json")
    return Told(
        folds=plain["folds"],
        raced=plain["raced"],
        quick=plain.get("quick", False),
        after=plain.get("after", 0.0),
        plan=Plan.from_json(plain["plan"]),
        grid=[Setting.from_json(s) for s in plain["settings"]],
        decisions=[Decision.from_json(d) for d in plain["decisions"]] if decisions else None,
    )


def read_options(run: Run, source: Any = None, model: Any = None) -> tuple[Any, Options, Mapping[str, Any]]:
    """(source, options, config) of a run; data that were in memory must be given again as `source`, a network of the
    user's own as `model`."""
    config = run.read_json("config.json")
    options: dict[str, Any] = config["options"]
    for name in PATHS:
        options[name] = _found_path(run, options[name])
    for name, value in options.items():
        if not (isinstance(value, dict) and "in memory" in value):
            continue
        if name == "model" and model is not None:
            options[name] = model
            continue
        again = "Pass the network: tutti.learn.rerun(folder, model=build)."
        raise InputError(
            f"This run was given {name} as a Python object ({value['in memory']}), which a folder cannot hold.",
            fix=again if name == "model" else "Repeat it from Python with the same arguments and seed.",
        )
    source = _found_path(run, config["source"]) if source is None else source
    if source is None:
        raise InputError(
            "This run was fitted on data in memory, which its folder does not hold.",
            fix="Pass the data: tutti.learn.rerun(folder, source=data).",
        )
    plain = {name: value for name, value in options.items() if value != GIVEN}  # the splits are read, not made
    made = run.read_json("plan.json")["made"] if run.has("plan.json") else {}
    known = {name: value for name, value in made.items() if name != "model" or value["name"] != CUSTOM}
    return source, Options.of({**plain, **known, "out": None}), config
