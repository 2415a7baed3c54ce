"""The bases of the grid: the hyper-parameters that it does not vary, the recipe's or a model's or the user's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from tutti.core import Config, InputError, Setting
from tutti.learn._recipe import Recipe
from tutti.tasks import Task
from tutti.training import asked_for

_OF_THE_ENGINE = ("l1", "momentum", "label_smoothing")  # the rest of a setting belongs to layers
_OF_LAYERS = ("dropout", "noise", "activity_l1", "activity_l2", "augment", "flip", "mixup")
_LABELS = ("binary", "multiclass", "multilabel", "segmentation")


def with_bases(recipe: Recipe, named: Config | None, given: Mapping[str, float] | None, *, own: bool) -> Recipe:
    """The recipe with the hyper-parameters of a named model, where it has its own, under those that are given.

    own: whether the network is the recipe's. Another network takes the recipe's where they are for all networks of
    its kind, else none.
    """
    base: Setting | None = getattr(named, "setting", None)
    if base is None:
        base = recipe.base if own or recipe.rate is not None else Setting()
    told = _told(given or {})
    base = replace(base, **told)
    others = dict.fromkeys(replace(other, **told) for other in recipe.others)
    return replace(recipe, base=base, others=tuple(other for other in others if other != base))


def without_unused(recipe: Recipe, network: nn.Module) -> Recipe:
    """The recipe without what the network has no layer for: a run must not claim an augmentation that none did, nor
    try one network twice."""
    used = asked_for(network)
    unused: dict[str, Any] = {name: 0.0 for name in _OF_LAYERS if name not in used}
    base = replace(recipe.base, **unused)
    others = dict.fromkeys(replace(other, **unused) for other in recipe.others)
    return replace(recipe, base=base, others=tuple(other for other in others if other != base))


def _told(given: Mapping[str, float]) -> dict[str, Any]:
    if "optimizer" in given:
        raise InputError("optimizer is no number of a setting.", fix="Give optimizer=… beside it.")
    for name in ("learning_rate", "weight_decay"):
        if name in given:
            raise InputError(f"{name} is an axis of the grid.", fix=f"Give {name}s=[…] instead.")
    checked = Setting.from_json(given)
    return {name: getattr(checked, name) for name in given}


def refuse_unused(given: Mapping[str, float], network: nn.Module, task: Task, called: str) -> None:
    """Raises for a hyper-parameter that was given and would change nothing. called: the network in words."""
    of_layers = sorted(asked_for(network))
    for name, value in given.items():
        if not value or name in of_layers:
            continue
        if name == "label_smoothing" and task.kind not in _LABELS:
            raise InputError(f"A {task.kind} task has no labels to smooth.", fix="Leave label_smoothing out.")
        if name not in _OF_THE_ENGINE:
            used = ", ".join([*of_layers, *_OF_THE_ENGINE])
            raise InputError(
                f"{called} takes no {name}: it has no layer that asks for it.",
                fix=f"Leave it out (it takes {used}), or take a model with such a layer.",
            )
