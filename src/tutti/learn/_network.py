"""The network of a fit: built by a Config of ours, or by a function or module of the user's."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from tutti.core import Config, InputError, InputTypeError, Shape, TableShape
from tutti.data import Table
from tutti.learn._options import Options
from tutti.learn._recipe import Recipe
from tutti.models import custom_network
from tutti.predictor import CUSTOM
from tutti.tasks import Task
from tutti.training import check_parameters

_LAYER = {
    "activity_l1": "activity",
    "activity_l2": "activity",
    **dict.fromkeys(("augment", "flip", "mixup"), "augmented"),
}  # a model's option by the hyper-parameter it serves, where their names differ


@dataclass(frozen=True, kw_only=True)
class Network:
    """How to build a member, what to call it, and how many weights it has, frozen ones among them."""

    build: Callable[[], nn.Module]
    config: Config | None
    weights: int

    @property
    def description(self) -> str:
        """The model in words: its name and the options that differ from the defaults."""
        if self.config is None:
            return "A network of your own"
        values = {k: v for k, v in self.config.to_json().items() if k != "name"}
        default = type(self.config)().to_json()
        told = [f"{k} {json.dumps(v)}" for k, v in values.items() if v != default[k]]
        return f"{self.config.name} ({', '.join(told)})" if told else self.config.name

    def to_json(self) -> Mapping[str, Any]:
        return {"name": CUSTOM} if self.config is None else self.config.to_json()


def network_for(options: Options, recipe: Recipe, table: Table, task: Task) -> Network:
    """The network that the options ask for, or the recipe's."""
    given, shape = options.model, table.schema.shape
    if isinstance(given, nn.Module) or (callable(given) and not isinstance(given, Config)):
        build = custom_build(given, shape, task.outputs)
        _probe(build, table, task)
        return Network(build=build, config=None, weights=_count(build))
    config = _switched(options.model_config(shape.kind) or recipe.model, options.setting or {})
    pixels = task.kind == "segmentation"
    if getattr(config, "dense", False) != pixels:
        own, asked = ("the whole image", "every pixel") if pixels else ("every pixel", "the whole image")
        raise InputError(
            f"{config.name} answers for {own}; a {task.kind} task asks about {asked}.",
            fix='Use model="unet".' if pixels else 'Use another model, such as "resnet".',
        )

    def make() -> nn.Module:
        network: nn.Module = config.build(shape, task.outputs)
        table.equip(network)
        return network

    return Network(build=make, config=config, weights=_count(make))


def _switched(config: Any, given: Mapping[str, float]) -> Any:
    """The model with the layers switched on that the given hyper-parameters need, where it has them as an option."""
    layers = [layer for name, value in given.items() if value for layer in (name, _LAYER.get(name, name))]
    wanted = [layer for layer in layers if getattr(config, layer, None) is False]
    return replace(config, **dict.fromkeys(wanted, True)) if wanted else config


def custom_build(given: Any, shape: Shape, outputs: int) -> Callable[[], nn.Module]:
    """A builder around a module, or a function of (features, outputs), of the user's.

    Before it stands the same front as before our own models of tables: numbers scaled, categories one-hot. For other
    kinds of data the function is of (shape, outputs), and its module takes what data.Sample.inputs gives.
    """

    def inner(features: Any) -> nn.Module:
        module = copy.deepcopy(given) if isinstance(given, nn.Module) else given(features, outputs)
        if not isinstance(module, nn.Module):
            raise InputTypeError(
                f"The model function returned a {type(module).__name__}; expected a torch.nn.Module.",
                fix="Write it as: def model(features, outputs): return nn.Sequential(…)",
            )
        return module

    def make() -> nn.Module:
        return custom_network(shape, inner) if isinstance(shape, TableShape) else inner(shape)

    return make


@torch.no_grad()
def _probe(build: Callable[[], nn.Module], table: Table, task: Task) -> None:
    """Raises InputError where no member can be made of a network, and where its answer on some rows is not what the
    task needs: with both shapes."""
    rows = min(3, table.rows)
    few = table.take(np.arange(rows))
    inputs = [x if isinstance(x, torch.Tensor) else x.read(np.arange(rows)) for x in few.inputs()]
    with torch.random.fork_rng(devices=[]):
        network = build().eval()
        check_parameters(network)
        table.equip(network)
        try:
            output = network(*inputs)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if isinstance(error, InputError):
                raise
            rows_of = "[batch, features] rows" if few.sample is None else few.kind
            raise InputError(
                f"The model fails on {rows_of}: {str(error).strip().splitlines()[0]}",
                fix="Write it as: def model(features, outputs): return nn.Sequential(nn.Linear(features, …), …)",
            ) from error
    found = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if not isinstance(found, list) or found[:2] != [rows, task.outputs]:
        many = f"{len(task.names)} target(s)" if task.kind == "regression" else f"{len(task.classes)} classes"
        raise InputError(
            f"The model answers {found} on {rows} rows; a {task.kind} task with {many} needs {[rows, task.outputs]}.",
            fix="Take the number of outputs from the second argument: def model(features, outputs): …",
        )


def _count(build: Callable[[], nn.Module]) -> int:
    with torch.random.fork_rng(devices=[]):
        network = build()
    return sum(p.numel() for p in getattr(network, "body", network).parameters())
