"""One step of every member at once, on the flat storage: freeze, clip, decay, update."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tutti.core import InputError, Layout, Setting, unknown
from tutti.optim import Rule, State, Stepper, norm_factor

Evaluate = Callable[[slice], Float[Tensor, " member"]]
Norm = Callable[[Float[Tensor, "member weights"]], Float[Tensor, " member"]]


def row_norm(gradient: Float[Tensor, "member weights"]) -> Float[Tensor, " member"]:
    """Each member's Euclidean norm."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=1)
    return norm


@dataclass(frozen=True, kw_only=True)
class Part:
    """Consecutive settings that one rule moves, and their members' rows."""

    settings: range
    rows: slice
    stepper: Stepper


class Descent:
    """The update rules of a population at work, each on its own consecutive rows.

    rules: by the name that settings give as their `optimizer`; the rule of "" serves all that give none.
    norm: of a member's whole gradient, where the rows given here are a part of it only.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        settings: Sequence[Setting],
        streams: int,
        weights: Float[Tensor, "member weights"],
        layout: Layout,
        norm: Norm = row_norm,
    ) -> None:
        self.streams, self.norm = streams, norm
        self.parts: list[Part] = []
        first = 0
        for name, group in groupby(settings, key=lambda s: s.optimizer):
            if name not in rules:
                raise unknown("optimizer", name, rules)
            mine = [setting for setting in group for _ in range(streams)]
            last = first + len(mine) // streams
            rows = slice(first * streams, last * streams)
            stepper = rules[name].stepper(weights[rows], layout, mine)
            self.parts.append(Part(settings=range(first, last), rows=rows, stepper=stepper))
            first = last

    def advance(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        alive: Bool[Tensor, " member"],
        *,
        step: int,
        loss: Float[Tensor, " member"],
        rate: Float[Tensor, "member 1"],
        decay: Float[Tensor, "member 1"] | None,
        momentum: float | Float[Tensor, "member 1"],
        clip: float | None,
        l1: Float[Tensor, "member 1"] | None,
        evaluate: Evaluate,
    ) -> None:
        """Updates weights, state and `alive` in place, as `prepare` and then each rule's `move` say.

        A frozen member's rate is 0, so its weights stay those before the step. evaluate(rows): the losses at the
        weights as they now are, and the gradients of (at least) these rows, written into `gradient`. Nothing here
        waits for the device.
        """
        prepare(weights, gradient, alive, loss, clip=clip, l1=l1, norm=self.norm)
        rate = rate.masked_fill(~alive[:, None], 0.0)

        def again(rows: slice) -> Float[Tensor, " member"]:
            kept = gradient.clone()
            losses = evaluate(rows)
            kept[rows] = gradient[rows]
            gradient.copy_(kept)
            mine = None if l1 is None else l1[rows]
            prepare(weights[rows], gradient[rows], alive[rows], losses[rows], clip=clip, l1=mine, norm=self.norm)
            rate.masked_fill_(~alive[:, None], 0.0)
            return losses

        for part in self.parts:
            rows = part.rows
            part.stepper.move(
                weights[rows],
                gradient[rows],
                step=step,
                rate=rate[rows],
                weight_decay=None if decay is None else decay[rows],
                momentum=momentum[rows] if isinstance(momentum, Tensor) else momentum,
                loss=loss[rows],
                again=lambda member=None, rows=rows: again(_one(rows, member))[rows],
            )

    def advance_alone(
        self,
        weights: Float[Tensor, "one weights"],
        gradient: Float[Tensor, "one weights"],
        alive: Bool[Tensor, " one"],
        *,
        step: int,
        loss: Float[Tensor, " one"],
        rate: float,
        decay: float,
        momentum: float | Float[Tensor, "member 1"],
        clip: float | None,
    ) -> bool:
        """`advance` for a population of one, in the rule's single kernel; False where the rule has none.

        Clipping is the kernel's gradient scale, freezing its skip: what a bare loop spends on both is saved.
        """
        stepper = self.parts[0].stepper
        if not stepper.rule.single_kernel:
            return False
        norm = self.norm(gradient)[0]
        alive.logical_and_(torch.isfinite(norm + loss))
        scale = torch.ones_like(norm) if clip is None else norm.add(1e-6).div_(clip).clamp_(min=1.0)
        skip = torch.where(alive[0], 0.0, 1.0)
        return stepper.rule.step_alone(
            weights,
            gradient,
            stepper.state,
            step=step,
            rate=rate,
            weight_decay=decay,
            momentum=momentum,
            scale=scale,
            skip=skip,
        )

    def average(
        self,
        average: Float[Tensor, "member weights"],
        weights: Float[Tensor, "member weights"],
        momentum: float | Float[Tensor, "member 1"],
        weight: float | None,
    ) -> None:
        """Moves the average towards the weights by `weight` (None: not at all); the rows of a rule that keeps the
        weights to be judged itself become those."""
        for part in self.parts:
            rows = part.rows
            mine = momentum[rows] if isinstance(momentum, Tensor) else momentum
            own = part.stepper.evaluated(weights[rows], momentum=mine)
            if own is not None:
                average[rows] = own
            elif weight is not None:
                average[rows].lerp_(weights[rows], weight)

    def keep(self, settings: Sequence[int]) -> None:
        """Goes on with these settings (their places now), in this order, which does not mix the rules' settings."""
        device = next((v.device for p in self.parts for v in p.stepper.state.values()), torch.device("cpu"))
        kept: list[Part] = []
        first = 0
        for index, group in groupby(
            settings, key=lambda s: next(i for i, p in enumerate(self.parts) if s in p.settings)
        ):
            part, places = self.parts[index], list(group)
            if any(part.stepper is other.stepper for other in kept):
                raise InputError("The settings of one rule must stay together.", fix="Keep them in their order.")
            own = [(s - part.settings.start) * self.streams + f for s in places for f in range(self.streams)]
            part.stepper.keep(torch.tensor(own, device=device))
            last = first + len(places)
            rows = slice(first * self.streams, last * self.streams)
            kept.append(Part(settings=range(first, last), rows=rows, stepper=part.stepper))
            first = last
        self.parts = kept

    def save(self) -> tuple[State, list[dict[str, Any]]]:
        """All that later steps depend on: tensors by name, and plain values, one dict a part."""
        saved = [part.stepper.save() for part in self.parts]
        tensors = {f"{_prefix(i)}{name}": v for i, (own, _) in enumerate(saved) for name, v in own.items()}
        return tensors, [plain for _, plain in saved]

    def load(self, tensors: Mapping[str, Tensor], plain: Sequence[Mapping[str, Any]], device: torch.device) -> None:
        """Goes back to what was saved, for the same settings."""
        for i, part in enumerate(self.parts):
            prefix = _prefix(i)
            own = {
                k.removeprefix(prefix): v.to(device, copy=True) for k, v in tensors.items() if k.startswith(prefix)
            }
            part.stepper.load(own, plain[i] if i < len(plain) else {})


