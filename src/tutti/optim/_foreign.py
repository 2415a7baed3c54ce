"""Optimisers of torch.optim and pytorch-optimizer, member by member on the flat storage."""

import inspect
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti.core import InputError, Layout, Setting, random_bits, stream_key, unknown
from tutti.optim._muon import Muon
from tutti.optim._packed import pack_optimizer, unpack_optimizer
from tutti.optim._rule import Again, Rule, State, Stepper

TORCH, EXTRA = "torch", "pytorch_optimizer"
_NOISE, _PROBE = 4, 5  # which of a step's random streams
_OF_THE_ENGINE = {"lr": "learning_rates", "params": "", "weight_decay": "weight_decays", "model": ""}

REFUSED = {
    "torch.Muon": "it takes parameters with two axes alone; the rule muon takes its steps, and Adam's elsewhere",
    "torch.SparseAdam": "it takes sparse gradients alone, and a population's gradients are dense",
    "pytorch_optimizer.BSAM": "its step stays at the displaced weights: the loss of a bowl grows",
    "pytorch_optimizer.DeMo": "it exchanges momenta between processes and needs their process group",
    "pytorch_optimizer.DistributedMuon": "it divides matrices among processes and needs their process group",
    "pytorch_optimizer.LOMO": "it updates weights within the backward pass, which the engine takes by itself",
    "pytorch_optimizer.AdaLOMO": "it updates weights within the backward pass, which the engine takes by itself",
    "pytorch_optimizer.LoRARite": "it takes the pairs of matrices of low-rank adapters, and a network has none",
    "pytorch_optimizer.Shampoo": "its roots of singular statistics are infinite; the rule shampoo's are not",
    "pytorch_optimizer.SpectralSphere": "it takes parameters with two axes alone, so no network with a bias",
}
_BY_CLOSURE = {"torch.LBFGS", "pytorch_optimizer.LBFGS", "pytorch_optimizer.AliG"}
_BY_CURVATURE = {"pytorch_optimizer.AdaHessian", "pytorch_optimizer.SophiaH"}
_BY_MODEL = {"pytorch_optimizer.AdamMini"}
_RATE = {"pytorch_optimizer.AliG": "max_lr"}  # where the rate has another name
_USUAL = dict.fromkeys(("torch.SGD", "torch.ASGD", "pytorch_optimizer.SGD", "pytorch_optimizer.AccSGD"), 100.0)
_USUAL |= {"pytorch_optimizer.AliG": 100.0, "pytorch_optimizer.SGDW": 10.0, "pytorch_optimizer.VSGD": 10.0}
_USUAL |= dict.fromkeys(("torch.LBFGS", "pytorch_optimizer.LBFGS"), 100.0)


@cache
def foreign_classes(origin: str) -> Mapping[str, type[torch.optim.Optimizer]]:
    """The optimiser classes of "torch" or "pytorch_optimizer", by name; none where the package is not installed."""
    if origin == TORCH:
        found = [
            v for v in vars(torch.optim).values() if isinstance(v, type) and issubclass(v, torch.optim.Optimizer)
        ]
        return {cls.__name__: cls for cls in found if cls is not torch.optim.Optimizer}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pytorch_optimizer
    except ImportError:
        return {}
    classes = [pytorch_optimizer.load_optimizer(name) for name in pytorch_optimizer.get_supported_optimizers()]
    return {cls.__name__: cls for cls in sorted(classes, key=lambda c: c.__name__)}


