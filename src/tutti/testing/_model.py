"""The laws of a model inside the engine (design, decision A), measured on random rows."""

import inspect
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tutti.core import InputError
from tutti.testing._law import Law, inapplicable, measured, relative
from tutti.testing._subject import SETTINGS, STEPS, Subject
from tutti.training import ExecutorName, carry
from tutti.training import batch_statistics as statistics_of

ROUNDING = 1e-10  # of one step in float64
DRIFT = 1e-6  # of several steps in float64


def check_model(model: nn.Module | Callable[[], nn.Module], inputs: Sequence[Tensor]) -> list[Law]:
    """Measures on a model what the engine promises of it; nothing of the model is changed.

    model: a module, or a function without arguments that makes one. inputs: a tensor for each argument of its
    forward, [rows, …], 12 rows or more; random numbers of the right shapes will do.

    stacked = solo                one step of all members at once against one member after another, float64
    neighbours                    a member with and without others beside it, every bit (under vmap: rounding)
    same seed = same result       two runs, every bit
    resume = uninterrupted        saved in the middle and restored into a new population, every bit
    accumulation = big batch      batches in two parts against batches in one
    rows do not see each other    in evaluation, a row on its own against the same row in its batch
    padding changes nothing       where forward takes `lengths`, `mask` (True = real) or torch's `key_padding_mask`
                                  (True = padding): other numbers behind the end of a row
    evaluation repeats itself     twice the same rows in evaluation; says what training does differently

    Accumulation says nothing about a model that takes statistics over its batch, or whose buffers training moves.
    """
    if not inputs or len({len(x) for x in inputs}) != 1 or len(inputs[0]) < 12:
        raise InputError("The laws are measured on 12 rows or more, as many in every input.")
    with torch.random.fork_rng(devices=[]):
        subject = Subject.of(model, inputs)
        padded = _padded(subject)
        carried = carry(subject.population("looped").program)
        apart, why = _repeated(subject)
        resumed = _resume(subject, carried.executor, carried.draws)
        return [
            _stacked(subject, carried.executor, carried.notice.message if carried.notice else "", carried.draws),
            _neighbours(subject, carried.executor, carried.draws),
            _same_seed(subject, carried.executor, carried.draws),
            resumed,
            _accumulation(subject, carried.executor, carried.draws, resumed.status == "kept"),
            _rows_alone(subject, why),
            _padding(subject, padded, why),
            _evaluation(subject, apart, why),
        ]


def _stacked(subject: Subject, executor: ExecutorName, why: str, draws: bool) -> Law:
    name = "stacked = solo"
    if executor == "looped":
        return inapplicable(name, why)
    together, alone = (subject.population(e, draws=draws) for e in (executor, "looped"))
    together.run(1)
    alone.run(1)
    error = max(relative(together.weights, alone.weights), relative(together.running, alone.running))
    form = "its own member axis" if executor == "stacked" else "torch.func.vmap"
    return measured(name, error, ROUNDING, f"One step of {together.members} members through {form}.")


def _neighbours(subject: Subject, executor: ExecutorName, draws: bool) -> Law:
    everyone = subject.population(executor, draws=draws)
    fewer = subject.population(executor, settings=SETTINGS[1:2], draws=draws)
    everyone.run(STEPS)
    fewer.run(STEPS)
    error = relative(everyone.member_rows(1), fewer.member_rows(0))
    # Under vmap some kernels of torch (batch norm's) round by how many members there are.
    tolerance = ROUNDING if executor == "vmapped" else 0.0
    note = f"The same member alone and among others: {'every bit' if error == 0 else 'equal but for rounding'}."
    return measured("neighbours", error, tolerance, note, "Something mixes the members.")


def _same_seed(subject: Subject, executor: ExecutorName, draws: bool) -> Law:
    one, two = (subject.population(executor, draws=draws, dtype=torch.float32) for _ in range(2))
    one.run(STEPS)
    two.run(STEPS)
    return measured(
        "same seed = same result",
        relative(one.weights, two.weights),
        0.0,
        f"Two runs of {STEPS} steps, float32.",
        "It draws from a source of its own, or keeps state outside its buffers.",
    )


def _resume(subject: Subject, executor: ExecutorName, draws: bool) -> Law:
    straight, broken = (subject.population(executor, draws=draws, dtype=torch.float32) for _ in range(2))
    straight.run(STEPS)
    straight.run(2 * STEPS)
    broken.run(STEPS)
    resumed = subject.population(executor, draws=draws, dtype=torch.float32)
    resumed.restore(*broken.state())
    resumed.run(2 * STEPS)
    error = max(relative(resumed.weights, straight.weights), relative(resumed.running, straight.running))
    remedy = "It keeps state that is neither a parameter nor a buffer."
    return measured("resume = uninterrupted", error, 0.0, f"Saved after {STEPS} of {2 * STEPS} steps.", remedy)


