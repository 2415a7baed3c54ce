"""Every layer and every model: stacked = each member alone = vmap, forward and backward; and gradcheck."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.func import functional_call, vmap

from tutti import core, data, models, nn

MEMBERS, BATCH = 3, 5
SHAPE = core.TableShape(numbers=3, levels=(4, 40, 7, 300), missing=(1,), switches=(2,))

LAYERS: dict[str, tuple[Callable[[], torch_nn.Module], str]] = {
    "linear": (lambda: nn.Linear(3, 4), "numbers"),
    "linear, more axes": (lambda: nn.Linear(3, 4), "replicated"),
    "feature linear": (lambda: nn.FeatureLinear(3, 3, 2), "square"),
    "layer norm": (lambda: _spread(nn.LayerNorm(3)), "numbers"),
    "dropout": (lambda: nn.Dropout(0.4), "numbers"),
    "dropout, more axes": (lambda: nn.Dropout(0.4), "replicated"),
    "noise": (lambda: nn.GaussianNoise(0.7), "numbers"),
    "activity": (lambda: nn.ActivityPenalty(0.3, 0.2), "replicated"),
    "mean activity": (lambda: torch_nn.Sequential(nn.activation("sigmoid"), nn.MeanActivity(0.1)), "numbers"),
    "winner take all": (lambda: nn.WinnerTakeAll(2), "numbers"),
    "embedding": (lambda: nn.Embedding(SHAPE.levels, 4), "codes"),
    "categories": (lambda: nn.Categories([(2, SHAPE.levels[:1]), (4, SHAPE.levels[1:])]), "codes"),
    "known codes": (lambda: nn.KnownCodes(SHAPE.levels), "codes"),
    "one-hot": (lambda: nn.OneHot(SHAPE.levels, [0, 2]), "codes"),
    "plr": (lambda: nn.Periodic(3, kind="plr", frequencies=5), "numbers"),
    "pbld": (lambda: nn.Periodic(3, kind="pbld", frequencies=5), "numbers"),
    "bin linear": (lambda: nn.BinLinear(1, 3, 4), "numbers"),
    "replicate": (lambda: nn.Replicate(4, [1, 2]), "numbers"),
    "ensemble linear": (lambda: _spread(nn.EnsembleLinear(3, 4, 2)), "replicated"),
    "ensemble linear, first": (lambda: _spread(nn.EnsembleLinear(3, 4, 2, adapt=False)), "replicated"),
    "replica linear": (lambda: nn.ReplicaLinear(3, 4, 2), "replicated"),
    "polynomial": (lambda: nn.Polynomial(nn.scaling("standard", 3), 3, 3), "numbers"),
    "radial basis": (lambda: nn.RadialBasis(nn.scaling("standard", 3), 3, 6), "numbers"),
    "piecewise linear": (lambda: nn.PiecewiseLinear(3, 4), "numbers"),
    **{f"scaling {n}": (lambda n=n: nn.scaling(n, 3), "numbers") for n in nn.SCALINGS},
    **{f"activation {n}": (lambda n=n: nn.activation(n), "numbers") for n in nn.ACTIVATIONS},
}

CONFIGS: list[models.Model] = [
    models.Linear(init="torch"),
    models.Linear(init="torch", scaling="whiten", expansion="polynomial", degree=3),
    models.Linear(init="torch", scaling="minmax", expansion="rbf", centres=7),
    models.MLP(hidden=()),
    models.MLP(hidden=(8, 6), activation=("tanh", "mish"), dropout=True, noise=True, activity=True),
    models.MLP(hidden=(8, 6), activation="sigmoid", winners=3, mean_activity=0.1, scaling="robust"),
    models.MLP(hidden=(8,), encoding="ple", bins=5),
    models.MLP(hidden=(8,), encoding="ple", bins=5, embedding=3, noise=True),
    models.MLP(hidden=(8,), encoding="plr", embedding=5, scaling="standard", onehot_up_to=0),
    models.MLP(hidden=(8,), encoding="pbld", scaling="symmetric", onehot_up_to=1000),
    models.ResMLP(width=6, hidden=8, dropout=True),
    models.TabM(hidden=(8, 6), replicas=4, dropout=True),
    models.TabM(hidden=(8, 6), replicas=4, mini=True, encoding="ple", bins=4),
]


def _spread(layer: torch_nn.Module) -> torch_nn.Module:
    """The layer with parameters that no longer start at 0 or 1."""
    for p in layer.parameters():
        torch_nn.init.normal_(p)
    return layer


def _inputs(kind: str) -> tuple[Tensor, ...]:
    x = torch.randn(MEMBERS, BATCH, 3, dtype=torch.float64)
    codes = torch.stack([torch.randint(0, n, (MEMBERS, BATCH)) for n in SHAPE.levels], -1)
    if kind == "table":
        x[:, ::2, 1] = torch.nan
        return x, codes
    if kind == "codes":
        return (codes,)
    shapes = {"numbers": (BATCH, 3), "square": (BATCH, 3, 3), "replicated": (2, BATCH, 3)}
    return (torch.randn(MEMBERS, *shapes[kind], dtype=torch.float64),)


def _member(build: Callable[[], torch_nn.Module], seed: int) -> torch_nn.Module:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = build().double()
    codes = np.stack([rng.integers(1, n, 9) for n in SHAPE.levels], 1)
    fitted = data.fit_front(module, rng.normal(size=(9, 3)), codes)
    module.load_state_dict(fitted, strict=False)
    return module


def _loss(
    module: torch_nn.Module, state: dict[str, Tensor], inputs: tuple[Tensor, ...], key: Tensor, members: int
) -> tuple[Tensor, Tensor]:
    """One number per member (for one member: a scalar), and the output."""
    with core.random_keys(key), core.penalties() as terms:
        output = functional_call(module, state, inputs)
    flat = output.to(torch.float64).flatten(members)
    weights = torch.linspace(-1, 2, flat.shape[-1], dtype=torch.float64)
    return (flat.square() * weights + flat).sum(-1) + sum(terms, torch.zeros((), dtype=torch.float64)), output


def _gradients(total: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    if not tensors or not total.requires_grad:
        return [torch.zeros_like(t) for t in tensors]
    found = torch.autograd.grad(total, tensors, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, tensors, strict=True)]


def _check(build: Callable[[], torch_nn.Module], kind: str) -> None:
    members = [_member(build, seed) for seed in range(MEMBERS)]
    torch.manual_seed(7)
    inputs = _inputs(kind)
    keys = torch.tensor([11, -5, 2**30], dtype=torch.int32)
    state = {n: torch.stack([m.state_dict()[n] for m in members]).detach() for n in members[0].state_dict()}
    names = [n for n, _ in members[0].named_parameters()]
    leaves = [state[n].requires_grad_() for n in names] + [
        x.requires_grad_() for x in inputs if x.is_floating_point() and kind != "table"
    ]
    loss, output = _loss(members[0], state, inputs, keys, 1)
    gradients = _gradients(loss.sum(), leaves)

    in_turn = [
        _loss(m, {n: t[i] for n, t in state.items()}, tuple(x[i] for x in inputs), keys[i], 0)
        for i, m in enumerate(members)
    ]
    solo_output = torch.stack([o for _, o in in_turn])
    torch.testing.assert_close(output, solo_output, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(loss, torch.stack([v for v, _ in in_turn]), rtol=1e-12, atol=1e-12)
    solo_gradients = _gradients(torch.stack([v for v, _ in in_turn]).sum(), leaves)
    torch.testing.assert_close(gradients, solo_gradients, rtol=1e-12, atol=1e-12)

    def one(state: dict[str, Tensor], inputs: tuple[Tensor, ...], key: Tensor) -> tuple[Tensor, Tensor]:
        return _loss(members[0], state, inputs, key, 0)

    mapped, mapped_output = vmap(one)(state, inputs, keys)
    torch.testing.assert_close(output, mapped_output, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients, _gradients(mapped.sum(), leaves), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_stacked_is_solo_is_vmap(name: str) -> None:
    _check(*LAYERS[name])


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_model_stacked_is_solo_is_vmap(config: models.Model) -> None:
    _check(lambda: config.build(SHAPE, 2), "table")


@pytest.mark.parametrize("name", [n for n, (_, kind) in LAYERS.items() if kind != "codes"])
def test_layer_passes_gradcheck_solo_and_stacked(name: str) -> None:
    build, kind = LAYERS[name]
    members = [_member(build, seed) for seed in range(MEMBERS)]
    torch.manual_seed(7)
    (x,) = _inputs(kind)
    keys = torch.tensor([1, 2, 3], dtype=torch.int32)
    names = [n for n, _ in members[0].named_parameters()]

    def call(members_: int, key: Tensor, buffers: dict[str, Tensor]) -> Callable[..., Any]:
        def run(x: Tensor, *parameters: Tensor) -> Tensor:
            return _loss(members[0], buffers | dict(zip(names, parameters, strict=True)), (x,), key, members_)[0]

        return run

    solo = {n: t.detach() for n, t in members[0].state_dict().items()}
    stack = {n: torch.stack([m.state_dict()[n] for m in members]).detach() for n in solo}
    for axes, key, state, value in ((0, keys[0], solo, x[0]), (1, keys, stack, x)):
        parameters = [state[n].clone().requires_grad_() for n in names]
        assert torch.autograd.gradcheck(call(axes, key, state), (value.clone().requires_grad_(), *parameters))


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_every_parameter_has_a_gradient(config: models.Model) -> None:
    network = _member(lambda: config.build(SHAPE, 2), 0)
    torch.manual_seed(0)
    numbers = torch.randn(200, 3, dtype=torch.float64)
    numbers[::7, 1] = torch.nan
    codes = torch.stack([torch.randint(1, n, (200,)) for n in SHAPE.levels], -1)
    network(numbers, codes).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_front_has_no_parameters_and_stacks_by_the_table_alone() -> None:
    for config in CONFIGS:
        network = config.build(SHAPE, 2)
        assert isinstance(network, models.TableNetwork)
        assert not list(network.front.parameters())
        assert [b.shape for b in network.buffers()] == [b.shape for b in config.build(SHAPE, 2).buffers()]
