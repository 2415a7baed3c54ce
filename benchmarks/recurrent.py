"""A stack of recurrent networks against torch's own, one after another; and one member against one.

Forward over T = 50 steps, the mean square of all outputs as the loss, backward, and fused Adam: over all members'
weights in one flat tensor on our side, per network on torch's. 8 members, 12 inputs, hidden 32. Targets: GRU at
least 3 times as fast; one member at most 1.05 of torch's module.
"""

import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from torch import Tensor

from tutti import nn
from tutti.core import Layout, keep_memory

STEPS, INPUTS, HIDDEN, MEMBERS = 50, 12, 32, 8
KINDS = {"GRU": (nn.GRU, torch.nn.GRU), "LSTM": (nn.LSTM, torch.nn.LSTM), "Elman": (nn.Elman, torch.nn.RNN)}


class Bare:
    """Torch's modules, each with its own optimiser; they train one after another."""

    def __init__(self, module: type[torch.nn.Module], members: int) -> None:
        torch.manual_seed(0)
        self.modules = [module(INPUTS, HIDDEN, batch_first=True) for _ in range(members)]
        self.rules = [torch.optim.Adam(m.parameters(), fused=True) for m in self.modules]

    def step(self, x: Tensor) -> None:
        for member, (module, rule) in enumerate(zip(self.modules, self.rules, strict=True)):
            loss = module(x[member])[0].square().mean()
            rule.zero_grad()
            loss.backward()
            rule.step()


class Ours:
    """One stack, or one plain layer, its weights in one flat tensor."""

    def __init__(self, layer: torch.nn.Module, like: Bare, *, stacked: bool) -> None:
        self.layer, self.stacked = layer, stacked
        layout = Layout.of(layer)
        rows = [layout.flatten(dict(m.named_parameters())) for m in like.modules]
        self.weights = torch.stack(rows) if stacked else rows[0]
        self.weights.grad = torch.zeros_like(self.weights)
        views = layout.views(self.weights.detach())
        self.leaves = {name: view.detach().requires_grad_() for name, view in views.items()}
        self.layer._parameters.update(self.leaves)
        self.padding = self.weights.new_zeros(*self.weights.shape[:-1], layout.count - layout.used)
        self.rule = torch.optim.Adam([self.weights], fused=True)

    def step(self, x: Tensor) -> None:
        loss = self.layer(x if self.stacked else x[0])[0].square().flatten(int(self.stacked)).mean(-1).sum()
        grads = torch.autograd.grad(loss, list(self.leaves.values()))
        lead = self.weights.shape[:-1]
        torch.cat([*(g.reshape(*lead, -1) for g in grads), self.padding], -1, out=self.weights.grad)
        self.rule.step()


def differ(ours: Ours, bare: Bare) -> float:
    """The largest difference of any weight: both sides have taken the same steps."""
    theirs = torch.stack([Layout.of(m).flatten(dict(m.named_parameters())) for m in bare.modules])
    return (ours.weights - theirs[: 1 if ours.weights.ndim == 1 else None]).abs().max().item()


def measure(kind: str, batch: int, repeats: int, steps: int) -> tuple[list[str], list[str], float]:
    ours, theirs = KINDS[kind]
    bare, alone = Bare(theirs, MEMBERS), Bare(theirs, 1)
    stack = Ours(ours(INPUTS, HIDDEN), bare, stacked=True)
    solo = Ours(ours(INPUTS, HIDDEN), alone, stacked=False)
    x = torch.randn(MEMBERS, batch, STEPS, INPUTS, generator=torch.Generator().manual_seed(1))

    def many(side: Bare | Ours) -> None:
        for _ in range(steps):
            side.step(x)

    contenders = {"loop": bare, "stack": stack, "bare": alone, "solo": solo}
    took = timed({name: (lambda side=side: many(side)) for name, side in contenders.items()}, repeats)
    ms = {name: [1e3 * t / steps for t in times] for name, times in took.items()}
    head = [kind, str(batch)]
    return (
        [*head, spread(ms["loop"], "ms"), spread(ms["stack"], "ms"), spread(ratios(ms["loop"], ms["stack"]))],
        [*head, spread(ms["bare"], "ms"), spread(ms["solo"], "ms"), spread(ratios(ms["solo"], ms["bare"]))],
        max(differ(stack, bare), differ(solo, alone)),
    )


def main() -> None:
    keep_memory()  # as a population does
    parser = arguments(__doc__ or "", repeats=9)
    parser.add_argument("--steps", type=int, default=10, help="steps in a turn")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = [measure(k, b, given.repeats, given.steps) for k in given.kinds for b in given.batches]
    many, one, apart = zip(*rows, strict=True)
    tell(
        f"recurrent_{given.threads}",
        f"Recurrent layers, 8 members, T = 50, hidden 32, {given.threads} threads",
        [
            f"Forward, backward and fused Adam. Median and range of {given.repeats} interleaved turns of"
            f" {given.steps} steps. Target: GRU at least 3 times as fast as torch.nn.GRU one after another;"
            " one member at most 1.05 of torch's time.",
            "",
            *table(["", "batch", "torch, 8 in turn", "tutti, one stack", "times as fast"], many),
            "",
            *table(["one member", "batch", "torch", "tutti", "of torch's time"], one),
            "",
            f"After all steps no weight of the two sides differs by more than {max(apart):.1g}.",
        ],
        provenance=machine(["tutti", "torch"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
