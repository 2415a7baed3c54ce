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
    padding changes nothing       where forward takes `lengths` or `mask`: other numbers behind the end of a row
    evaluation repeats itself     twice the same rows in evaluation; says what training does differently
    """
    if not inputs or len({len(x) for x in inputs}) != 1 or len(inputs[0]) < 12:
        raise InputError("The laws are measured on 12 rows or more, as many in every input.")
    subject = Subject.of(model, inputs)
    carried = carry(subject.population("looped").program)
    return [
        _stacked(subject, carried.executor, carried.notice.message if carried.notice else "", carried.draws),
        _neighbours(subject, carried.executor, carried.draws),
        _same_seed(subject, carried.executor, carried.draws),
        _resume(subject, carried.executor, carried.draws),
        _accumulation(subject, carried.executor, carried.draws),
        _rows_alone(subject),
        _padding(subject),
        _evaluation(subject),
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


def _accumulation(subject: Subject, executor: ExecutorName, draws: bool) -> Law:
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
    remedy = "Its rows see each other in training, or its loss is no mean over rows."
    return measured(name, error, DRIFT, f"{STEPS} steps with batches in two parts.", remedy)


@torch.no_grad()
def _rows_alone(subject: Subject) -> Law:
    model = subject.build().eval()
    together = model(*subject.inputs)
    alone = torch.cat([model(*(x[i : i + 1] for x in subject.inputs)) for i in range(4)])
    note = "Four rows on their own and in their batch, in evaluation."
    return measured(
        "rows do not see each other", relative(alone, together[:4]), 1e-9, note, "Its answer depends on the batch."
    )


@torch.no_grad()
def _padding(subject: Subject) -> Law:
    """Numbers behind a row's length, or where its mask is False, are replaced by others."""
    name, model = "padding changes nothing", subject.build().eval()
    names = list(inspect.signature(model.forward).parameters)
    place = next((i for i, n in enumerate(names) if n in ("lengths", "length", "mask", "padding")), None)
    sequence = subject.inputs[0]
    if place is None or place >= len(subject.inputs) or sequence.ndim < 2:
        return inapplicable(name, "Its forward takes neither lengths nor a mask.")
    told = subject.inputs[place]
    count = sequence.shape[1]
    real = told if told.dtype == torch.bool else torch.arange(count) < told.reshape(-1, 1)
    if bool(real.all()):
        return inapplicable(name, "No row given is shorter than the longest.")
    behind = (~real).view(*real.shape, *[1] * (sequence.ndim - 2)).expand_as(sequence)
    other = torch.flip(sequence, (0,)) if not sequence.is_floating_point() else sequence * -3 + 7
    changed = torch.where(behind, other, sequence)
    before, after = model(*subject.inputs), model(changed, *subject.inputs[1:])
    if after.ndim > 2 and after.shape[1] == count:  # an answer for each place: those behind the end are nobody's
        before, after = before[real], after[real]
    return measured(
        name, relative(after, before), 0.0, "Other numbers behind the ends of the rows.", "Padding is read."
    )


@torch.no_grad()
def _evaluation(subject: Subject) -> Law:
    model = subject.build().eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    one, two = model(*subject.inputs), model(*subject.inputs)
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, state[k])]
    error = max(relative(one, two), float("inf") if changed else 0.0)
    torch.manual_seed(0)
    trained = subject.build().train()(*subject.inputs)
    apart = relative(trained, one)
    note = (
        "Training answers the same."
        if apart == 0
        else f"In training its answers differ by {apart:.2g} of the largest."
    )
    remedy = f"Evaluation changes {', '.join(changed)}." if changed else "It draws random numbers in evaluation."
    return measured("evaluation repeats itself", error, 0.0, note, remedy)
