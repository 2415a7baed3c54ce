"""The predictor: what a fit leaves behind, an ensemble of networks that turns features into predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti.core import InputError, TableShape, configure
from tutti.models import MODELS
from tutti.runs import Run
from tutti.tasks import Affine, Task, answers, task_from_json, tempered

BATCH = 8192  # rows in one pass

CUSTOM = "custom"


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Networks whose predictions are averaged (probabilities, or values), all for one task.

    model: the Config that built them, as JSON values. affines: one per network for a regression. temperature: at
    which class probabilities are given, found by the search (see tasks.tempered).
    """

    task: Task
    shape: TableShape
    model: Mapping[str, Any]
    networks: Sequence[nn.Module]
    affines: tuple[Affine, ...] = ()
    temperature: float = 1.0

    def predict(
        self, numbers: Float[np.ndarray, "rows number"], codes: Int[np.ndarray, "rows category"]
    ) -> Float[np.ndarray, "rows out"]:
        """The mean prediction of the networks, in float32: probabilities [rows, classes], or values."""
        mean: np.ndarray = np.mean([self.one(i, numbers, codes) for i in range(len(self.networks))], axis=0)
        return mean

    @torch.no_grad()
    def one(
        self, index: int, numbers: Float[np.ndarray, "rows number"], codes: Int[np.ndarray, "rows category"]
    ) -> Float[np.ndarray, "rows out"]:
        """The prediction of a single network."""
        network = self.networks[index].eval()
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        affine = self.affines[index] if self.affines else None
        parts = []
        for a in range(0, max(1, len(numbers)), BATCH):
            x = torch.as_tensor(np.ascontiguousarray(numbers[a : a + BATCH]), device=device)
            c = torch.as_tensor(np.ascontiguousarray(codes[a : a + BATCH]), device=device).long()
            parts.append(answers(self.task, network(x, c), affine, int(getattr(network, "replicas", 1))).cpu())
        return tempered(torch.cat(parts).numpy(), self.temperature)

    def save(self, run: Run) -> None:
        """Writes model.json and model.safetensors."""
        tensors: dict[str, Tensor] = {}
        for i, network in enumerate(self.networks):
            tensors |= {f"{i}.network.{k}": v.contiguous() for k, v in network.state_dict().items()}
        for i, affine in enumerate(self.affines):
            tensors |= {f"{i}.centre": affine.centre, f"{i}.scale": affine.scale}
        run.write_tensors("model.safetensors", tensors)
        shape = asdict(self.shape)
        description = {"model": dict(self.model), "shape": shape, "networks": len(self.networks)}
        description["temperature"] = self.temperature
        run.write_json("model.json", {**description, "task": self.task.to_json()})

    @classmethod
    def load(cls, run: Run, build: Callable[[TableShape, int], nn.Module] | None = None) -> "Predictor":
        """Reads a saved predictor. A network of the user's own needs its builder, a function of (shape, outputs):
        no code is ever loaded."""
        description = run.read_json("model.json")
        task = task_from_json(description["task"])
        given = description["shape"]
        shape = TableShape(numbers=given["numbers"], levels=tuple(given["levels"]), missing=tuple(given["missing"]))
        if description["model"]["name"] == CUSTOM:
            if build is None:
                raise InputError(
                    f"{run.folder} holds a network of your own, and code is never loaded from a run.",
                    fix="Pass the function that builds it: tutti.load(folder, model=build).",
                )
        else:
            build = configure("model", MODELS, description["model"]).build
        tensors = run.read_tensors("model.safetensors", "torch")
        networks, affines = [], []
        for i in range(description["networks"]):
            network = build(shape, task.outputs)
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
        )


def _load(network: nn.Module, values: Mapping[str, Tensor], where: str) -> None:
    try:
        network.load_state_dict(dict(values))
    except RuntimeError as error:
        raise InputError(
            f"The weights in {where} do not fit the network that its description builds: {error}",
            fix="The folder was changed, or the builder is another one.",
        ) from error
