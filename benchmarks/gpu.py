"""On one GPU: a step of 160 members of MLP 64-256-256-10, batch 256, against a step of one member.

Eager, and with the passes recorded as CUDA graphs and replayed. Target: at most 3 times as long.
"""

from collections.abc import Callable

import numpy as np
import torch
from _bench import arguments, machine, missing, ratios, spread, table, tell, timed
from _ours import RULE, SCHEDULE, plan, problem

from tutti.core import Setting
from tutti.training import Population

WIDTHS, BATCH, ROWS, STEPS, MEMBERS = (64, 256, 256, 10), 256, 16_384, 200, 160


def population(members: int, *, graphs: bool, device: torch.device) -> Population:
    """A population that has taken its first steps: its passes are recorded by now."""
    rows = np.random.default_rng(0).normal(size=(ROWS, WIDTHS[0]))
    made, _ = problem(rows, np.arange(ROWS) % WIDTHS[-1], WIDTHS, folds=1)
    how = plan("stacked", steps=10**6, batch=BATCH, threads=1).replace(stack=members, graphs=graphs)
    settings = [Setting(learning_rate=float(rate)) for rate in np.logspace(-3.5, -2.5, members)]
    found = Population(made.to(device), settings, how, RULE, SCHEDULE)
    found.run(10)
    return found


def steps(trained: Population, device: torch.device) -> Callable[[], None]:
    def run() -> None:
        trained.run(trained.step + STEPS)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    return run


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--device", default="cuda", help="another device, to try the script")
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        missing("all of it", "there is no CUDA device")
        return
    ways = {"eager": False, "recorded": True} if device.type == "cuda" else {"eager": False}
    seconds = timed(
        {
            f"{way} {members}": steps(population(members, graphs=graphs, device=device), device)
            for way, graphs in ways.items()
            for members in (1, MEMBERS)
        },
        given.repeats,
    )
    rows = [
        [
            way,
            *(spread([1e3 * s / STEPS for s in seconds[f"{way} {members}"]], "ms") for members in (1, MEMBERS)),
            spread(ratios(seconds[f"{way} {MEMBERS}"], seconds[f"{way} 1"])),
        ]
        for way in ways
    ]
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    tell(
        "gpu",
        f"{MEMBERS} members of MLP {'-'.join(map(str, WIDTHS))} on {where}",
        [
            f"A step of {BATCH} rows, of {STEPS}. Median and range of {given.repeats} interleaved turns. Target: at"
            " most 3 times one member's step.",
            "",
            *table(["", "one member", f"{MEMBERS} members", "as long"], rows),
        ],
        provenance=machine(["tutti", "torch", "numpy"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
