"""`tutti.fit`: from a source to a judged and saved model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tutti.core import InputError, Interrupted, Observer
from tutti.learn._assess import Assessment, assess, run_baselines
from tutti.learn._declare import Declared, declare
from tutti.learn._folder import BASELINES, write_declared, write_plan
from tutti.learn._follow import follow, tell
from tutti.learn._model import Model
from tutti.learn._options import Options
from tutti.learn._progress import PATIENCE, Clock
from tutti.learn._train import Outcome, Told, Training
from tutti.report import write_report
from tutti.runs import Run, environment, refuse_taken
from tutti.search import Search
from tutti.training import Ranks, join_ranks


def fit(
    source: Any, target: Any = None, *, observer: Observer | None = None, began: float | None = None, **options: Any
) -> Model:
    """Tunes, cross-validates, compares, judges and saves a network for any kind of data.

    source: a path (CSV, TSV, Parquet, Arrow, JSON lines, NPZ, .ts; a folder of images or recordings), a bundled name
        ("digits", "iris", …), a pandas, polars or Arrow frame, a dict of columns, an array X or a list of arrays (PIL
        images, texts, graphs), a pair (X, y), {class: samples}, a Hugging Face dataset or a dict of such by the names
        of their parts, or a dataset of torch whose items are (sample, label). A table may name image files, or hold
        PIL images, in a column.
    target: name(s) or number(s) of the target column(s); not needed for a pair, a bundled name, a folder with one
        folder per class.
    observer: hears of every stage (see tutti.core.Observer).
    began: when this process began, on time.monotonic's clock, where the budget is that of the whole process.

    Options, by keyword; an unknown one raises with the nearest name:
    out: run folder (default runs/NAME, counting up); an existing one is never overwritten.
    seed (0). folds (5): how many; or (train, validation) pairs of row numbers, or a splitter of scikit-learn.
    budget: wall time of the whole call, in seconds or as "60s", "5m"; at least 10 s.
    test: a file or frame of test rows; or test_size (0.2): share held out, 0 for none.
    time, group, series, gap, weight: column names that declare the splits; see tutti.data.declare_splits.
    kinds: {column: kind} where the reader guesses wrong. keep, drop: columns to use in spite of a leak, or not at
        all. header (True), delimiter: how to read text.
    data: "table", "images", "signals", "text", "graphs", "nodes", "edges", "sets" or "series", where the guess is
        wrong; text, set, smiles: the column that holds texts, names sets, holds molecules; edges: of the graph whose
        nodes the source lists (a target that is a column of these makes them the samples); links: whether two of its
        nodes are joined; masks: what to segment in images; target_from: a pattern of file names,
        "{label}_{speaker}_*.wav"; forecast, horizon, window: of a time series; generate: a language model;
        vocabulary, unit, size, length, rate, skip: see tutti.data.Reading.
    task: "regression", "binary", "multiclass" or "multilabel". metric: what selects and is quoted first.
    model: a name ("linear", "mlp", "resmlp", "tabm"), a Config, a torch module, or a function (features, outputs)
        → module. optimizer: a name, Config or rule, or several (they share the population). schedule: a name or
        Config. epochs, batch_size.
    learning_rates, weight_decays: the axes of the grid. setting: other hyper-parameters ({"dropout": 0.1}).
    class_weight: "balanced" or None. refit: one network on all training rows instead of the ensemble of folds
        (default: only where the split is ordered in time). rungs (True): drop losing settings early.
    baselines (True). examples (True): samples (images, texts, …; never rows of a table) are shown in the report.
    device: "cpu", "cuda", "mps". executor: "stacked", "vmapped" or "looped", how the members are
        carried through a step (default: what a few timed steps find the fastest).

    precision ("float32"): "bfloat16" computes the products of the training passes in it (weights, losses and
        evaluations stay float32); "auto" does where the hardware has it, it is faster, and it changes the first
        batch's gradient by less than a tenth of what batches differ.

    Under torchrun the settings are dealt over its processes (one GPU each, where there are as many); the first
    writes the run folder, and all return the same model. across: "spread" for that; "sharded" divides every batch
    over them instead, for one large member: without the option where settings are fewer than processes, steps take
    10 ms or more, and no layer takes statistics over its batch. "fully_sharded" divides the weights as well, for a
    member whose training does not fit into one process: nothing is timed beforehand, so that the time of a step is
    only guessed; what is saved, and a refit, is one whole network.
    """
    chosen = Options.of({**options, "target": target})
    with join_ranks() as ranks:
        if not ranks.first:
            return follow(source, chosen, ranks)
        return _lead(source, chosen, observer or Observer(), Clock.start(chosen.seconds, began), ranks)


def _lead(source: Any, chosen: Options, watcher: Observer, clock: Clock, ranks: Ranks) -> Model:
    """The fit of the first process, which reads the clock, writes the folder and tells the observer."""
    if chosen.out is not None:
        refuse_taken(Path(chosen.out))  # before minutes are spent on reading
    declared = declare(source, chosen, watcher)
    Training(declared, chosen)  # a network that cannot be built is told before there is a folder
    run = Run.create(None if chosen.out is None else Path(chosen.out), _name(declared.table.source))
    write_declared(run, declared, chosen, source)
    run.write_json("environment.json", environment())
    model = train_and_judge(declared, chosen, clock, watcher, run).model(chosen)
    ranks.agree(str(run.folder))
    return model


def _name(source: str) -> str:
    """What a run is called after its source: a file's name without its endings."""
    path = Path(source)
    return Path(path.stem).stem if path.suffix in (".gz", ".bz2", ".xz", ".zip") else path.stem


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A finished fit with everything that was found on the way."""

    declared: Declared
    outcome: Outcome
    assessment: Assessment
    run: Run | None

    def model(self, options: Options) -> Model:
        told = self.assessment.result
        return Model(self.outcome.predictor, self.declared.schema, told, self.run, options.reading)


def train_and_judge(
    declared: Declared,
    options: Options,
    clock: Clock,
    observer: Observer,
    run: Run | None,
    *,
    told: Told | None = None,
    baselines_told: Mapping[str, Any] | None = None,
    timed: bool = True,
) -> Fitted:
    """Baselines, ladder, search, predictor, judgement; all that is known goes into the run folder, if any.

    timed: False chooses what to train without looking at the clock, so that equal seeds give equal predictions.

    A Ctrl-C after the search saves the ensemble, unjudged, and raises `Interrupted`; whatever else ends it early
    is told in the run's status.
    """
    with _ends_told(run):
        return _train_and_judge(declared, options, clock, observer, run, told, baselines_told, timed)


def _train_and_judge(
    declared: Declared,
    options: Options,
    clock: Clock,
    observer: Observer,
    run: Run | None,
    told: Told | None,
    baselines_told: Mapping[str, Any] | None,
    timed: bool,
) -> Fitted:
    training = Training(declared, options)
    baselines = run_baselines(declared, options, clock.for_baselines(), observer, baselines_told)
    if run is not None:
        run.write_json(BASELINES, {b.name: b.settings for b in baselines})
    allowance = clock.for_training() if timed else PATIENCE
    choice = training.retold(told) if told is not None else training.choose(allowance, timed=timed)
    lines = training.lines(choice)
    observer.on_plan(lines)
    grid = list(told.grid) if told is not None else choice.grid.settings()
    if run is not None:
        write_plan(run, choice, training.made, grid, [])
    tell(choice, grid)
    search = training.search(
        choice,
        told=told,
        deadline=None if clock.deadline is None else clock.deadline - choice.after,
        began=clock.began,
        observer=observer,
        log=(lambda event: None) if run is None else run.append,
        checkpoint=None if run is None else _Checkpoints(run, clock),
    )
    search.run()
    if run is not None:
        write_plan(run, choice, training.made, grid, search.decisions)
    with _ensemble_kept(run, training, search):
        outcome = training.outcome(search, choice)
        assessment = assess(declared, options, outcome, baselines, clock, run)
    if run is not None:
        _write_outcome(run, outcome, assessment, interrupted=search.interrupted)
    observer.on_result(assessment.result)
    return Fitted(declared=declared, outcome=outcome, assessment=assessment, run=run)


@contextmanager
def _ends_told(run: Run | None) -> Iterator[None]:
    """Marks the run of a fit that ends early: "interrupted", or "failed" with the reason."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        with suppress(InputError):  # the disk may be what failed
            if run is not None and not run.sealed:
                run.set_status("interrupted" if stopped else "failed", "" if stopped else reason)
        raise


