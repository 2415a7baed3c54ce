"""The shared tables, at equal time: tutti's default fit against boosted trees and the best published networks.

For each table and outer split tutti is fitted with its defaults (no baselines), and the seconds that it took are
what each peer may use for its tuning; beside it each peer untuned. All see the same training rows and answer
for the same test rows. Predictions are kept in a folder, so that a long run can be stopped and gone on with.
Target: mean rank first or second, and never slower than RealMLP with the same folds.
"""

import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _bench import arguments, machine, spread, table, tell
from _peers import PEERS, Task, package, present, tune
from _tables import DEVELOP, REPORT, Table, load

OURS = "tutti"
SMALL = 5000  # rows below which a table has several outer splits


def ours(data: Table, train: np.ndarray, test: np.ndarray, seed: int, budget: str | None) -> tuple[np.ndarray, dict]:
    """Predictions of the default fit for the test rows, and its settings."""
    import tutti

    frame = data.features.copy()
    frame["the target"] = data.target if data.kind == "regression" else [f"c{k:03d}" for k in data.target]
    kind = "regression" if data.kind == "regression" else "binary" if data.classes == 2 else "multiclass"
    with tempfile.TemporaryDirectory() as folder:
        model = tutti.fit(
            frame.iloc[train].reset_index(drop=True),
            target="the target",
            task=kind,
            test_size=0,
            seed=seed,
            baselines=False,
            budget=budget,
            out=str(Path(folder, "run")),
        )
    rows = data.features.iloc[test].reset_index(drop=True)
    if data.kind == "regression":
        return model.predict(rows), model.result["best"]
    known = [int(name[1:]) for name in model.classes_]
    answers = np.zeros((len(rows), data.classes))
    answers[:, known] = model.predict_proba(rows)
    return answers, model.result["best"]


class Answers:
    """The folder of predictions: one file per table, split and contender.

    Each contender runs in a process of its own, so that it can be ended at its limit of time; the clock runs from
    the first row to the last prediction, imports not included.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder, self.limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, split: int, who: str, work: Callable[..., None], *given: object) -> float:
        """Seconds of a contender, worked out now unless they are known; NaN where it did not finish."""
        path = self._path(name, split, who)
        if not path.exists():
            process = get_context("spawn").Process(target=work, args=(path, *given))
            process.start()
            process.join(self.limit)
            if process.is_alive():
                process.kill()
                process.join()
                np.savez(path, prediction=np.zeros(0), seconds=np.nan, note=f"not finished in {self.limit:.0f} s")
            elif not path.exists():
                raise SystemExit(f"{name} {split} {who} failed; see above.")
            found = np.load(path, allow_pickle=False)
            print(f"{name} {split} {who}: {found['seconds']:.1f} s, {found['note']}", flush=True)
        return float(np.load(path, allow_pickle=False)["seconds"])

    def prediction(self, name: str, split: int, who: str) -> np.ndarray:
        return np.load(self._path(name, split, who), allow_pickle=False)["prediction"]

    def _path(self, name: str, split: int, who: str) -> Path:
        return self.folder / f"{name}-{split}-{who.replace(', ', '-')}.npz"


def work_ours(path: Path, data: Table, train: np.ndarray, test: np.ndarray, given: Namespace) -> None:
    import tutti

    torch.set_num_threads(given.threads)
    _ = tutti.fit  # imports all of it
    began = time.perf_counter()
    prediction, best = ours(data, train, test, given.seed, given.budget)
    note = f"learning rate {best['learning_rate']:.2g}, weight decay {best['weight_decay']:.2g}"
    np.savez(path, prediction=prediction, seconds=time.perf_counter() - began, note=note)


def work_peer(path: Path, name: str, task: Task, x: pd.DataFrame, seconds: float | None) -> None:
    """A peer by its name: untuned, or tuned within so many seconds."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(task.threads)
    (peer,) = (peer for peer in PEERS if peer.name == name)
    import_module(package(peer))
    began = time.perf_counter()
    predict, note = (peer.plain(task), "untuned") if seconds is None else tune(peer, task, seconds)
    prediction = predict(x)
    np.savez(path, prediction=prediction, seconds=time.perf_counter() - began, note=str(note))