def _accumulation(subject: Subject, executor: ExecutorName, draws: bool, resumes: bool) -> Law:
    name = "accumulation = big batch"
    layer = statistics_of(subject.build())
    if layer is not None:
        return inapplicable(name, f"{layer} takes statistics over its batch: its parts have others.")
    if draws:
        return inapplicable(name, "It draws random numbers of its own, which differ from part to part.")
    whole, parts = (subject.population(executor, micro=m) for m in (1, 2))
    whole.run(STEPS)
    parts.run(STEPS)
    error = relative(parts.weights, whole.weights)
    if not error <= DRIFT and (moved := _moved_in_training(subject)):
        why = f"Every pass in training moves {', '.join(moved)}, and a batch in two parts takes two passes."
        return inapplicable(name, f"{why} `batch_statistics = True` in its class keeps its batches whole.")
    remedy = "Its rows see each other in training, or its loss is no mean over rows."
    if not resumes:
        remedy = "It has state of its own, and a batch in two parts calls it twice."
    return measured(name, error, DRIFT, f"{STEPS} steps with batches in two parts.", remedy)


@torch.no_grad()
def _moved_in_training(subject: Subject) -> list[str]:
    """The buffers that a pass in training mode changes."""
    model = subject.build().train()
    before = _state(model)
    model(*subject.inputs)
    return _changed(model, before)


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of a model's parameters and buffers, those that are not saved included."""
    named = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: value.detach().clone() for name, value in named.items()}


def _changed(model: nn.Module, before: dict[str, Tensor]) -> list[str]:
    now = _state(model)
    return [k for k, v in before.items() if not torch.equal(torch.nan_to_num(now[k]), torch.nan_to_num(v))]


@torch.no_grad()
def _rows_alone(subject: Subject, why: str) -> Law:
    model = subject.build().eval()
    together = model(*subject.inputs)
    alone = torch.cat([model(*(x[i : i + 1] for x in subject.inputs)) for i in range(4)])
    note = "Four rows on their own and in their batch, in evaluation."
    remedy = why or "Its answer depends on the batch."
    return measured("rows do not see each other", relative(alone, together[:4]), 1e-9, note, remedy)


def _padded(subject: Subject) -> Tensor | None:
    """[rows, time], True where a place of a row is real, by the lengths or the mask that forward takes; None where it
    takes neither. A mask is True where a place is real, torch's key_padding_mask where it is not."""
    sequence, names = subject.inputs[0], list(inspect.signature(subject.build().forward).parameters)
    given = dict(zip(names, subject.inputs, strict=False))
    torchs = [name for name in given if name.endswith("key_padding_mask")]
    name = next(iter([*torchs, *(n for n in given if n in ("lengths", "length", "mask", "padding"))]), None)
    if name is None or sequence.ndim < 2:
        return None
    told, count = given[name], sequence.shape[1]
    if told.numel() == len(told):
        real = torch.arange(count) < told.reshape(-1, 1)
    elif told.shape != sequence.shape[:2]:
        return None
    else:  # a mask of numbers for torch is added to the scores: −∞ for padding
        real = told == 0 if name in torchs else told != 0
    empty = int((~real.any(1)).sum())
    if empty:
        kind = "True where there is padding" if name in torchs else "True where a place is real"
        raise InputError(
            f"{name} leaves {empty} rows without one real place; it is {kind}.",
            fix=f"Describe it as --input {'padding' if name in torchs else 'mask'}:{count}",
        )
    return real


@torch.no_grad()
def _padding(subject: Subject, real: Tensor | None, why: str) -> Law:
    """Numbers behind a row's length, or where its mask says padding, are replaced by others."""
    name, model = "padding changes nothing", subject.build().eval()
    if real is None:
        return inapplicable(name, "Its forward takes neither lengths nor a mask.")
    if bool(real.all()):
        return inapplicable(name, "No row given is shorter than the longest.")
    sequence = subject.inputs[0]
    behind = (~real).view(*real.shape, *[1] * (sequence.ndim - 2)).expand_as(sequence)
    other = torch.flip(sequence, (0,)) if not sequence.is_floating_point() else sequence * -3 + 7
    changed = torch.where(behind, other, sequence)
    before, after = model(*subject.inputs), model(changed, *subject.inputs[1:])
    if (
        after.ndim > 2 and after.shape[1] == real.shape[1]
    ):  # an answer for each place: those behind the end are nobody's
        before, after = before[real], after[real]
    note = "Other numbers behind the ends of the rows."
    return measured(name, relative(after, before), 0.0, note, why or "Padding is read.")


@torch.no_grad()
def _repeated(subject: Subject) -> tuple[float, str]:
    """How far apart two equal calls in evaluation are, and why; (0, "") where they are equal."""
    model = subject.build().eval()
    before = _state(model)
    error = relative(model(*subject.inputs), model(*subject.inputs))
    if changed := _changed(model, before):
        return float("inf"), f"Evaluation changes {', '.join(changed)}."
    if error == 0:
        return 0.0, ""
    seeded = []
    for _ in range(2):
        torch.manual_seed(0)
        seeded.append(model(*subject.inputs))
    if relative(*seeded) == 0:
        return error, "It draws random numbers in evaluation."
    found = "Its answers differ between two equal calls, under one seed of torch too"
    return error, f"{found}: it has state of its own (an attribute that forward changes, say)."


@torch.no_grad()
def _evaluation(subject: Subject, error: float, why: str) -> Law:
    model = subject.build().eval()  # one network for both: each build may draw other weights
    evaluated = model(*subject.inputs)
    apart = relative(model.train()(*subject.inputs), evaluated)
    note = (
        "Training answers the same."
        if apart == 0
        else f"In training its answers differ by {apart:.2g} of the largest."
    )
    return measured("evaluation repeats itself", error, 0.0, note, why)