@contextmanager
def _ensemble_kept(run: Run | None, training: Training, search: Search) -> Iterator[None]:
    """Saves the ensemble, unjudged, where a Ctrl-C ends what comes after the search."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if run is None:
            raise
        run.remove("result.json")  # of a run that was resumed: it judged another model
        training.ensemble(search).save(run)
        run.seal("interrupted")
        raise Interrupted(run.folder) from stop


class _Checkpoints:
    """Saves the search's state into the run folder, with the seconds used and the length of the log so far."""

    def __init__(self, run: Run, clock: Clock) -> None:
        self.run, self.clock = run, clock

    def __call__(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        logged = len(self.run.read_log())
        self.run.checkpoint(_steps(state), tensors, {**state, "seconds": self.clock.seconds, "logged": logged})


def _steps(state: Mapping[str, Any]) -> int:
    """A number that grows from checkpoint to checkpoint: stages first, then steps."""
    return int(state["stage"]) * 10**9 + int(state["population"]["step"])


def _write_outcome(run: Run, outcome: Outcome, assessment: Assessment, *, interrupted: bool) -> None:
    outcome.predictor.save(run)
    run.write_json("result.json", assessment.result)
    if assessment.examples:
        run.write_json("examples.json", assessment.examples)
    run.write_tensors("predictions.safetensors", assessment.predictions)
    run.set_status("interrupted" if interrupted else "finished")  # the report tells it
    write_report(run.folder)
    run.seal(run.status)
