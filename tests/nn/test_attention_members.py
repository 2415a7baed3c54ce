"""Every layer around attention computes a stack of members as it computes each alone; neighbours do not matter."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from tutti import core, nn

Build = Callable[[], torch.nn.Module]
P, B, T, W = 3, 2, 5, 8


def _present(*lead: int) -> Tensor:
    return torch.arange(T) < torch.tensor([[3], [5]]).expand(*lead, 2, 1)


def _sequence(*lead: int) -> dict[str, Tensor]:
    return {"x": torch.randn(*lead, B, T, W, dtype=torch.float64)}


def _padded(*lead: int) -> dict[str, Tensor]:
    return _sequence(*lead) | {"present": _present(*lead)}


def _wide(*lead: int) -> dict[str, Tensor]:
    """For heads of a width of 12, which torch's fused kernel computes."""
    return _padded(*lead) | {"x": torch.randn(*lead, B, T, 24, dtype=torch.float64)}


def _cross(*lead: int) -> dict[str, Tensor]:
    return {"x": _sequence(*lead)["x"][..., :3, :], "memory": torch.randn(*lead, B, T, 6, dtype=torch.float64)}


def _timed(*lead: int) -> dict[str, Tensor]:
    return _sequence(*lead) | {"t": torch.rand(*lead, B, dtype=torch.float64)}


def _block(**options: object) -> nn.TransformerBlock:
    return nn.TransformerBlock(W, 2, **options)  # type: ignore[arg-type]


def _encoder(position: str, **options: object) -> nn.TransformerEncoder:
    where = nn.position(position, width=W, length=T, heads=2)
    wide = getattr(where, "features", W)
    wide += wide % 2
    blocks = [nn.TransformerBlock(wide, 2, **options) for _ in range(2)]  # type: ignore[arg-type]
    return nn.TransformerEncoder(blocks, position=where, last=nn.LayerNorm(wide))


LAYERS: dict[str, tuple[Build, Callable[..., dict[str, Tensor]]]] = {
    "self": (lambda: nn.MultiHeadAttention(W, 2), _sequence),
    "causal": (lambda: nn.MultiHeadAttention(W, 2, causal=True), _sequence),
    "padded": (lambda: nn.MultiHeadAttention(W, 2), _padded),
    "padded causal": (lambda: nn.MultiHeadAttention(W, 2, causal=True), _padded),
    "cross": (lambda: nn.MultiHeadAttention(W, 2, memory_width=6), _cross),
    "grouped": (lambda: nn.MultiHeadAttention(W, 4, key_value_heads=2), _sequence),
    "fused": (lambda: nn.MultiHeadAttention(24, 2), _wide),
    "fused causal": (lambda: nn.MultiHeadAttention(24, 2, causal=True), _wide),
    "dropout": (lambda: nn.MultiHeadAttention(W, 2, dropout=0.3), _sequence),
    "pre": (_block, _padded),
    "post": (lambda: _block(norm="post", normalise=nn.RMSNorm), _sequence),
    "gated": (lambda: _block(mlp=nn.FeedForward(W, 6, activation="silu", gated=True)), _sequence),
    "all drops": (lambda: _block(dropout=0.2, path=0.1), _sequence),
    "decoder": (lambda: _block(causal=True, memory_width=6), _cross),
    **{
        f"positions {name}": (lambda name=name: _encoder(name), _padded)
        for name in nn.POSITIONS
        if name != "one_hot"  # its width is odd here: tested with its property
    },
    "class token": (lambda: nn.ClassToken(W), _sequence),
    "time": (lambda: nn.TimeConditioning(W), _timed),
    **{f"pool {kind}": (lambda kind=kind: nn.SetPool(kind), _padded) for kind in ("sum", "mean", "max")},
    "attention pool": (lambda: nn.AttentionPool(W, 4), _padded),
    "gated pool": (lambda: nn.AttentionPool(W, 4, gated=True), _padded),
    "set attention": (lambda: nn.SetAttention(W, 2), _padded),
    "induced": (lambda: nn.InducedSetAttention(W, 2, 3), _padded),
    "seed pool": (lambda: nn.SeedPool(W, 2, 2), _padded),
}


def _rich(build: Build, seed: int) -> torch.nn.Module:
    """A layer none of whose parameters is at a special value."""
    torch.manual_seed(seed)
    layer = build().double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return layer


