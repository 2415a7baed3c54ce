"""Forecasts: the error of the defaults on ETTh1 (standard split) and airline passengers, and the time of a step.

ETTh1: 12, 4 and 4 months of hours train, validate and test; all 7 channels, 96 hours ahead from 336, standardised by
the training months, mean square error over 2,785 test windows: at most 0.386 (the papers: DLinear 0.375, PatchTST
0.370). Airline passengers: 12 months ahead from the last part of the series, in thousands.

Step: one member of our engine against a torch loop that does the same (clipping, fused AdamW) and is fed by a
DataLoader over a Dataset of windows, as in the papers' code; equal networks, batch 32. At most 1.0.
"""

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import tutti
from tutti import data, models
from tutti.core import Setting
from tutti.learn import Model
from tutti.optim import AdamW, Constant
from tutti.tasks import Affine, infer
from tutti.training import Plan, Population, Problem, Stream

PARTS = (8640, 2880, 2880)
ETT: dict[str, Any] = {"time": "date", "forecast": "all", "horizon": 96, "window": 336, "parts": PARTS}
STEP_MODELS: tuple[tuple[models.SeriesModel, int], ...] = (
    (models.SeriesLinear(), 60),
    (models.SeriesDLinear(), 60),
    (models.SeriesMLP(), 40),
    (models.SeriesGRU(), 10),
    (models.SeriesLSTM(), 10),
    (models.SeriesTCN(), 2),
    (models.SeriesTransformer(), 2),
)
BATCH = 32


def standardised(model: Model, units: np.ndarray, source: Path) -> tuple[float, float]:
    """MSE and MAE on the test windows in the units of the training months."""
    read = data.read(source, time="date", reading=data.Reading(**{k: v for k, v in ETT.items() if k != "time"}))
    assert read.test is not None
    assert read.target is not None
    error = (model.predictor.on(read.take(read.test)) - read.target[read.test]).reshape(-1, 96, 7) / units
    return float(np.square(error).mean()), float(np.abs(error).mean())


def figures(folder: Path, budget: float, names: list[str | None]) -> list[str]:
    """The networks on ETTh1, and the default on airline passengers, beside the baselines."""
    source = folder / "ett" / "ETTh1.csv"
    columns = np.genfromtxt(source, delimiter=",", skip_header=1)[: PARTS[0], 1:]
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            kept = {} if name is None else {"model": name, "baselines": False, "setting": {"dropout": 0.3}}
            model = tutti.fit(source, **ETT, **kept, budget=budget, out=Path(place) / "run")
            mse, mae = standardised(model, columns.std(axis=0), source)
        rows.append([name or "default", f"{mse:.4f}", f"{mae:.4f}", f"{model.result['seconds']:.0f}"])
        if name is None:
            verdict = model.result["verdict"]
            scores = {b["name"]: b["value"] for b in model.result["baselines"]}
            own = model.result["test"]["value"]
    lines = table(["ETTh1, 96 ahead", "MSE", "MAE", "seconds"], rows)
    lines += ["", f"R² over the outputs in raw units: ours {own:.3f}; {_listed(scores)}. {verdict}", ""]
    with tempfile.TemporaryDirectory() as place:
        options = {"time": "Month", "forecast": "Passengers", "horizon": 12, "budget": 60}
        model = tutti.fit(folder / "airline-passengers.csv", **options, out=Path(place) / "run")
    scores = {b["name"]: b["value"] for b in model.result["baselines"]}
    test = model.result["test"]
    lines += [
        f"Airline passengers, 12 months ahead, RMSE on {test['n']} windows: {test['value']:.1f} [{test['low']:.1f}, "
        f"{test['high']:.1f}]; {_listed(scores)}. {model.result['verdict']}"
    ]
    return lines


def _listed(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in scores.items())


class WindowSet(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Windows and their futures, one by one, from standardised steps [step, channel]."""

    def __init__(self, steps: torch.Tensor, rows: int) -> None:
        self.steps, self.rows = steps, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.steps[row : row + 336], self.steps[row + 336 : row + 336 + 96]


def times(folder: Path, repeats: int, threads: int) -> list[str]:
    """Training steps of one member against the loop, network by network."""
    reading = data.Reading(**{k: v for k, v in ETT.items() if k != "time"})
    read = data.read(folder / "ett" / "ETTh1.csv", time="date", reading=reading)
    sample = read.sample
    assert isinstance(sample, data.Series)
    assert read.target is not None
    assert read.validation is not None
    train = np.arange(read.validation[0])
    task = infer(read.target, list(sample.names), "forecast")
    affine = Affine.fit(read.target[train])
    own = affine.standardise(torch.from_numpy(task.encode(read.target)))
    steps = torch.from_numpy(sample.values)
    steps = (steps - steps[: PARTS[0]].mean(0)) / steps[: PARTS[0]].std(0)
    waves = torch.zeros(BATCH, sample.shape.calendar)
    rows = []
    for config, count in STEP_MODELS:

        def build(config: models.SeriesModel = config) -> torch.nn.Module:
            return config.build(sample.shape, task.outputs)

        fitted = sample.fit(build(), train)
        stream = Stream(seed=0, fold=0, train=train, validation=read.validation, buffers=fitted, target=own)
        problem = Problem(
            inputs=sample.inputs(),
            target=torch.from_numpy(read.target),
            streams=(stream,),
            build=build,
            loss=task.loss,
        )
        how = Plan(executor="looped", horizon=10**6, segment=count, batch_size=BATCH, threads=threads)
        population = Population(problem, [Setting(learning_rate=1e-3)], how, AdamW(), Constant())
        network = build().train()
        rule = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        loader = DataLoader(WindowSet(steps, len(train)), batch_size=BATCH, shuffle=True, drop_last=True)
        batches = itertools.chain.from_iterable(itertools.repeat(loader))

        def loop(network: Any = network, rule: Any = rule, batches: Any = batches, count: int = count) -> None:
            for past, future in itertools.islice(batches, count):
                loss = functional.mse_loss(network(past, waves), future.flatten(1))
                rule.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                rule.step()

        def ours(population: Any = population, count: int = count) -> None:
            population.run(population.step + count)

        found = timed({"ours": ours, "loop": loop}, repeats)
        rows.append(
            [
                config.name,
                spread([1e3 * s / count for s in found["ours"]], "ms"),
                spread([1e3 * s / count for s in found["loop"]], "ms"),
                spread(ratios(found["ours"], found["loop"])),
            ]
        )
    return table(["step", "ours", "torch loop with DataLoader", "ratio"], rows)


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/series"), help="the folder of series")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of a fit on ETTh1")
    parser.add_argument("--models", nargs="*", default=[], help="networks beside the default on ETTh1")
    parser.add_argument("--only", choices=("figures", "times"), help="one half alone")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lines: list[str] = []
    if given.only != "times":
        lines += [*figures(given.data, given.budget, [None, *given.models]), ""]
    if given.only != "figures":
        lines += times(given.data, given.repeats, given.threads)
    about = machine(("tutti", "torch", "numpy"), given.threads)
    tell("forecasting", "Forecasts", lines, provenance=about, write=given.write)


if __name__ == "__main__":
    main()
