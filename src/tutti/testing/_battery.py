"""What a layer, an update rule and a task have to keep to work in a population."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tutti.core import Layout, Setting, random_keys
from tutti.optim import Rule
from tutti.tasks import Task
from tutti.testing._law import Law, inapplicable, measured, relative
from tutti.training import stacks

MEMBERS = 3


def check_layer(build: Callable[[], nn.Module], inputs: Sequence[Tensor]) -> list[Law]:
    """Measures a layer's rule for the member axis, in float64.

    build: makes one layer. inputs: the arguments of its forward for a single member, floating-point ones are
    differentiated.

    stacked = solo: outputs and gradients of MEMBERS members at once against each alone, to 1e-10. neighbours: a
    member's outputs while the others' weights change, every bit. gradient = finite differences: torch's gradcheck
    of the solo form, in evaluation.
    """
    layers = [build().double() for _ in range(MEMBERS)]
    if not stacks(layers[0]):
        return [
            inapplicable("stacked = solo", "Its class does not say `stacked = True`."),
            _gradient(layers[0], inputs),
        ]
    given = [_spread(x, i) for i, x in enumerate(inputs)]
    return [_together(layers, given), _neighbours(layers, given), _gradient(layers[0], inputs)]


def _spread(x: Tensor, place: int) -> Tensor:
    """[member, …]: the same rows for all, moved a little for each where they are numbers."""
    spread = x.double() if x.is_floating_point() else x
    stacked = spread.expand(MEMBERS, *spread.shape).clone()
    if not x.is_floating_point():
        return stacked
    generator = torch.Generator().manual_seed(place)
    return stacked + 0.1 * torch.randn(stacked.shape, generator=generator, dtype=torch.float64)


def _stack(layers: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers of all layers, by name, with a leading member axis; `constants` without."""
    shared = {
        f"{path}.{leaf}".lstrip(".")
        for path, part in layers[0].named_modules()
        for leaf in getattr(type(part), "constants", ())
    }
    values = [dict(layer.named_parameters()) | dict(layer.named_buffers()) for layer in layers]
    return {k: torch.stack([v[k].detach() for v in values]) for k in values[0] if k not in shared}


def _run(layer: nn.Module, values: dict[str, Tensor], inputs: Sequence[Tensor], keys: Tensor) -> Tensor:
    with random_keys(keys):
        output: Tensor = torch.func.functional_call(layer, values, tuple(inputs))
    return output