def _constants(layer: torch.nn.Module) -> set[str]:
    return {
        f"{path}.{name}".lstrip(".")
        for path, part in layer.named_modules()
        for name in getattr(type(part), "constants", ())
    }


def _stacked(layers: list[torch.nn.Module]) -> dict[str, Tensor]:
    """The members' parameters and buffers with the axis `member` before; constants as they are."""
    states = [dict(layer.named_parameters()) | dict(layer.named_buffers()) for layer in layers]
    shared = _constants(layers[0])
    return {
        name: states[0][name] if name in shared else torch.stack([state[name].detach() for state in states])
        for name in states[0]
    }


KEYS = torch.tensor([11, 22, 33], dtype=torch.int32)


@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_equals_its_members_alone_forward_and_backward(name: str) -> None:
    build, draw = LAYERS[name]
    layers = [_rich(build, seed) for seed in range(P)]
    inputs = draw(P)
    inputs["x"].requires_grad_()
    learned = dict(layers[0].named_parameters())
    weights = {n: w.requires_grad_(n in learned) for n, w in _stacked(layers).items()}
    with core.random_keys(KEYS):
        together = functional_call(layers[0], weights, kwargs=inputs)
    pull = torch.randn_like(together)
    together.backward(pull)
    for m, layer in enumerate(layers):
        with core.random_keys(KEYS[m]):
            alone = layer(**{n: v[m] for n, v in inputs.items()})
        torch.testing.assert_close(together[m], alone, rtol=1e-10, atol=1e-12)
        own = dict(layer.named_parameters()) | {"x": inputs["x"]}
        for n, grad in zip(own, torch.autograd.grad(alone, list(own.values()), pull[m]), strict=True):
            stacked = (weights | inputs)[n].grad
            assert stacked is not None, n
            torch.testing.assert_close(stacked[m], grad[m] if n == "x" else grad, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [n for n in LAYERS if "drop" not in n])
def test_vmap_of_the_layer_alone_is_a_second_route_to_the_same(name: str) -> None:
    build, draw = LAYERS[name]
    layers = [_rich(build, seed) for seed in range(P)]
    inputs, weights, shared = draw(P), _stacked(layers), _constants(layers[0])
    axes = {n: None if n in shared else 0 for n in weights}

    def one(state: dict[str, Tensor], given: dict[str, Tensor]) -> Tensor:
        return functional_call(layers[0], state, kwargs=given)

    mapped = vmap(one, in_dims=(axes, 0))(weights, inputs)
    torch.testing.assert_close(functional_call(layers[0], weights, kwargs=inputs), mapped, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_neighbours_do_not_touch_a_member(name: str) -> None:
    build, draw = LAYERS[name]
    layers, others = ([_rich(build, seed + s).float() for seed in range(P)] for s in (0, 7))
    inputs = {n: v.float() if v.is_floating_point() else v for n, v in draw(P).items()}

    def run(members: list[torch.nn.Module]) -> tuple[Tensor, dict[str, Tensor | None]]:
        weights = {n: w.requires_grad_(w.is_floating_point()) for n, w in _stacked(members).items()}
        with core.random_keys(KEYS):
            y = functional_call(layers[0], weights, kwargs=inputs)
        if y.requires_grad:
            y.square().sum().backward()
        return y, {n: weights[n].grad for n, _ in layers[0].named_parameters()}

    mine, my_grads = run(layers)
    amid, grads = run([others[0], layers[1], others[2]])
    assert torch.equal(mine[1], amid[1])
    for n in grads:
        assert torch.equal(my_grads[n][1], grads[n][1]), n  # type: ignore[index]


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in ("pool max",)])
def test_gradients_are_the_numerical_ones(name: str) -> None:
    build, draw = LAYERS[name]
    layer, inputs = _rich(build, 1), draw()
    names = list(dict(layer.named_parameters()))

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        with core.random_keys(KEYS[0]):
            return functional_call(layer, dict(zip(names, parameters, strict=True)), kwargs=inputs | {"x": x})

    given = [inputs["x"].requires_grad_(), *(p.detach().requires_grad_() for p in layer.parameters())]
    assert torch.autograd.gradcheck(run, given, fast_mode=True)
