"""Why a member died: the segment is replayed up to its last step, which is then looked at layer by layer."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti.core import Setting, penalties, random_keys

Place = Literal["input", "target", "output", "loss", "gradient", "nowhere"]

RISING = 10.0  # a loss that has grown by this factor since the segment began is running away
HUGE = 1e4  # weights of this size do not come from data on a usual scale


@dataclass(frozen=True, kw_only=True)
class Autopsy:
    """What a replay of a diverged member's segment showed.

    step: the step (from 0) whose loss or gradient was not finite; its update was not made. place: what was not
    finite first, in the order input, target, a layer's output, loss, a parameter's gradient; `layer` names the
    layer or parameter ("" where there is none). losses: the member's mean training losses of the steps before.
    cause: one plain sentence with the likely cause and the remedy.
    """

    setting: Setting
    stream: int
    step: int
    place: Place
    layer: str
    losses: tuple[float, ...]
    largest_weight: float
    cause: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "setting": self.setting.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Autopsy":
        setting, losses = Setting.from_json(data["setting"]), tuple(data["losses"])
        return cls(**{**data, "setting": setting, "losses": losses})


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The last step of a member: its network before it, its batch, and the losses that led to it."""

    body: nn.Module
    inputs: tuple[Tensor, ...]
    target: Tensor
    loss: Callable[..., Tensor]
    key: Tensor
    losses: tuple[float, ...]
    weights: Float[Tensor, " weights"]


def examine(scene: Scene, setting: Setting, stream: int, step: int) -> Autopsy:
    """Finds what was not finite first, and says why in plain words."""
    place, layer, seen = _first_bad(scene)
    largest = float(scene.weights.abs().max())
    return Autopsy(
        setting=setting,
        stream=stream,
        step=step,
        place=place,
        layer=layer,
        losses=scene.losses,
        largest_weight=largest,
        cause=_cause(place, layer, seen, scene.losses, largest, setting),
    )


def _first_bad(scene: Scene) -> tuple[Place, str, float]:
    """What is not finite first, which layer it belongs to, and the largest finite number that went into it."""
    given: tuple[tuple[Place, tuple[Tensor, ...]], ...] = (("input", scene.inputs), ("target", (scene.target,)))
    for place, tensors in given:
        if not all(_finite(t) for t in tensors):
            return place, "", 0.0
    bad: list[tuple[str, float]] = []

    def look(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            outputs = made if isinstance(made, tuple) else (made,)
            if not bad and not all(_finite(t) for t in outputs):
                bad.append((name, max((float(t.detach().abs().max()) for t in given if _floats(t)), default=0.0)))

        return hook

    leaves = [(n, m) for n, m in scene.body.named_modules() if not any(True for _ in m.children())]
    hooks = [module.register_forward_hook(look(name)) for name, module in leaves]
    try:
        with penalties() as extra, random_keys(scene.key):
            output = scene.body(*scene.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if bad:
        return "output", bad[0][0] or type(scene.body).__name__, bad[0][1]
    if not _finite(output):
        return "output", type(scene.body).__name__, 0.0
    loss = scene.loss(output, scene.target) + sum(extra)
    if not _finite(loss):
        return "loss", "", float(output.detach().abs().max())
    return _first_bad_gradient(scene, loss, float(output.detach().abs().max()))


def _first_bad_gradient(scene: Scene, loss: Tensor, largest: float) -> tuple[Place, str, float]:
    """The gradient flows backwards: the last parameter whose gradient is not finite met it first."""
    named = {name: p for name, p in scene.body.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    spoilt = [n for n, g in zip(named, gradients, strict=True) if g is not None and not _finite(g)]
    if spoilt:
        return "gradient", spoilt[-1], largest
    square = sum(float(g.double().pow(2).sum()) for g in gradients if g is not None)
    too_long = square > float(torch.finfo(scene.weights.dtype).max)
    return ("gradient", "its norm", largest) if too_long else ("nowhere", "", largest)


def _floats(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and x.numel() > 0


def _finite(x: object) -> bool:
    return not (isinstance(x, Tensor) and _floats(x)) or bool(torch.isfinite(x).all())


def _cause(place: Place, layer: str, seen: float, losses: tuple[float, ...], largest: float, setting: Setting) -> str:
    if place == "input":
        return "The batch holds a number that is not finite: clean or fill that column."
    if place == "target":
        return "The batch holds a target that is not finite: clean the target column."
    rose = len(losses) > 1 and losses[-1] > RISING * max(min(losses), 1e-12)
    where = {"output": f"layer {layer!r} overflowed", "loss": "the loss overflowed"}.get(
        place, f"the gradient of {layer!r} overflowed" if layer else "nothing"
    )
    if rose or largest > HUGE:
        grew = f"the loss had grown from {min(losses):.3g} to {losses[-1]:.3g} and " if rose else ""
        return (
            f"The learning rate {setting.learning_rate:g} is too high: {grew}the largest weight had reached "
            f"{largest:.3g} when {where}. Lower the rate, or clip the gradient."
        )
    if place == "output":
        return (
            f"Layer {layer!r} turned finite numbers (the largest {seen:.3g}) into one that is not: a logarithm or a "
            "root of zero, a division by zero, or an exponential of a large number. Add an epsilon there."
        )
    if place == "loss":
        return (
            f"The loss is not finite on finite outputs (the largest {seen:.3g}): a logarithm of zero. "
            "Compute it from logits."
        )
    if place == "gradient":
        return (
            f"The loss is finite, but the gradient of {layer!r} is not: the derivative of a root or a norm at "
            "zero, or a division by a very small number. Add an epsilon there."
        )
    return "Its last step was finite when it was computed again: it stood at the edge of overflow. Lower the rate."