def _gradients(output: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    weights = torch.cos(torch.arange(output[0].numel(), dtype=torch.float64)).view(output[0].shape)
    return list(torch.autograd.grad((output * weights).sum(), leaves, materialize_grads=True, allow_unused=True))


def _together(layers: Sequence[nn.Module], inputs: Sequence[Tensor]) -> Law:
    keys = torch.arange(MEMBERS, dtype=torch.int32)
    trained = {name for name, _ in layers[0].named_parameters()}
    stack = {k: v.clone().requires_grad_(k in trained) for k, v in _stack(layers).items()}
    output = _run(layers[0], stack, inputs, keys)
    together = _gradients(output, [stack[k] for k in sorted(trained)])
    error = 0.0
    for member, layer in enumerate(layers):
        values = dict(layer.named_parameters()) | {k: v.clone() for k, v in layer.named_buffers()}
        solo = _run(layer, values, [x[member] for x in inputs], keys[member])
        alone = _gradients(solo[None], [values[k] for k in sorted(trained)])
        pairs = [(solo, output[member]), *((a, t[member]) for a, t in zip(alone, together, strict=True))]
        error = max(error, *(relative(a, b) for a, b in pairs))
    return measured("stacked = solo", error, 1e-10, f"Outputs and gradients of {MEMBERS} members, float64.")


def _neighbours(layers: Sequence[nn.Module], inputs: Sequence[Tensor]) -> Law:
    keys = torch.arange(MEMBERS, dtype=torch.int32)
    with torch.no_grad():
        values = _stack(layers)
        before = _run(layers[0], {k: v.clone() for k, v in values.items()}, inputs, keys)
        for value in values.values():
            value[1:] = value[1:] * 2 + 1 if value.is_floating_point() else value[1:]
        after = _run(layers[0], values, inputs, keys)
    return measured("neighbours", relative(before[0], after[0]), 0.0, "A member while the others' weights change.")


def _gradient(layer: nn.Module, inputs: Sequence[Tensor]) -> Law:
    name = "gradient = finite differences"
    parameters = dict(layer.eval().named_parameters())
    given = [x.double().requires_grad_() if x.is_floating_point() else x for x in (i.clone() for i in inputs)]
    free = [x for x in given if x.requires_grad]

    def function(*numbers: Tensor) -> Tensor:
        values = dict(zip(parameters, numbers[len(free) :], strict=True))
        floats = iter(numbers[: len(free)])
        output: Tensor = torch.func.functional_call(
            layer, values, tuple(next(floats) if x.is_floating_point() else x for x in given)
        )
        return output

    variables = (*free, *(p.detach().clone().requires_grad_() for p in parameters.values()))
    if not variables:
        return inapplicable(name, "Nothing of it can be differentiated.")
    holds = torch.autograd.gradcheck(function, variables, raise_exception=False, fast_mode=True)
    return measured(name, 0.0 if holds else float("inf"), 0.0, "torch's gradcheck in float64, in evaluation.")


def check_optimizer(rule: Rule, *, steps: int = 300, rate: float | None = None) -> list[Law]:
    """Measures an update rule on flat rows of weights.

    neighbours: a member with and without others, every bit. resume = uninterrupted: state and weights copied in the
    middle, every bit. descends: f(w) = ½ Σ c w² with c from 0.1 to 1 falls below a tenth of its start; the error is
    what is left of it. rate: default 0.03 times the rule's own scale.
    """
    scale = 0.03 * rule.usual_rate if rate is None else rate
    layout = Layout.of(nn.Linear(6, 4))
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(MEMBERS, layout.count, dtype=torch.float64)
    start[:, : layout.used] = torch.randn(MEMBERS, layout.used, generator=generator, dtype=torch.float64)
    bowl = _Bowl(rule, layout, scale)
    everyone, alone = bowl.descend(start, 20), bowl.descend(start[:2], 20)
    resumed, last = bowl.descend(start, 20, stop=11), bowl.descend(start, steps)
    left = float((bowl.height(last) / bowl.height(start)).max())
    return [
        measured("neighbours", relative(everyone[:2], alone), 0.0, "Two members with and without a third."),
        measured("resume = uninterrupted", relative(resumed, everyone), 0.0, "Saved after 10 of 20 steps."),
        measured("descends", left, 0.1, f"A bowl after {steps} steps at rate {scale:g}: what is left of its height."),
    ]


class _Bowl:
    """f(w) = ½ Σ c w², c from 0.1 to 1, and a rule that goes down it."""

    def __init__(self, rule: Rule, layout: Layout, rate: float) -> None:
        self.rule, self.layout, self.rate = rule, layout, rate
        self.curvature = torch.linspace(0.1, 1.0, layout.count, dtype=torch.float64)

    def height(self, weights: Tensor) -> Tensor:
        return (0.5 * self.curvature * weights.square()).sum(1)

    def descend(self, start: Tensor, count: int, stop: int = 0) -> Tensor:
        """The weights to be judged after so many steps; before step `stop` the rule is saved and made anew."""
        weights, gradient = start.clone(), torch.empty_like(start)
        settings = [Setting(learning_rate=self.rate)] * len(start)
        rates = torch.full((len(start), 1), self.rate, dtype=torch.float64)
        stepper = self.rule.stepper(weights, self.layout, settings)

        def again(member: int | None = None) -> Tensor:
            torch.mul(weights, self.curvature, out=gradient)
            return self.height(weights)

        for step in range(1, count + 1):
            if step == stop:
                saved, plain = stepper.save()
                kept = {k: v.clone() for k, v in saved.items()}
                stepper = self.rule.stepper(weights, self.layout, settings)
                stepper.load(kept, plain)
            loss = again()
            stepper.move(
                weights,
                gradient,
                step=step,
                rate=rates,
                weight_decay=None,
                momentum=0.9,
                loss=loss,
                again=again,
            )
        own = stepper.evaluated(weights, momentum=0.9)
        return weights if own is None else own


def check_task(task: Task, target: Tensor, output: Tensor) -> list[Law]:
    """Measures a task on encoded targets [rows, …] and network outputs [rows, out].

    stacked = solo: losses of members at once against each alone. gradient = finite differences: of the loss by the
    outputs. probabilities sum to one: for classes that exclude each other.
    """
    outputs = output.double() * torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64).view(-1, 1, 1)
    targets = target.expand(MEMBERS, *target.shape)
    targets = targets.double() if targets.is_floating_point() else targets
    together = task.loss(outputs, targets)
    alone = torch.stack([task.loss(o, t) for o, t in zip(outputs, targets, strict=True)])
    laws = [measured("stacked = solo", relative(together, alone), 1e-12, "Losses of three members.")]
    free = outputs[0].clone().requires_grad_()
    holds = torch.autograd.gradcheck(lambda o: task.loss(o, targets[0]).sum(), (free,), raise_exception=False)
    note = "The loss by the outputs, float64."
    laws.append(measured("gradient = finite differences", 0.0 if holds else float("inf"), 0.0, note))
    if task.kind in ("binary", "multiclass"):
        total = task.predict(outputs).sum(-1)
        error = relative(total, torch.ones_like(total))
        laws.append(measured("probabilities sum to one", error, 1e-12, "Over the classes of each row."))
    return laws
