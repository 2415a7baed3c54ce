"""One step of an update rule for a whole population, against the rule's own package in a loop over the members.

32 members of 16-64-64-2. Gradients are given, so that the rule alone is timed; each side starts from a copy of them.
"""

import warnings
from collections.abc import Callable
from itertools import pairwise

import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from torch import Tensor, nn

from tutti import optim
from tutti.core import Layout

WIDTHS, MEMBERS = (16, 64, 64, 2), 32
SHAPES = {
    f"{i}.{kind}": shape
    for i, (a, b) in enumerate(pairwise(WIDTHS))
    for kind, shape in (("weight", (b, a)), ("bias", (b,)))
}
LAYOUT = Layout.of_tensors({name: torch.zeros(shape) for name, shape in SHAPES.items()})
Run = Callable[[], object]
Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def stacked(rule: optim.Rule, gradients: Tensor, steps: int) -> Run:
    """`steps` steps of all members at once, going on where the last run ended."""
    weights, rate = torch.randn(MEMBERS, LAYOUT.count), torch.full((MEMBERS, 1), 1e-3)
    stepper, done, loss = optim.Stepper(rule.bind(LAYOUT), weights), [0], torch.ones(MEMBERS)

    @torch.no_grad()
    def run() -> None:
        for _ in range(steps):
            done[0] += 1
            stepper.move(
                weights,
                gradients.clone(),
                step=done[0],
                rate=rate,
                weight_decay=None,
                momentum=0.9,
                loss=loss,
                again=lambda: loss,
            )

    return run


def looped(make: Make, gradients: Tensor, steps: int) -> Run:
    """The same by one optimiser for each member."""
    parameters = [[nn.Parameter(torch.randn(s)) for s in SHAPES.values()] for _ in range(MEMBERS)]
    members = [(own, make(own), list(LAYOUT.views(g).values())) for own, g in zip(parameters, gradients, strict=True)]

    def run() -> None:
        for _ in range(steps):
            for own, optimizer, slopes in members:
                for parameter, slope in zip(own, slopes, strict=True):
                    parameter.grad = slope.clone()
                optimizer.step()

    return run


def rules() -> dict[str, tuple[optim.Rule, Make]]:
    """Rule by rule: ours, and what makes the peer's."""
    import pytorch_optimizer as po

    def muon(p: list[nn.Parameter]) -> torch.optim.Optimizer:
        hidden = [p[0], p[2]]
        rest = [q for q in p if all(q is not h for h in hidden)]
        return po.Muon([{"params": hidden, "use_muon": True}, {"params": rest, "use_muon": False}])

    return {
        "adamw (torch, fused)": (optim.AdamW(), lambda p: torch.optim.AdamW(p, fused=True)),
        "adafactor (torch)": (optim.Adafactor(), torch.optim.Adafactor),
        "lion": (optim.Lion(), po.Lion),
        "ademamix": (optim.AdEMAMix(), po.AdEMAMix),
        "lamb": (optim.LAMB(), po.Lamb),
        "prodigy": (optim.Prodigy(), po.Prodigy),
        "schedulefree_adamw": (optim.ScheduleFreeAdamW(), po.ScheduleFreeAdamW),
        "lookahead around adamw": (optim.Lookahead(), lambda p: po.Lookahead(torch.optim.AdamW(p))),
        "muon": (optim.Muon(), muon),
        "soap": (optim.SOAP(), po.SOAP),
        "shampoo (scalable)": (
            optim.Shampoo(),
            lambda p: po.ScalableShampoo(p, preconditioning_compute_steps=10),
        ),
    }


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--steps", type=int, default=20, help="steps in a turn")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    gradients = torch.randn(MEMBERS, LAYOUT.count)
    rows = []
    for name, (rule, make) in rules().items():
        contenders = {"ours": stacked(rule, gradients, given.steps), "theirs": looped(make, gradients, given.steps)}
        seconds = timed(contenders, given.repeats)
        steps = {who: spread([1e6 * s / given.steps for s in took], "µs") for who, took in seconds.items()}
        rows.append([name, steps["ours"], steps["theirs"], spread(ratios(seconds["theirs"], seconds["ours"]))])
    tell(
        "optimizers",
        f"A step of the update rule, {MEMBERS} members of {'-'.join(map(str, WIDTHS))}",
        [
            f"The rule alone, gradients given. Median and range of {given.repeats} interleaved turns of"
            f" {given.steps} steps. The loop is pytorch-optimizer's class where torch is not named.",
            "",
            *table(["rule", "all members at once", "one after another", "times as fast"], rows),
        ],
        provenance=machine(["tutti", "torch", "pytorch-optimizer"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
