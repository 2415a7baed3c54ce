"""Transformer blocks equal torch's, keep the laws of attention, and learn what only attention can."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from tutti import core, nn


def _pair(norm: str, activation: str) -> tuple[nn.TransformerBlock, torch.nn.TransformerEncoderLayer]:
    """A block of ours with the weights of torch's layer, of the same kind."""
    torch.manual_seed(0)
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 12, 0.0, activation, batch_first=True, norm_first=norm == "pre", dtype=torch.float64
    )
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(0.2 * torch.randn_like(p))
    ours = nn.TransformerBlock(8, 2, mlp=nn.FeedForward(8, 12, activation=activation), norm=norm).double()
    ours.attend = nn.from_torch_attention(theirs.self_attn)
    assert isinstance(ours.mlp, nn.FeedForward)
    for mine, other in (
        (ours.attend_norm, theirs.norm1),
        (ours.mlp_norm, theirs.norm2),
        (ours.mlp.enter, theirs.linear1),
        (ours.mlp.leave, theirs.linear2),
    ):
        mine.load_state_dict(other.state_dict())
    return ours, theirs


# catalogue: A15
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_block_equals_torchs_layer_forward_and_backward(norm: str, activation: str, causal: bool) -> None:
    ours, theirs = _pair(norm, activation)
    ours.attend.causal = causal
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    x = torch.randn(3, 5, 8, dtype=torch.float64, requires_grad=True)
    y, expected = ours(x), theirs(x, src_mask=mask)
    torch.testing.assert_close(y, expected)
    pull = torch.randn_like(y)
    assert isinstance(ours.mlp, nn.FeedForward)
    mine = torch.autograd.grad(y, (x, ours.mlp.enter.weight, ours.attend.join.bias), pull)
    others = (x, theirs.linear1.weight, theirs.self_attn.out_proj.bias)
    torch.testing.assert_close(mine, torch.autograd.grad(expected, others, pull))


def test_a_decoder_block_equals_torchs_layer() -> None:
    torch.manual_seed(0)
    theirs = torch.nn.TransformerDecoderLayer(8, 2, 32, 0.0, batch_first=True, dtype=torch.float64)
    ours = nn.TransformerBlock(
        8, 2, mlp=nn.FeedForward(8, 32, activation="relu"), norm="post", causal=True, memory_width=8
    ).double()
    ours.attend = nn.from_torch_attention(theirs.self_attn)
    ours.attend.causal = True
    ours.cross = nn.from_torch_attention(theirs.multihead_attn, cross=True)
    assert isinstance(ours.mlp, nn.FeedForward)
    ours.mlp.enter.load_state_dict(theirs.linear1.state_dict())
    ours.mlp.leave.load_state_dict(theirs.linear2.state_dict())
    x, memory = (torch.randn(3, n, 8, dtype=torch.float64) for n in (4, 6))
    present = torch.arange(6) < torch.tensor([[3], [6], [1]])
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    expected = theirs(x, memory, tgt_mask=mask, memory_key_padding_mask=~present)
    torch.testing.assert_close(ours(x, memory, memory_present=present), expected)


def test_the_gated_network_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = nn.FeedForward(4, 6, activation="silu", gated=True)
    x = torch.randn(5, 4)
    (w1, w3), (b1, b3) = layer.enter.weight.chunk(2), layer.enter.bias.chunk(2)
    expected = layer.leave(functional.silu(x @ w1.T + b1) * (x @ w3.T + b3))
    torch.testing.assert_close(layer(x), expected)
    assert layer.enter.weight.shape == (12, 4)


def _encoder(position: str = "none", *, causal: bool = False, length: int = 12) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    return nn.TransformerEncoder(
        [nn.TransformerBlock(8, 2, causal=causal) for _ in range(2)],
        position=nn.position(position, width=8, length=length, heads=2),
        last=nn.LayerNorm(8),
    ).double()


