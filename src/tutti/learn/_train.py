"""From a declared problem to a trained predictor: ladder, search, ensemble or refit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import Finding, InputError, Observer, Setting
from tutti.learn._bases import refuse_unused, with_bases, without_unused
from tutti.learn._bench import Bench, Trial
from tutti.learn._declare import Declared
from tutti.learn._ladder import Choice, Ladder
from tutti.learn._network import Network, network_for
from tutti.learn._options import Options
from tutti.learn._problem import make_problem, whole
from tutti.learn._recipe import Recipe
from tutti.learn._recipes import recipe_for
from tutti.optim import Constant, Rule, Schedule
from tutti.predictor import Predictor
from tutti.search import Candidate, Decision, Grid, Scale, Search, default_grid, torch_threads
from tutti.tasks import Affine
from tutti.training import Across, Carried, Plan, Population, Program, current_ranks


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an earlier run chose: followed by a rerun or a resume, so that nothing is timed or chosen again."""

    folds: int
    plan: Plan
    raced: bool
    grid: Sequence[Setting]
    quick: bool = False  # whether predictions take one view of a row
    after: float = 0.0  # expected seconds of what follows the search
    decisions: Sequence[Decision] | None = None  # of a finished run; None: go on deciding
    tensors: Mapping[str, Tensor] | None = None  # a checkpoint
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished (or interrupted) search and the predictor made of its best candidate.

    out_of_fold: predictions of the winner's fold members for `rows`, which their folds validate on.
    """

    predictor: Predictor
    best: Candidate
    search: Search
    plan: Plan
    folds: int
    refitted: bool
    lines: tuple[str, ...]
    notices: tuple[Finding, ...]
    rows: Int[np.ndarray, " rows"]
    out_of_fold: Float[np.ndarray, "rows ..."]


class Training:
    """All that is needed to train on a declared table, put together from options and the default recipe."""

    def __init__(self, declared: Declared, options: Options) -> None:
        self.declared, self.options = declared, options
        self.rows = len(declared.splits.train)
        recipe = recipe_for(declared.schema.shape, self.rows, declared.task)
        batch_size = options.batch_size or recipe.batch_size
        named = None if callable(options.model) else options.model_config(declared.table.kind)
        self.recipe: Recipe = replace(
            with_bases(recipe, named, options.setting, own=options.model is None),
            batch_size=min(batch_size, max(1, self.rows)),
            epochs=float(options.epochs or recipe.epochs * getattr(named, "passes", 1.0)),
            stretch=1.0 if options.epochs or options.seconds is None else recipe.stretch,
            least=1.0 if options.epochs else recipe.least,
        )
        self.network: Network = network_for(options, self.recipe, declared.table, declared.task)
        if options.setting or options.model is not None:
            with torch.random.fork_rng(devices=[]):
                network = self.network.build()
            refuse_unused(options.setting or {}, network, declared.task, self.network.description)
            self.recipe = without_unused(self.recipe, network)
        self.unseen = _unseen(declared, self.network)
        self.rules: dict[str, Rule] = options.rules()
        self.schedule: Schedule = options.schedule_config() or self._usual_schedule()
        self.threads = max(1, min(torch.get_num_threads(), 8))  # fewer in a worker of a parallel search
        self.device = _device(options.device)

    @property
    def made(self) -> dict[str, Any]:
        """The model, optimizer and schedule that options and recipe came to, as JSON values."""
        rules = [rule.to_json() for rule in self.rules.values()]
        optimizer = rules[0] if len(rules) == 1 else rules
        return {"model": dict(self.network.to_json()), "optimizer": optimizer, "schedule": self.schedule.to_json()}

    @property
    def _refits(self) -> bool:
        """Whether the winner is trained once more on all training rows."""
        return self.declared.splits.ordered if self.options.refit is None else self.options.refit

    def _usual_schedule(self) -> Schedule:
        """The recipe's schedule; a constant rate after its warm-up where all rules are meant for that."""
        usual = self.recipe.schedule
        if all(rule.wants_constant_rate for rule in self.rules.values()):
            return Constant(warmup_steps=usual.warmup_steps, warmup_fraction=usual.warmup_fraction)
        return usual

    def grid(self, settings: int) -> Grid:
        """The default grid of about so many settings, with the axes that the user gave in its place.

        Default rates are multiplied by what is usual for each rule (default decays divided by it); given ones are
        taken as they are.
        """
        recipe = self.recipe
        grid = default_grid(max(1, settings // len(self.rules)), recipe.base, rate=recipe.rate, others=recipe.others)
        rates, decays = self.options.rates, self.options.decays
        scales = [
            Scale(
                optimizer=name,
                rate=1.0 if rates else rule.usual_rate,
                decay=1.0 if decays is not None else 1 / rule.usual_rate,
            )
            for name, rule in self.rules.items()
        ]
        return replace(
            grid,
            learning_rates=rates or grid.learning_rates,
            weight_decays=grid.weight_decays if decays is None else decays,
            scales=tuple(scales),
        )

    def choose(self, allowance: float, *, timed: bool = True) -> Choice:
        """Climbs the cost ladder, by the clock or by counting multiply-adds."""
        declared = self.declared
        splits = declared.splits
        bench = Bench(
            make=lambda folds: make_problem(
                declared,
                self.network.build,
                splits.judging(folds),
                seed=self.options.seed,
                device=self.device,
            ),
            grid=self.grid,
            seen=lambda folds: max(len(fold.train) for fold in splits.judging(folds)),
            recipe=self.recipe,
            rules=self.rules,
            schedule=self.schedule,
            weights=self.network.weights,
            threads=self.threads,
            timed=timed,
            executor=self.options.through,
            precision=self.options.computed,
            whole=self.options.shared != "fully_sharded" or current_ranks().count == 1,
        )
        ladder = Ladder(
            bench=bench,
            folds=len(splits.folds),
            rows=self.rows,
            tested=len(splits.test),
            rungs=self.options.rungs,
            across=self.options.shared,
            refit=self._refits,
        )
        return ladder.choose(allowance)

    def retold(self, told: Told) -> Choice:
        """The choice of an earlier run, without timing anything."""
        folds = self.declared.splits.judging(told.folds)
        problem, judge = make_problem(
            self.declared, self.network.build, folds, seed=self.options.seed, device=self.device
        )
        program = Program(problem, told.plan.batch_size)
        trial = Trial(
            folds=told.folds,
            problem=problem,
            judge=judge,
            program=program,
            carried=Carried(executor=told.plan.executor, draws=told.plan.draws),
            need=None,
            executor=told.plan.executor,
            threads=told.plan.threads,
            fixed=0.0,
            each=0.0,
        )
        grid = Grid.around(told.grid)
        return Choice(
            trial=trial,
            grid=grid,
            plan=told.plan,
            seconds=0.0,
            after=told.after,
            shortened=False,
            raced=told.raced,
            quick=told.quick,
        )

    def lines(self, choice: Choice) -> tuple[str, ...]:
        """What is about to be done, in words."""
        settings, folds, plan = len(choice.grid.settings()), choice.trial.folds, choice.plan
        rows = max(1, len(choice.trial.problem.streams[0].train))
        epochs = plan.horizon * plan.batch_size / rows
        split = f"{folds} folds" if folds > 1 else "one hold-out"
        names = [name or rule.name for name, rule in self.rules.items()]
        of_rules = f"{len(names)} optimizers × " if len(names) > 1 else ""
        lines = [
            f"{settings * folds} members: {of_rules}{len(choice.grid.learning_rates)} learning rates × "
            f"{len(choice.grid.weight_decays)} weight decays × {split}",
            f"{self.network.description}, {self.network.weights:,} weights each; {', '.join(names)}, batch "
            f"{plan.batch_size}, up to {plan.horizon:,} steps ({_passes(epochs)}), {plan.executor}{_ways(plan)}",
        ]
        lines += [notice.message for notice in (*self.unseen, *choice.notices)]
        if choice.seconds:
            lines.append(f"Expected to take about {choice.seconds:.0f} s")
        return tuple(lines)

    def search(
        self,
        choice: Choice,
        *,
        told: Told | None,
        deadline: float | None,
        began: float,
        observer: Observer,
        log: Callable[[Mapping[str, Any]], None],
        checkpoint: Callable[[Mapping[str, Tensor], Mapping[str, Any]], None] | None,
    ) -> Search:
        """The search for a choice, at its beginning or where a checkpoint left it."""
        settings = list(told.grid) if told is not None else choice.grid.settings()
        search = Search(
            choice.trial.problem,
            settings,
            choice.plan,
            self.rules,
            self.schedule,
            choice.trial.judge,
            grid=None if choice.raced else choice.grid,
            deadline=deadline,
            began=began,
            observer=observer,
            log=log,
            checkpoint=checkpoint,
            replay=None if told is None else told.decisions,
            program=choice.trial.program,
        )
        if told is not None and told.state is not None and told.tensors is not None:
            search.restore(told.tensors, told.state)
        return search

    def outcome(self, search: Search, choice: Choice) -> Outcome:
        """The predictor: the fold members of the winner, or one network refitted on all training rows."""
        best = search.best
        assert best is not None
        refitted = self._refits and not search.interrupted
        ensemble = self.ensemble(search, quick=choice.quick)
        rows, out_of_fold = self._out_of_fold(ensemble, choice)
        return Outcome(
            predictor=self._refitted(best, choice) if refitted else ensemble,
            best=best,
            search=search,
            plan=choice.plan,
            folds=choice.trial.folds,
            refitted=refitted,
            lines=self.lines(choice),
            notices=(*self.unseen, *choice.notices),
            rows=rows,
            out_of_fold=out_of_fold,
        )

    def ensemble(self, search: Search, *, quick: bool = False) -> Predictor:
        """The fold members of the best candidate. quick: see Predictor."""
        best = search.best
        assert best is not None
        networks = [search.program.network(w, best.setting, f).cpu() for f, w in enumerate(best.rows)]
        return self._predictor(networks, search.judge.affines, best, quick)

    def _out_of_fold(self, ensemble: Predictor, choice: Choice) -> tuple[np.ndarray, np.ndarray]:
        """Every validated row and its prediction by the member that did not train on it (the mean of several)."""
        streams = choice.trial.problem.streams
        rows, places = np.unique(np.concatenate([s.validation for s in streams]), return_inverse=True)
        parts = [ensemble.one_on(f, self.declared.table.take(s.validation)) for f, s in enumerate(streams)]
        found = np.concatenate(parts)
        total = np.zeros((len(rows), *found.shape[1:]))
        np.add.at(total, places, found)
        return rows, total / np.bincount(places).reshape(-1, *[1] * (found.ndim - 1))

    def _refitted(self, best: Candidate, choice: Choice) -> Predictor:
        """One network on all training rows: the winner's setting and steps, in proportion to the rows."""
        rows = self.declared.splits.train
        seen = max(len(s.train) for s in choice.trial.problem.streams)
        scale = len(rows) / seen
        problem, judge = make_problem(
            self.declared, self.network.build, [whole(rows)], seed=self.options.seed, device=self.device
        )
        plan = choice.plan.replace(executor="looped", horizon=max(1, round(choice.plan.horizon * scale)), rungs=())
        population = Population(problem, [best.setting], plan, self.rules, self.schedule)
        with torch_threads(plan.threads):
            population.run(max(1, round(best.point.step * scale)))
        network = population.network(population.member_rows(0)[0], best.setting, 0)
        return self._predictor([network.cpu()], judge.affines, best, choice.quick)

    def _predictor(
        self, networks: list[torch.nn.Module], affines: Sequence[Affine], best: Candidate, quick: bool
    ) -> Predictor:
        return Predictor(
            task=self.declared.task,
            shape=self.declared.schema.shape,
            model=self.network.to_json(),
            networks=networks,
            affines=tuple(affines),
            temperature=best.point.temperature,
            quick=quick,
        )


_SHARED: dict[Across, str] = {
    "spread": "",
    "sharded": ", every batch divided over the processes",
    "fully_sharded": ", every batch and the weights divided over the processes",
}


def _unseen(declared: Declared, network: Network) -> tuple[Finding, ...]:
    """What was read of a graph's edges and the network has no place for."""
    sample, config = declared.table.sample, network.config
    if sample is None or config is None or not sample.unseen(edges=False, weights=False):
        return ()
    with torch.random.fork_rng(devices=[]):
        built = network.build()
    weighs = bool(getattr(built, "weighs", False))
    names = ", ".join(sample.unseen(edges=getattr(config, "sees_edges", False), weights=weighs))
    if not names:
        return ()
    message = f"The {config.name} does not see these features of the edges: {names}. The mpnn does (--model mpnn)."
    return (Finding(kind="unseen-edge-features", where=names, message=message, severity="notice"),)


def _passes(epochs: float) -> str:
    """So many passes over the rows, in words."""
    if epochs < 0.95:
        return f"{epochs:.1g} of a pass"
    return "one pass" if epochs < 1.5 else f"{epochs:.0f} passes"


def _ways(plan: Plan) -> str:
    """What is not as usual about how a plan's steps are computed."""
    rounded = ", products in bfloat16" if plan.precision == "bfloat16" else ""
    return rounded + _SHARED[plan.across]


def _device(name: str | None) -> torch.device:
    """The device of this name, tried out; by default a CUDA card where there is one."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        found = torch.empty(1, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise _unusable(name, str(error).splitlines()[0].split(". ")[0].rstrip(".")) from error
    if found.type == "meta":
        raise _unusable(name, "it holds no numbers")
    if found.type == "cpu" and device.index:
        raise _unusable(name, 'all processors are one device, "cpu"')
    return found


def _unusable(name: str, reason: str) -> InputError:
    return InputError(f"The device {name!r} cannot be used here: {reason}.", fix='Give "cpu".')