def run(
    data: Table, split: int, train: np.ndarray, test: np.ndarray, answers: Answers, given: Namespace
) -> dict[str, float]:
    """Seconds of every contender on one outer split."""
    task = Task(data.features.iloc[train], data.target[train], data.kind, data.classes, given.threads, given.seed)
    x = data.features.iloc[test]
    seconds = {OURS: answers.get(data.name, split, OURS, work_ours, data, train, test, given)}
    for peer in present():
        if given.peers and peer.name not in given.peers:
            continue
        seconds[peer.name] = answers.get(data.name, split, peer.name, work_peer, peer.name, task, x, None)
        spared = given.untuned is not None and (not given.untuned or peer.name in given.untuned)
        if not spared and np.isfinite(seconds[peer.name]):
            who = f"{peer.name}, tuned"
            seconds[who] = answers.get(data.name, split, who, work_peer, peer.name, task, x, seconds[OURS])
    return seconds


def judged(data: Table, splits: list, answers: Answers, names: list[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Each contender's score over the pooled test rows, and our paired difference to it with its interval.

    Where test sets overlap (those that a table comes with may), a row is one resampling unit.
    """
    from tutti.metrics import METRICS, paired_difference

    metric = "rmse" if data.kind == "regression" else "accuracy"
    rows = np.concatenate([test for _, test in splits])
    target = data.target[rows][:, None].astype(np.float64) if data.kind == "regression" else data.target[rows]

    def pooled(who: str) -> np.ndarray:
        parts = np.concatenate([answers.prediction(data.name, i, who) for i in range(len(splits))])
        return parts.reshape(len(rows), -1).astype(np.float64)

    mine = pooled(OURS)
    scores, differences = {}, {}
    for who in names:
        if not all(len(answers.prediction(data.name, i, who)) for i in range(len(splits))):
            scores[who] = float("inf") if data.kind == "regression" else float("-inf")
            continue
        scores[who] = METRICS[metric].function(target, pooled(who))
        if who != OURS:
            found = paired_difference(metric, target, mine, pooled(who), units=rows)
            differences[who] = f"{found.value:+.3g} ({found.low:+.3g} to {found.high:+.3g})"
    return scores, differences


def ranks(scores: dict[str, float], lower_is_better: bool) -> dict[str, float]:
    """1 for the best; equal scores share their mean rank."""
    from scipy.stats import rankdata

    values = np.array(list(scores.values())) * (1 if lower_is_better else -1)
    return dict(zip(scores, rankdata(np.round(values, 10)), strict=True))


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--tables", nargs="*", help="names of tables; the half that is reported by default")
    parser.add_argument("--develop", action="store_true", help="the half on which defaults are chosen")
    parser.add_argument("--peers", nargs="*", help="names of peers; all that are installed by default")
    parser.add_argument("--untuned", nargs="*", help="peers that are not tuned; without names none is")
    parser.add_argument("--splits", type=int, default=3, help="outer splits of a small table, at most 5")
    parser.add_argument("--budget", help="tutti's --budget, such as 60s; none by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a contender is ended")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir(), "tutti-tables"), help="of predictions"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(given.threads)
    answers = Answers(given.folder, given.limit)
    rows, all_ranks, all_seconds = [], [], []
    for name in given.tables or (DEVELOP if given.develop else REPORT):
        data = load(name)
        splits = data.splits(given.splits if len(data.target) < SMALL else 1)
        seconds = [run(data, i, train, test, answers, given) for i, (train, test) in enumerate(splits)]
        names = [who for who in seconds[0] if all(who in other for other in seconds)]
        scores, differences = judged(data, splits, answers, names)
        rows += [
            [name, who, f"{scores[who]:.4g}", differences.get(who, ""), f"{np.mean([s[who] for s in seconds]):.1f}"]
            for who in names
        ]
        all_ranks.append(ranks(scores, data.kind == "regression"))
        all_seconds += seconds
    names = [who for who in all_ranks[0] if all(who in other for other in all_ranks)]
    summary = sorted(
        [f"{np.mean([r[who] for r in all_ranks]):.2f}", who, spread([s[who] for s in all_seconds], "s")]
        for who in names
    )
    tell(
        "tables-develop" if given.develop else "tables",
        f"Shared tables, {'the half for choosing defaults' if given.develop else 'the half that is reported'}",
        [
            "Accuracy (higher is better) or RMSE (lower is better) on test rows; the difference is tutti's less the"
            " peer's, paired, with its 95 % interval. Seconds are means over outer splits.",
            "",
            *table(["mean rank", "", "seconds, median and range"], summary),
            "",
            *table(["table", "", "score", "tutti less it", "seconds"], rows),
        ],
        provenance=machine(
            ["tutti", "torch", "numpy", "scikit-learn", "lightgbm", "catboost", "pytabkit"], given.threads
        ),
        write=given.write,
    )


if __name__ == "__main__":
    main()