@pytest.mark.parametrize("position", ["none", "sinusoidal", "learned", "exponential", "alibi", "rotary"])
def test_padding_may_hold_anything_and_changes_nothing(position: str) -> None:
    model = _encoder(position)
    x = torch.randn(2, 7, 8, dtype=torch.float64)
    junk = torch.cat((x, torch.full((2, 3, 8), torch.nan, dtype=torch.float64)), 1).requires_grad_()
    present = torch.arange(10).expand(2, -1) < 7
    y = model(junk, present=present)[:, :7]
    torch.testing.assert_close(y, model(x), rtol=1e-12, atol=1e-13)
    mine = torch.autograd.grad(y.square().sum(), [*model.parameters()][-4:])
    alone = torch.autograd.grad(model(x).square().sum(), [*model.parameters()][-4:])
    torch.testing.assert_close(mine, alone, rtol=1e-10, atol=1e-11)


def test_a_masked_encoder_reaches_only_as_far_as_its_mask() -> None:
    model = _encoder()
    near = (torch.arange(9) - torch.arange(9)[:, None]).abs() <= 1
    x = torch.randn(1, 9, 8, dtype=torch.float64, requires_grad=True)
    (seen,) = torch.autograd.grad(model(x, mask=near)[0, 4, 0], x)
    assert seen[0].abs().sum(-1).ne(0).nonzero().flatten().tolist() == [2, 3, 4, 5, 6]  # two blocks, two steps


# catalogue: A20
@pytest.mark.parametrize("position", ["none", "sinusoidal", "learned", "exponential", "alibi", "rotary"])
def test_a_causal_stack_generates_with_caches_what_it_computes_in_one_pass(position: str) -> None:
    model = _encoder(position, causal=True)
    x, caches = torch.randn(2, 6, 8, dtype=torch.float64), model.caches(6)
    with torch.no_grad():
        steps = [model(part, caches=caches) for part in x.split((3, 1, 2), 1)]
        torch.testing.assert_close(torch.cat(steps, 1), model(x))
    early = model(torch.cat((x[:, :3], torch.randn_like(x[:, 3:])), 1))
    torch.testing.assert_close(early[:, :3], model(x)[:, :3])


def test_generation_with_padding_in_front_equals_one_pass() -> None:
    model = _encoder("none", causal=True)
    x, caches = torch.randn(2, 5, 8, dtype=torch.float64), model.caches(5)
    present = torch.tensor([[False, False, True, True, True], [True] * 5])
    with torch.no_grad():
        steps = [model(x[:, :3], present=present[:, :3], caches=caches)]
        steps += [model(x[:, t : t + 1], present=present[:, : t + 1], caches=caches) for t in (3, 4)]
        torch.testing.assert_close(torch.cat(steps, 1)[present], model(x, present=present)[present])


def test_a_small_transformer_learns_to_look_up_what_followed() -> None:
    """Which value stood behind the key asked for last: chance 1/4, and no pooling without attention can tell."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        nn.TransformerEncoder([nn.TransformerBlock(16, 2) for _ in range(2)], last=nn.LayerNorm(16)), nn.Linear(16, 4)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(300):
        keys = torch.rand(64, 6).argsort(-1)
        values = torch.randint(4, (64, 6))
        asked = torch.randint(6, (64,))
        pairs = torch.cat((functional.one_hot(keys, 6), functional.one_hot(values, 4)), -1)
        question = functional.one_hot(keys.gather(1, asked[:, None]), 6)
        x = functional.pad(torch.cat((functional.pad(question, (0, 4)), pairs), 1).float(), (0, 6))
        out = model(x)[:, 0]
        target = values.gather(1, asked[:, None])[:, 0]
        optimiser.zero_grad()
        functional.cross_entropy(out, target).backward()
        optimiser.step()
    assert (out.argmax(-1) == target).float().mean() > 0.9


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: nn.TransformerBlock(8, 2, norm="prenorm"), "pre"),
        (lambda: nn.FeedForward(8, 2, activation="gelo"), "gelu"),
        (lambda: nn.TransformerBlock(8, 3), "heads"),
    ],
)
def test_mistakes_are_named(build: Callable[[], object], match: str) -> None:
    with pytest.raises(core.InputError, match=match):
        build()
