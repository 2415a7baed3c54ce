"""The other processes of a fit under torchrun: they train their share of the settings, and decide nothing."""

from collections.abc import Sequence
from typing import Any

from tutti.core import Observer, Setting
from tutti.learn._declare import Declared, declare
from tutti.learn._ladder import Choice
from tutti.learn._model import Model, load
from tutti.learn._options import Options
from tutti.learn._train import Told, Training
from tutti.runs import Checkpoint
from tutti.training import Plan, Ranks, current_ranks


def tell(choice: Choice, grid: Sequence[Setting]) -> None:
    """Tells the other processes what the first has chosen to train, before it begins."""
    ranks = current_ranks()
    if ranks.count > 1:
        plain = {"plan": choice.plan.to_json(), "folds": choice.trial.folds, "raced": choice.raced}
        ranks.agree({**plain, "settings": [s.to_json() for s in grid]})


def follow(source: Any, options: Options, ranks: Ranks) -> Model:
    """Reads and declares the data as the first process does, trains with it, and returns the model that it saved."""
    return train_along(declare(source, options, Observer()), options, ranks, None)


def train_along(declared: Declared, options: Options, ranks: Ranks, checkpoint: Checkpoint | None) -> Model:
    """Trains this process's share as the first process tells, from a checkpoint on where there is one."""
    training = Training(declared, options)
    plain = ranks.agree(None)
    told = Told(
        folds=plain["folds"],
        plan=Plan.from_json(plain["plan"]),
        raced=plain["raced"],
        grid=[Setting.from_json(s) for s in plain["settings"]],
        tensors=None if checkpoint is None else checkpoint.tensors,
        state=None if checkpoint is None else checkpoint.state,
    )
    search = training.search(
        training.retold(told),
        told=told,
        deadline=None,
        began=0.0,
        observer=Observer(),
        log=lambda event: None,
        checkpoint=lambda tensors, state: None,
    )
    search.run()
    custom = options.model if training.network.config is None else None
    return load(ranks.agree(None), model=custom)
