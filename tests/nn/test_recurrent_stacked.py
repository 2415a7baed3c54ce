"""A stack of recurrent layers is its members one by one; the rule works inside torch.func too."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from tutti import core, nn

Make = Callable[[], torch.nn.Module]

KINDS: dict[str, Make] = {
    "elman": partial(nn.Elman, 3, 8, layers=2),
    "elman relu": partial(nn.Elman, 3, 8, activation="relu", bidirectional=True),
    "gru": partial(nn.GRU, 3, 8, layers=2, bidirectional=True),
    "gru, reset before": partial(nn.GRU, 3, 8, layers=2, reset="before", bias=False),
    "lstm": partial(nn.LSTM, 3, 8, layers=2, bidirectional=True),
    "gru, truncated": partial(nn.GRU, 3, 8, truncate=3),
}
CELLS: dict[str, Make] = {
    "elman": partial(nn.ElmanCell, 3, 8),
    "gru": partial(nn.GRUCell, 3, 8),
    "gru, reset before": partial(nn.GRUCell, 3, 8, reset="before"),
    "lstm": partial(nn.LSTMCell, 3, 8, bias=False),
}
MEMBERS = 4


def population(make: Make, dtype: torch.dtype = torch.double) -> tuple[list[torch.nn.Module], dict[str, Tensor]]:
    torch.manual_seed(0)
    members = [make().to(dtype) for _ in range(MEMBERS)]
    parameters, buffers = stack_module_state(members)
    return members, {k: v.detach().requires_grad_() for k, v in parameters.items()} | buffers


def total(found: tuple[Tensor, object]) -> Tensor:
    """A number that depends on all outputs and states, each in its own way."""
    output, state = found
    states = state if isinstance(state, tuple) else (state,)
    return sum(((k + 1) * part.square().sum() for k, part in enumerate(states)), output.square().sum())  # type: ignore[no-any-return, union-attr]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_stack_is_its_members_one_by_one(kind: str, padded: bool) -> None:
    members, values = population(KINDS[kind])
    x = torch.randn(MEMBERS, 5, 7, 3, dtype=torch.double)
    lengths = torch.randint(1, 8, (MEMBERS, 5)) if padded else None
    given = (x,) if lengths is None else (x, lengths)
    wanted = [v for v in values.values() if v.requires_grad]

    alone = [member(*(g[k] for g in given)) for k, member in enumerate(members)]
    expected = torch.stack([output for output, _ in alone])
    slopes = [
        torch.autograd.grad(total(found), list(m.parameters())) for found, m in zip(alone, members, strict=True)
    ]
    template = members[0]

    def mapped(values: dict[str, Tensor], *given: Tensor) -> tuple[Tensor, object]:
        return functional_call(template, values, given)  # type: ignore[no-any-return]

    for route in (lambda: functional_call(template, values, given), lambda: vmap(mapped)(values, *given)):
        found = route()
        torch.testing.assert_close(found[0], expected, rtol=1e-10, atol=1e-12)
        for k, slope in enumerate(torch.autograd.grad(total(found), wanted)):
            torch.testing.assert_close(slope, torch.stack([s[k] for s in slopes]), rtol=1e-10, atol=1e-11)
    inner = vmap(grad(lambda values, *given: total(mapped(values, *given))))(values, *given)
    for name, slope in zip((n for n, v in values.items() if v.requires_grad), zip(*slopes, strict=True), strict=True):
        torch.testing.assert_close(inner[name], torch.stack(slope), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", CELLS)
def test_stacked_cell_is_its_members_one_by_one(kind: str) -> None:
    members, values = population(CELLS[kind])
    x = torch.randn(MEMBERS, 5, 3, dtype=torch.double)

    def first(found: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        return found if isinstance(found, Tensor) else found[0]

    expected = torch.stack([first(member(x_k)) for member, x_k in zip(members, x, strict=True)])
    torch.testing.assert_close(first(functional_call(members[0], values, (x,))), expected, rtol=1e-10, atol=1e-12)
    mapped = vmap(lambda values, x: first(functional_call(members[0], values, (x,))))(values, x)
    torch.testing.assert_close(mapped, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_inside_vmap_are_those_of_each_member(kind: str) -> None:
    members, values = population(KINDS[kind])
    x = torch.randn(MEMBERS, 2, 4, 3, dtype=torch.double)
    template = members[0]

    def slope(values: dict[str, Tensor], x: Tensor) -> Tensor:
        return grad(lambda x: total(functional_call(template, values, (x,))))(x).square().sum()

    found = vmap(grad(slope, argnums=1))(values, x)
    for k, member in enumerate(members):
        x_k = x[k].clone().requires_grad_()
        (first,) = torch.autograd.grad(total(member(x_k)), x_k, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x_k)
        torch.testing.assert_close(found[k], second, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("batch", [5, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_a_member_does_not_feel_its_neighbours(kind: str, batch: int) -> None:
    members, values = population(KINDS[kind], torch.float32)
    x = torch.randn(MEMBERS, batch, 50, 3)

    def run(values: dict[str, Tensor], x: Tensor) -> list[Tensor]:
        found = functional_call(members[0], values, (x,))
        wanted = [v for v in values.values() if v.requires_grad]
        return [found[0], *torch.autograd.grad(total(found), wanted)]

    before = run(values, x)
    with torch.no_grad():
        others = {k: v.clone() for k, v in values.items()}
        for v in others.values():
            v[[0, 1, 3]] = torch.nan
    after = run({k: v.requires_grad_(values[k].requires_grad) for k, v in others.items()}, x)
    assert all(torch.equal(a[2], b[2]) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_all_members_share_give_what_copies_give(kind: str) -> None:
    members, values = population(KINDS[kind])
    shared = torch.randn(5, 7, 3, dtype=torch.double)
    outputs = [
        functional_call(members[0], values, (x,)) for x in (shared.expand(4, -1, -1, -1), shared.repeat(4, 1, 1, 1))
    ]
    torch.testing.assert_close(outputs[0][0], outputs[1][0], rtol=1e-12, atol=0)
    wanted = [v for v in values.values() if v.requires_grad]
    for a, b in zip(*(torch.autograd.grad(total(found), wanted) for found in outputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    mapped = vmap(lambda values: functional_call(members[0], values, (shared,))[0])(values)
    torch.testing.assert_close(mapped, outputs[0][0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [partial(nn.GRU, 3, 8, layers=3), partial(nn.LSTM, 3, 8, layers=3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_between_layers_is_the_members_own(make: Make, dtype: torch.dtype) -> None:
    members, values = population(partial(make, dropout=0.5), dtype)
    rates = torch.tensor([0.0, 0.2, 0.5, 0.9], dtype=dtype)
    values |= {f"dropouts.{k}.dropout": rates for k in range(2)}
    keys = torch.tensor([5, 6, 7, 8], dtype=torch.int32)
    x = torch.randn(MEMBERS, 32, 50, 3, dtype=dtype)  # large enough for torch's own kernel in float32
    with core.random_keys(keys):
        output, _ = functional_call(members[0].train(), values, (x,))
    for k in range(MEMBERS):
        own = {name: value[k] for name, value in values.items()}
        with core.random_keys(keys[k]):
            alone, _ = functional_call(members[0], own, (x[k],))
        torch.testing.assert_close(output[k], alone)
    plain, _ = functional_call(members[0].eval(), values, (x,))
    torch.testing.assert_close(output[0], plain[0])
    assert not torch.allclose(output[1], plain[1])


def test_lstm_in_float32_is_one_result_by_both_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    members, values = population(KINDS["lstm"], torch.float32)
    template, x = members[0], torch.randn(MEMBERS, 32, 50, 3)
    wanted = [v for v in values.values() if v.requires_grad]
    runs = []
    for _ in range(2):
        found = functional_call(template, values, (x,))
        runs.append((found[0].detach(), *torch.autograd.grad(total(found), wanted)))
        monkeypatch.setattr(template, "_fuses", lambda *_: False)
    for a, b in zip(*runs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3 * b.abs().max().item())


def test_lengths_of_a_stack_have_the_member_axis() -> None:
    members, values = population(KINDS["gru"])
    x = torch.randn(MEMBERS, 5, 7, 3, dtype=torch.double)
    with pytest.raises(core.InputError, match=r"from 1 to 8; expected 1 to 7"):
        functional_call(
            members[0], values, (x, torch.ones(MEMBERS, 5, dtype=torch.long).index_fill(1, torch.tensor([2]), 8))
        )
