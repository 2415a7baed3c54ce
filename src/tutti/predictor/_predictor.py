"""The predictor: what a fit leaves behind, an ensemble of networks that turns features into predictions."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti.core import InputError, Rows, Shape, configure, shape_from_json
from tutti.data import Table
from tutti.models import MODELS
from tutti.runs import Run
from tutti.tasks import Affine, Task, answers, pooled, task_from_json, tempered

BATCH = 8192  # rows in one pass, where a row is small
NUMBERS = 2**19  # numbers of input in one pass: what a network makes of them is tens of times as large

CUSTOM = "custom"

Array = np.ndarray | Tensor


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Networks whose predictions are averaged (probabilities, or values), all for one task and one kind of data.

    shape: of the data.
    model: the Config that built them, as JSON values. affines: one per network for a regression. temperature: at
    which class probabilities are given, found by the search (see tasks.tempered). quick: layers that would take more
    trouble over an answer than over a judgement (an image in all its symmetries) do not.
    """

    task: Task
    shape: Shape
    model: Mapping[str, Any]
    networks: Sequence[nn.Module]
    affines: tuple[Affine, ...] = ()
    temperature: float = 1.0
    quick: bool = False

    def __post_init__(self) -> None:
        if self.quick:
            return
        for network in self.networks:
            for part in network.modules():
                if getattr(part, "predicting", None) is False:
                    part.predicting = True  # type: ignore[assignment]

    def predict(self, *inputs: Array | Rows) -> Float[np.ndarray, "rows ..."]:
        """The mean prediction of the networks, in float32: probabilities [rows, classes], or values; of language
        models the surprise −ln p [rows, length] at their mean probability.

        inputs: what a network's forward takes (data.Table.inputs), rows first.
        """
        each = [self.one(i, *inputs) for i in range(len(self.networks))]
        mean: np.ndarray = pooled(np.stack(each)) if self.task.kind == "language" else np.mean(each, axis=0)
        return mean

    @torch.no_grad()
    def one(self, index: int, *inputs: Array | Rows) -> Float[np.ndarray, "rows ..."]:
        """The prediction of a single network."""
        network = self.networks[index].eval()
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        affine = self.affines[index] if self.affines else None
        rows, parts = len(inputs[0]), []
        size = _pass_rows(inputs)
        for a in range(0, max(1, rows), size):
            batch = [_some(x, a, min(a + size, rows)).to(device) for x in inputs]
            parts.append(answers(self.task, network(*batch), affine, int(getattr(network, "replicas", 1))).cpu())
        return tempered(torch.cat(parts).numpy(), self.temperature)

    def on(self, table: Table) -> Float[np.ndarray, "rows ..."]:
        """The prediction for each row of a table, whatever its kind of data."""
        return self._equipped(table).predict(*table.inputs())

    def one_on(self, index: int, table: Table) -> Float[np.ndarray, "rows ..."]:
        """`one`, for the rows of a table."""
        return self._equipped(table).one(index, *table.inputs())

    def _equipped(self, table: Table) -> "Predictor":
        for network in self.networks:
            table.equip(network)
        return self

    def save(self, run: Run) -> None:
        """Writes model.json and model.safetensors."""
        tensors: dict[str, Tensor] = {}
        for i, network in enumerate(self.networks):
            tensors |= {f"{i}.network.{k}": v.contiguous() for k, v in network.state_dict().items()}
        for i, affine in enumerate(self.affines):
            tensors |= {f"{i}.centre": affine.centre, f"{i}.scale": affine.scale}
        run.write_tensors("model.safetensors", tensors)
        shape = self.shape.to_json()
        description = {"model": dict(self.model), "shape": shape, "networks": len(self.networks)}
        description |= {"temperature": self.temperature, "quick": self.quick}
        if self.model["name"] == CUSTOM:
            description["layers"] = _layers(self.networks[0])
        run.write_json("model.json", {**description, "task": self.task.to_json()})

    @classmethod
    def load(cls, run: Run, build: Callable[[Any, int], nn.Module] | None = None) -> "Predictor":
        """Reads a saved predictor. A network of the user's own needs its builder, a function of (shape, outputs):
        no code is ever loaded."""
        description = run.read_json("model.json")
        task = task_from_json(description["task"])
        shape = shape_from_json(description["shape"])
        if description["model"]["name"] == CUSTOM:
            if build is None:
                raise InputError(
                    f"{run.folder} holds a network of your own, and code is never loaded from a run.",
                    fix="Pass the function that builds it: tutti.load(folder, model=build).",
                )
        else:
            build = configure("model", MODELS[shape.kind], description["model"]).build
        tensors = run.read_tensors("model.safetensors", "torch")
        networks, affines = [], []
        for i in range(description["networks"]):
            network = build(shape, task.outputs)
            _compare(network, description.get("layers"), str(run.folder))
            head = f"{i}.network."
            own = {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}
            _load(network, own, str(run.folder))
            networks.append(network.eval())
            if f"{i}.centre" in tensors:
                affines.append(Affine(centre=tensors[f"{i}.centre"], scale=tensors[f"{i}.scale"]))
        return cls(
            task=task,
            shape=shape,
            model=description["model"],
            networks=networks,
            affines=tuple(affines),
            temperature=float(description["temperature"]),
            quick=description.get("quick", False),
        )


def _layers(network: nn.Module) -> list[str]:
    """A network of the user's in print, a line each: its layers and their options, without addresses in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(network)).splitlines()


def _compare(network: nn.Module, saved: Sequence[str] | None, where: str) -> None:
    """Raises where a network's layers are not those that were saved (weights of other layers may have the same
    shapes)."""
    given = _layers(network)
    if saved is None or given == list(saved):
        return
    was, now = next((a, b) for a, b in zip_longest(saved, given, fillvalue="nothing") if a != b)
    raise InputError(
        f"The network given is not the one saved in {where}: {now.strip()!r} stands where {was.strip()!r} was.",
        fix="Pass the function or module that was fitted.",
    )


def _some(x: Array | Rows, first: int, last: int) -> Tensor:
    """Rows of one input as the network takes them: whole numbers as they are, where it looks them up as int64."""
    if not isinstance(x, np.ndarray | Tensor):
        return x.read(np.arange(first, last))
    part = torch.as_tensor(np.ascontiguousarray(x[first:last]) if isinstance(x, np.ndarray) else x[first:last])
    return part.long() if part.dtype == torch.int32 else part


def _pass_rows(inputs: Sequence[Array | Rows]) -> int:
    """How many rows go through a network at once."""
    row = sum(_some(x, 0, 1).numel() for x in inputs if len(x))
    return max(1, min(BATCH, NUMBERS // max(1, row)))


def _load(network: nn.Module, values: Mapping[str, Tensor], where: str) -> None:
    try:
        network.load_state_dict(dict(values))
    except RuntimeError as error:
        raise InputError(
            f"The weights in {where} do not fit the network that its description builds: {error}",
            fix="The folder was changed, or the builder is another one.",
        ) from error
