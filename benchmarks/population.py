"""Many members against the bare loop run as many times.

As it stands: 32 members of MLP 16-64-64-2, batch 64, with the default recipe on (gather, clip, freeze, average,
judge on validation rows). The bare loop only trains. Target: at least 5 times faster.
"""

from dataclasses import dataclass

import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from _loop import train


@dataclass(frozen=True)
class Case:
    """A network, its batches and its data."""

    widths: tuple[int, ...]
    batch: int
    rows: int
    members: int
    epochs: int
    target: float
    with_rungs: bool

    @property
    def steps(self) -> int:
        return self.epochs * self.rows // self.batch


def settings(members: int) -> list[tuple[float, float]]:
    """(learning rate, weight decay) of each member: a grid with four decays."""
    rates = torch.logspace(-3.5, -1.5, members // 4).tolist()
    return [(rate, decay) for rate in rates for decay in (0.0, 0.01, 0.1, 1.0)]


def data(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose class depends on products of features: a line does not part them."""
    torch.manual_seed(0)
    x = torch.randn(case.rows, case.widths[0])
    logits = (x[:, : case.widths[-1]] * x[:, 1 : case.widths[-1] + 1]) + 0.1 * torch.randn(case.rows, case.widths[-1])
    return x, logits.argmax(1)


def measure(case: Case, name: str, repeats: int, threads: int, write: bool) -> None:
    from _ours import plan, problem, search
    from _ours import rungs as default_rungs

    from tutti.core import Setting

    torch.set_num_threads(threads)
    x, y = data(case)
    grid = settings(case.members)
    made, judge = problem(x.numpy(), y.numpy(), case.widths, folds=1)
    ours = [Setting(learning_rate=rate, weight_decay=decay) for rate, decay in grid]
    best: dict[str, float] = {}

    def bare() -> None:
        for rate, decay in grid:
            train(x, y, case.widths, steps=case.steps, batch=case.batch, rate=rate, decay=decay)

    def stacked(rungs: bool) -> None:
        drops = default_rungs(len(ours), case.steps) if rungs else ()
        how = plan("stacked", steps=case.steps, batch=case.batch, threads=threads, rungs=drops)
        found = search(made, judge, ours, how).best
        best[f"tutti, rungs {rungs}"] = found.point.score if found else float("nan")

    contenders = {"bare loop, one after another": bare, "tutti, all to the end": lambda: stacked(False)}
    if case.with_rungs:
        contenders["tutti, with rungs"] = lambda: stacked(True)
    seconds = timed(contenders, repeats)
    loop = seconds["bare loop, one after another"]
    rows = [[who, spread(took, "s"), spread(ratios(loop, took))] for who, took in seconds.items()]
    shape = "-".join(map(str, case.widths))
    tell(
        name,
        f"{case.members} members of MLP {shape}, batch {case.batch}",
        [
            f"{case.steps:,} steps each on {case.rows:,} rows. tutti also averages weights and judges every member"
            f" {16} times. Median and range of {repeats} interleaved turns. Target: {case.target:g} times as fast.",
            "",
            *table(["", "all members", "times as fast"], rows),
            "",
            "Best training accuracy: " + ", ".join(f"{who} {value:.4f}" for who, value in best.items()) + ".",
        ],
        provenance=machine(["tutti", "torch", "numpy"], threads),
        write=write,
    )


def main() -> None:
    given = arguments(__doc__ or "").parse_args()
    case = Case(widths=(16, 64, 64, 2), batch=64, rows=4096, members=32, epochs=5, target=5, with_rungs=False)
    measure(case, "population", given.repeats, given.threads, given.write)


if __name__ == "__main__":
    main()