def prepare(
    weights: Float[Tensor, "member weights"],
    gradient: Float[Tensor, "member weights"],
    alive: Bool[Tensor, " member"],
    loss: Float[Tensor, " member"],
    *,
    clip: float | None,
    l1: Float[Tensor, "member 1"] | None,
    norm: Norm,
) -> None:
    """Makes a gradient ready for a rule, in place.

    A member whose loss or gradient norm is not finite is frozen from this step on: its gradient is replaced by
    zeros (a product would keep the NaN). clip: each member's gradient is scaled by min(1, clip / (norm + 1e-6)),
    its own global norm. l1: g ← g + l1·sign(w), after clipping.
    """
    length = norm(gradient)
    alive.logical_and_(torch.isfinite(length + loss))
    if clip is not None:
        gradient.mul_(norm_factor(length[:, None], clip))
    if gradient.device.type != "cpu":  # asking whether any is dead would wait for the device
        gradient.masked_fill_(~alive[:, None], 0.0)
    elif not bool(alive.all()):
        gradient[~alive] = 0.0
    if l1 is not None:
        gradient.addcmul_(weights.sign(), l1)


def _one(rows: slice, member: int | None) -> slice:
    """These rows, or the one of a member among them."""
    return rows if member is None else slice(rows.start + member, rows.start + member + 1)


def _prefix(part: int) -> str:
    """What the names of a part's tensors begin with."""
    return "rule." if part == 0 else f"rule@{part}."