@dataclass(frozen=True, kw_only=True)
class Foreign(Rule):
    """An optimiser class of torch.optim or pytorch-optimizer, run member by member on views of the flat storage.

    origin: "torch" or "pytorch_optimizer"; optimizer: the class; options: its own keywords. `name` is
    "origin.optimizer", and its JSON {"name": …, keyword: value, …}.

    The member's rate is the class's lr at every step, the peak rate where it is built. Its weight decay goes to
    the class, which applies it in its own way; one that knows none gets the decoupled kind, after the step. The
    member's momentum takes the place of the class's (momentum, or the first of betas) where it is not the usual
    0.9. A class that asks for random numbers gets the same in every member, from the step's number; one that needs
    a closure (LBFGS) may evaluate the batch again; one that needs the curvature (AdaHessian, SophiaH) gets
    Hutchinson's estimate z·(Hz), with random signs z and Hz by central differences of the gradient that the rule
    sees. The Muon family gets the hidden matrices that our `Muon` takes, and Adam's step for the rest. Schedule-free
    classes are judged at their averages. State is saved as tensors and plain values, bit for bit.
    """

    name: ClassVar[str] = "foreign"
    origin: str
    optimizer: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "name", f"{self.origin}.{self.optimizer}")
        if self.name in REFUSED:
            raise InputError(f"{self.name} cannot train a population: {REFUSED[self.name]}.")
        keywords = self._keywords()
        for option, _ in self.options:
            if option in _OF_THE_ENGINE:
                fix = f"Give {_OF_THE_ENGINE[option]}=[…]." if _OF_THE_ENGINE[option] else ""
                raise InputError(f"{option} is no option of {self.name}: the population gives it.", fix=fix)
            if option not in keywords:
                raise unknown(f"option of {self.name}", option, [k for k in keywords if k not in _OF_THE_ENGINE])
        given = {option for option, _ in self.options}
        for option, parameter in keywords.items():
            if parameter.default is inspect.Parameter.empty and option not in {*_OF_THE_ENGINE, *given, "optimizer"}:
                fix = f'Give it: {{"name": "{self.name}", "{option}": …}}.'
                raise InputError(f"{self.name} needs the option {option!r}.", fix=fix)

    def _class(self) -> type[torch.optim.Optimizer]:
        classes = foreign_classes(self.origin)
        if not classes:
            raise InputError(
                f"{self.name} is of the package pytorch-optimizer, which is not installed.",
                fix='pip install "tutti[optimizers]"',
            )
        if self.optimizer not in classes:
            raise unknown(f"optimizer of {self.origin}", self.optimizer, classes)
        return classes[self.optimizer]

    def _keywords(self) -> dict[str, inspect.Parameter]:
        parameters = inspect.signature(self._class().__init__).parameters
        no_names = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return {k: v for k, v in parameters.items() if k != "self" and v.kind not in no_names}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name} | {k: list(v) if isinstance(v, tuple) else v for k, v in self.options}

    @property
    def usual_rate(self) -> float:
        """The class's own default rate over Adam's 1e-3; gradient descent is given 100."""
        default = self._keywords()["lr"].default if "lr" in self._keywords() else None
        published = default if isinstance(default, float | int) and default > 0 else 1e-3
        return _USUAL.get(self.name, published / 1e-3)

    @property
    def looped(self) -> bool:
        return self.name in _BY_CLOSURE | _BY_CURVATURE

    @property
    def wants_constant_rate(self) -> bool:
        return self.optimizer.startswith("ScheduleFree")

    def stepper(
        self, weights: Float[Tensor, "member weights"], layout: Layout, settings: Sequence[Setting]
    ) -> "ForeignStepper":
        return ForeignStepper(self, weights, layout, settings)

    def build(
        self, parameters: Mapping[str, nn.Parameter], layout: Layout, setting: Setting
    ) -> torch.optim.Optimizer:
        """The optimiser of one member."""
        known, given = self._keywords(), dict(self.options)
        if "lr" in known or self.optimizer == "Magma":
            given["lr"] = setting.learning_rate
        if "weight_decay" in known:
            given["weight_decay"] = setting.weight_decay
        if setting.momentum != Setting().momentum:
            if "momentum" in known:
                given.setdefault("momentum", setting.momentum)
            elif isinstance(betas := given.get("betas", getattr(known.get("betas"), "default", None)), tuple):
                given["betas"] = (setting.momentum, *betas[1:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._class()(self._first(parameters, layout), **given)

    def _first(self, parameters: Mapping[str, nn.Parameter], layout: Layout) -> Any:
        """The first argument: parameters, groups of them, or a module that holds them."""
        if self.name in _BY_MODEL:
            return _holder(parameters)
        if self.origin == EXTRA and self._class().__module__.startswith("pytorch_optimizer.optimizer.muon"):
            hidden = Muon().hidden(layout)
            groups = [[p for n, p in parameters.items() if (n in hidden) == wanted] for wanted in (True, False)]
            return [{"params": g, "use_muon": not i} for i, g in enumerate(groups) if g]
        return list(parameters.values())


def _holder(parameters: Mapping[str, nn.Parameter]) -> nn.Module:
    """A module that holds these parameters under their dotted names."""
    root = nn.Module()
    for name, parameter in parameters.items():
        *path, leaf = name.split(".")
        place = root
        for part in path:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.register_parameter(leaf, parameter)
    return root


@contextmanager
def _noise(seed: int, devices: Sequence[torch.device]) -> Iterator[None]:
    """While open, whoever draws from a global generator (torch's, NumPy's, Python's) draws from this seed."""
    plain, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(numbers)  # noqa: NPY002


class ForeignStepper(Stepper):
    """One optimiser for each member of a stack.

    A member whose optimiser fails in its linear algebra gets weights of NaN: it counts as diverged.
    """

    rule: Foreign

    def __init__(
        self,
        rule: Foreign,
        weights: Float[Tensor, "member weights"],
        layout: Layout,
        settings: Sequence[Setting],
    ) -> None:
        self.rule, self.layout, self.settings = rule, layout, list(settings)
        self.state: State = {}
        self._rate = _RATE.get(rule.name, "lr")
        self.parameters = [{n: nn.Parameter(v) for n, v in layout.views(row).items()} for row in weights]
        members = zip(self.parameters, self.settings, strict=True)
        self.optimizers: list[Any] = [rule.build(p, layout, s) for p, s in members]
        self._decays = "weight_decay" in rule._keywords()

    def move(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        *,
        step: int,
        rate: Float[Tensor, "member 1"],
        weight_decay: Float[Tensor, "member 1"] | None,
        momentum: float | Float[Tensor, "member 1"],
        loss: Float[Tensor, " member"],
        again: Again,
    ) -> None:
        devices = [weights.device] if weights.is_cuda else []
        for member, now in enumerate(rate[:, 0].tolist()):
            if now == 0:
                continue
            with _noise(stream_key(step, _NOISE), devices):
                try:
                    self._step(member, now, weights, gradient, step, loss, again)
                except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
                    weights[member] = torch.nan
            if rate[member, 0] == 0:  # it diverged while it evaluated the batch again
                continue
            if weight_decay is not None and not self._decays:
                weights[member].mul_(1 - now * weight_decay[member])

    def _step(
        self,
        member: int,
        rate: float,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        step: int,
        loss: Float[Tensor, " member"],
        again: Again,
    ) -> None:
        optimizer, name = self.optimizers[member], self.rule.name
        self._bind(member, weights[member], gradient[member])
        for group in optimizer.param_groups:
            if self._rate in group:
                group[self._rate] = rate
        if name in _BY_CLOSURE:
            before, first = weights[member].clone(), [loss[member].clone()]

            def closure() -> Tensor:
                value = first.pop() if first else again(member)[member]
                self._bind(member, weights[member], gradient[member])
                return value

            optimizer.step(closure)
            if not weights[member].isfinite().all():
                weights[member] = before
        elif name in _BY_CURVATURE and (step - 1) % optimizer.update_period == 0:
            optimizer.step(hessian=self._curvature(member, weights, gradient, step, again))
        else:
            optimizer.step()
        self._return(member, weights[member])

    def _bind(self, member: int, weights: Float[Tensor, " weights"], gradient: Float[Tensor, " weights"]) -> None:
        """Points the member's parameters, and their gradients, at its rows of the storage."""
        views, slopes = self.layout.views(weights), self.layout.views(gradient)
        for name, parameter in self.parameters[member].items():
            parameter.data = views[name]
            parameter.grad = slopes[name]

    def _return(self, member: int, weights: Float[Tensor, " weights"]) -> None:
        """Copies back the parameters that an optimiser has put into other memory."""
        for parameter, view in zip(
            self.parameters[member].values(), self.layout.views(weights).values(), strict=True
        ):
            if parameter.data_ptr() != view.data_ptr():
                view.copy_(parameter.data)

    def _curvature(
        self,
        member: int,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        step: int,
        again: Again,
    ) -> list[Tensor]:
        """Hutchinson's estimate of the Hessian's diagonal, for each parameter."""
        row = weights[member]
        before, slope = row.clone(), gradient[member].clone()
        bits = random_bits(torch.tensor(stream_key(step, _PROBE) >> 1, device=row.device), len(row))
        signs = ((bits & 1) * 2 - 1).to(row.dtype)
        length = torch.finfo(row.dtype).eps ** (1 / 3)
        ends = []
        for side in (1, -1):
            row.copy_(before + side * length * signs)
            again(member)
            ends.append(gradient[member].clone())
        row.copy_(before)
        gradient[member] = slope
        self._bind(member, row, gradient[member])
        estimate = signs * (ends[0] - ends[1]) / (2 * length)
        return list(self.layout.views(estimate).values())

    def evaluated(
        self, weights: Float[Tensor, "member weights"], *, momentum: float | Float[Tensor, "member 1"]
    ) -> Float[Tensor, "member weights"] | None:
        """Schedule-free classes are asked for their averages; their weights are put back to the bit."""
        if not self.rule.wants_constant_rate:
            return None
        judged = weights.clone()
        for member, optimizer in enumerate(self.optimizers):
            self._bind(member, judged[member], torch.zeros_like(judged[member]))
            optimizer.eval()
            for group in optimizer.param_groups:
                group["train_mode"] = True
        return judged

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        places = rows.tolist()
        self.optimizers = [self.optimizers[i] for i in places]
        self.parameters = [self.parameters[i] for i in places]
        self.settings = [self.settings[i] for i in places]

    def save(self) -> tuple[State, dict[str, Any]]:
        tensors: State = {}
        packed = [pack_optimizer(o, tensors, "foreign.") for o in self.optimizers]
        return tensors, {"members": packed}

    def load(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        for optimizer, packed in zip(self.optimizers, plain["members"], strict=True):
            unpack_optimizer(optimizer, packed, tensors)
