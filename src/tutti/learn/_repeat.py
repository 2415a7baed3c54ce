"""`rerun`: a run once more, with the same numbers. `resume`: an interrupted run, from its last checkpoint on."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tutti.core import InputError, Observer
from tutti.learn._declare import Declared, declare
from tutti.learn._fit import train_and_judge
from tutti.learn._folder import BASELINES, read_options, read_plan, read_splits, write_declared
from tutti.learn._follow import train_along
from tutti.learn._model import Model
from tutti.learn._options import Options
from tutti.learn._progress import Clock
from tutti.runs import Run, environment, refuse_taken
from tutti.training import join_ranks


def rerun(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    source: Any = None,
    model: Any = None,
    observer: Observer | None = None,
) -> tuple[Model, dict[str, Any]]:
    """Repeats a finished run from its folder, and compares.

    The splits, the Plan and every decision are read, not made again, so on the same machine and versions the
    second run is bit for bit the first. It runs in one process.
    source: the data, where the run was fitted on data in memory. model: the network, where it was the user's own.
    Returns the new model and the comparison: {"identical": bool, "largest_difference": of the test or
    out-of-fold predictions, "score": [first, second]}.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("A rerun repeats the run in one process.", fix="Leave out torchrun: tutti rerun FOLDER")
    if out is not None:
        refuse_taken(out)  # before minutes are spent on reading
    first = Run.open(folder)
    first.verify()
    if first.status != "finished":
        raise InputError(f"{folder} was not finished.", fix=f"Go on with it: tutti fit --resume {folder}")
    declared, options, origin = declared_again(first, source, observer or Observer(), model)
    run = Run.create(None if out is None else Path(out), first.name)
    write_declared(run, declared, options, origin)
    run.write_json("environment.json", environment())
    clock = Clock(budget=None)
    fitted = train_and_judge(
        declared,
        options,
        clock,
        observer or Observer(),
        run,
        told=read_plan(first, decisions=True),
        baselines_told=first.read_json("result.json")["details"].get("baseline_settings"),
    )
    return fitted.model(options), _compare(first, run)


def resume(
    folder: str | Path,
    *,
    source: Any = None,
    model: Any = None,
    observer: Observer | None = None,
    began: float | None = None,
) -> Model:
    """Goes on with an interrupted or killed run from its last checkpoint, in the same folder.

    Of a budget it has what the run had left, and 10 s at least. source, model: as for `rerun`. began: as for
    `fit`.
    """
    with join_ranks() as ranks:
        if ranks.first:
            fitted = _resume(folder, source, model, observer or Observer(), Clock.start(None, began))
            ranks.agree(str(folder))
            return fitted
        run = Run.open(folder)
        declared, options, _ = declared_again(run, source, Observer(), model)
        return train_along(declared, options, ranks, run.latest_checkpoint())


def _resume(folder: str | Path, source: Any, model: Any, observer: Observer, clock: Clock) -> Model:
    """`resume`, in the first process."""
    run = Run.open(folder)
    if run.status == "finished" and run.sealed:  # else it was killed while its last files were written
        raise InputError(f"{folder} is finished; there is nothing to resume.", fix="Use tutti rerun to repeat it.")
    declared, options, _ = declared_again(run, source, observer, model)
    clock = replace(clock, budget=options.seconds)
    told = read_plan(run, decisions=False) if run.has("plan.json") else None
    checkpoint = run.latest_checkpoint()
    used = 0.0
    if told is not None and checkpoint is not None:
        told = replace(told, tensors=checkpoint.tensors, state=checkpoint.state)
        used = float(checkpoint.state["seconds"])
    run.cut_log(int(told.state["logged"]) if told is not None and told.state is not None else 0)
    baselines_told = run.read_json(BASELINES) if run.has(BASELINES) else None
    run.set_status("running")
    fitted = train_and_judge(
        declared,
        options,
        clock.after(used),
        observer,
        run,
        told=told,
        baselines_told=baselines_told,
    )
    return fitted.model(options)


def declared_again(run: Run, source: Any, observer: Observer, model: Any = None) -> tuple[Declared, Options, Any]:
    """The declared problem of a run, checked to be the one that it was fitted on."""
    where, options, config = read_options(run, source, model)
    declared = declare(where, options, observer, splits=read_splits(run))
    if declared.table.fingerprint != config["data"]:
        raise InputError(
            f"The data have changed since {run.folder} was fitted.", fix="Fit anew, or put the old data back."
        )
    return declared, options, where


def _compare(first: Run, second: Run) -> dict[str, Any]:
    ours, theirs = second.read_tensors("predictions.safetensors"), first.read_tensors("predictions.safetensors")
    differences = [float(np.abs(ours[k].astype(np.float64) - theirs[k]).max(initial=0)) for k in theirs]
    scores = [_quoted(r.read_json("result.json")) for r in (first, second)]
    largest = max(differences, default=0.0)
    return {"identical": largest == 0 and scores[0] == scores[1], "largest_difference": largest, "score": scores}


def _quoted(result: dict[str, Any]) -> float:
    return float((result["test"] or {"value": result["best"]["cv"]["mean"]})["value"])
