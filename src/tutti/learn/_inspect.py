"""`inspect`: the network of a run, looked into on its own training rows."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tutti.core import Observer
from tutti.inspection import ComputationGraph, Curvature, computation_graph, curvature, gradient_variance
from tutti.learn._model import load
from tutti.learn._repeat import declared_again
from tutti.runs import Run

ROWS = 1024  # training rows that are looked at
DRAWN_ROWS = 32  # rows behind the computation graph
BATCHES = (1, 8, 32, 128)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a network's loss looks like around its weights.

    rate: the peak learning rate that it was trained with. gradient: ‖∇L‖² on all the rows. noise: the variance of
    the mini-batch gradient, by batch size. graph: every operation on a few rows, with its value and gradient.
    """

    rows: int
    rate: float
    curvature: Curvature
    gradient: float
    noise: dict[int, float]
    graph: ComputationGraph

    def to_json(self) -> dict[str, Any]:
        bent = self.curvature
        found = {"rows": self.rows, "learning_rate": self.rate, "gradient": self.gradient, "noise": self.noise}
        steps = {"largest_stable_step": bent.largest_stable_step, "best_step": bent.best_step}
        return {**found, "curvature": {**asdict(bent), **steps}, "graph": self.graph.to_json()}


class _Body(nn.Module):
    """A table network behind its front; of replicas, the mean."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.body = getattr(network, "body", network)
        self.replicas = int(getattr(network, "replicas", 1))

    def forward(self, *inputs: Tensor) -> Tensor:
        output: Tensor = self.body(*inputs)
        return output if self.replicas == 1 else output.mean(-2)


@torch.no_grad()
def _behind_the_front(network: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a network's body is given for these raw inputs."""
    front = getattr(network, "front", None)
    found = given if front is None else front(*given)
    return tuple(found) if isinstance(found, tuple) else (found,)


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x


def inspect(folder: str | Path, *, source: Any = None, model: Any = None, seed: int = 0) -> Inspection:
    """Curvature, gradient noise and computation graph of a run's first network, on rows that it trained on.

    source, model: the data, or the network's builder, where a folder cannot hold them (see `rerun`).
    The Hessian and the gradients are those of the mean loss without weight decay, in evaluation mode, in float64.
    """
    run = Run.open(folder)
    fitted = load(folder, model=model)
    declared, _, _ = declared_again(run, source, Observer(), model)
    predictor = fitted.predictor
    network = predictor.networks[0].double().eval()
    fold = declared.splits.folds[0] if len(predictor.networks) > 1 else None
    rows = (declared.splits.train if fold is None else fold.train)[:ROWS]
    target = torch.as_tensor(declared.target[rows])
    if predictor.affines:
        target = predictor.affines[0].standardise(target)
    target = target.double() if target.is_floating_point() else target
    table = declared.table.take(rows)
    table.equip(network)
    given = tuple(_double(x if isinstance(x, Tensor) else x.read(np.arange(len(x)))) for x in table.inputs())
    inputs = _behind_the_front(network, given)
    body, loss = _Body(network), declared.task.loss
    gradient, noise = gradient_variance(
        body, loss, inputs, target, [b for b in BATCHES if b < len(rows)] or [len(rows)]
    )
    return Inspection(
        rows=len(rows),
        rate=float(fitted.result["best"]["learning_rate"]) if fitted.result else float("nan"),
        curvature=curvature(body, loss, inputs, target, seed=seed),
        gradient=gradient,
        noise=noise,
        graph=computation_graph(body, loss, tuple(x[:DRAWN_ROWS] for x in inputs), target[:DRAWN_ROWS]),
    )
