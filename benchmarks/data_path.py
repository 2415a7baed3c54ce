"""What the way of the data costs: a step with its rows gathered, read from disk or held ready.

The same population trains on batches that are gathered in memory, read from an .npy file by a thread, and on one
batch that lies ready at every step. Target: at most 1.05 of the step without data.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from _ours import RULE, SCHEDULE, plan, problem

from tutti.core import Setting
from tutti.data import MappedRows
from tutti.training import Population, Problem

CASES = ((1, (784, 256, 10), 128), (8, (784, 256, 10), 128), (1, (16, 64, 64, 2), 64), (32, (16, 64, 64, 2), 64))
ROWS = 20_000


def ready(population: Population) -> None:
    """Makes a population train on its first batch again and again, without the way of the data."""
    batch = next(population.program.batches(0, 1))

    def same(first: int, last: int, *_: object) -> Iterator[object]:
        return (batch for _ in range(first, last))

    population.program.batches = same  # type: ignore[method-assign,assignment]


def trained(made: Problem, members: int, batch: int, steps: int, threads: int) -> Population:
    settings = [Setting(learning_rate=1e-4 * (1 + i / members)) for i in range(members)]
    how = plan("stacked" if members > 1 else "looped", steps=10**6, batch=batch, threads=threads)
    population = Population(made, settings, how, RULE, SCHEDULE)
    population.run(steps)
    return population


def measure(folder: Path, members: int, widths: tuple[int, ...], batch: int, repeats: int, threads: int) -> list[str]:
    steps = 400 if members == 1 else 100
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, widths[0])).astype(np.float32)
    y = generator.integers(widths[-1], size=ROWS)
    memory, _ = problem(x, y, widths, folds=1)
    path = folder / f"{widths[0]}.npy"
    np.save(path, x)
    disk = Problem(
        inputs=(MappedRows(path),),
        target=memory.target,
        streams=memory.streams,
        build=memory.build,
        loss=memory.loss,
    )
    three = [trained(made, members, batch, 2, threads) for made in (memory, disk, memory)]
    ready(three[2])

    def on(population: Population) -> Callable[[], object]:
        return lambda: population.run(population.step + steps)

    seconds = timed(dict(zip(("memory", "disk", "ready"), map(on, three), strict=True)), repeats)
    step = [s / steps * 1e3 for s in seconds["ready"]]
    name = f"{members} member{'s' * (members > 1)} of {'-'.join(map(str, widths))}, batch {batch}"
    shares = [spread(ratios(seconds[way], seconds["ready"])) for way in ("memory", "disk")]
    return [name, spread(step, "ms"), *shares]


def main() -> None:
    parser = arguments(__doc__ or "", repeats=9)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(Path(folder), *case, given.repeats, given.threads) for case in CASES]
    tell(
        "data_path",
        "The way of the data",
        [
            f"{ROWS:,} rows; the file is cached by the system. Median and range of {given.repeats} turns."
            " Target: at most 1.05 of a step whose batch lies ready.",
            "",
            *table(["", "step, batch ready", "gathered in memory", "read from an .npy file"], rows),
        ],
        provenance=machine(["tutti", "torch", "numpy"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
