"""Language models: causality, the loss, stacked = alone, the memory."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tutti.core import InputError, LanguageShape, configure
from tutti.models import MODELS, LanguageNetwork

TOKENS, LENGTH = 11, 9
SMALL: dict[str, dict[str, Any]] = {
    "gpt": {"name": "gpt", "width": 16, "layers": 2, "heads": 2},
    "learned": {"name": "gpt", "width": 16, "layers": 2, "heads": 2, "position": "learned"},
    "alibi": {"name": "gpt", "width": 16, "layers": 1, "heads": 2, "position": "alibi", "tied": False},
    "lstm": {"name": "lstm", "width": 16, "hidden": 16, "layers": 2},
    "narrow": {"name": "lstm", "width": 8, "hidden": 12, "dropout": True},
    "untied": {"name": "lstm", "width": 8, "hidden": 12, "tied": False},
}


def network(name: str, seed: int = 0) -> LanguageNetwork:
    torch.manual_seed(seed)
    config = configure("model", MODELS["language"], SMALL[name])
    made = config.build(LanguageShape(tokens=TOKENS, length=LENGTH), LENGTH)
    assert isinstance(made, LanguageNetwork)
    with torch.no_grad():  # away from the small initial weights, where little depends on anything
        for p in made.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return made.double().eval()


def windows(rows: int = 5) -> Tensor:
    return torch.randint(TOKENS, (rows, LENGTH + 1), generator=torch.Generator().manual_seed(3), dtype=torch.int32)


# catalogue: A20
@pytest.mark.parametrize("name", SMALL)
def test_a_later_token_changes_no_earlier_loss(name: str) -> None:
    made, x = network(name), windows()
    before = made(x)
    for place in range(1, LENGTH + 1):
        other = x.clone()
        other[:, place:] = (other[:, place:] + 1) % TOKENS
        after = made(other)
        assert torch.equal(after[:, : place - 1], before[:, : place - 1]) or torch.allclose(
            after[:, : place - 1], before[:, : place - 1], atol=1e-12
        )
        assert not torch.allclose(after[:, place - 1], before[:, place - 1], atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_the_output_is_the_cross_entropy_of_the_logits(name: str) -> None:
    made, x = network(name), windows()
    logits = made.logits(x[:, :-1])
    expected = functional.cross_entropy(logits.transpose(1, 2), x[:, 1:].long(), reduction="none")
    torch.testing.assert_close(made(x), expected)


@pytest.mark.parametrize("name", SMALL)
def test_a_stack_is_its_members(name: str) -> None:
    members, x = [network(name, seed) for seed in range(3)], windows()
    x3 = torch.stack([x, x.flip(0), (x + 1) % TOKENS])
    values = {
        k: torch.stack([m.state_dict()[k] for m in members]).requires_grad_(v.dtype.is_floating_point)
        for k, v in members[0].state_dict().items()
        if not k.endswith(("frequency", "slope"))  # constants that all members share
    }
    together = torch.func.functional_call(members[0], values, (x3,))
    for i, member in enumerate(members):
        torch.testing.assert_close(together[i], member(x3[i]), rtol=1e-10, atol=1e-12)
    gradients = torch.autograd.grad(together.sum(), [values[k] for k, _ in members[0].named_parameters()])
    for i, member in enumerate(members):
        own = torch.autograd.grad(member(x3[i]).sum(), list(member.parameters()))
        for a, b in zip(gradients, own, strict=True):
            torch.testing.assert_close(a[i], b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", SMALL)
def test_what_is_remembered_equals_what_is_read_anew(name: str) -> None:
    made, x = network(name), windows(1)
    whole = made.logits(x[:, :LENGTH])
    memory = made.memory(LENGTH)
    with torch.no_grad():
        parts = [made.logits(x[:, :4], memory)] + [made.logits(x[:, i : i + 1], memory) for i in range(4, LENGTH)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-9, atol=1e-11)


def test_weights_start_as_in_gpt_2() -> None:
    torch.manual_seed(0)
    config = configure("model", MODELS["language"], {"name": "gpt", "width": 128, "layers": 4})
    made = config.build(LanguageShape(tokens=67, length=64), 64)
    spread = {name: float(p.detach().std()) for name, p in made.named_parameters() if p.ndim == 2}
    for name, sd in spread.items():
        expected = 0.02 / 8**0.5 if name.endswith(("join.weight", "leave.weight")) else 0.02
        assert sd == pytest.approx(expected, rel=0.05), name
    losses = made(torch.randint(2, 67, (4, 65)))
    assert float(losses.detach().mean()) == pytest.approx(torch.log(torch.tensor(67.0)).item(), abs=0.1)


# catalogue: A20
def test_gpt_2_has_its_published_number_of_weights() -> None:
    with torch.device("meta"):
        told = {"name": "gpt", "width": 768, "layers": 12, "heads": 12, "position": "learned"}
        config = configure("model", MODELS["language"], told)
        made = config.build(LanguageShape(tokens=50_257, length=1024), 1024)
    assert sum(p.numel() for p in made.parameters()) == 124_439_808


@pytest.mark.parametrize(
    "wrong", [{"heads": 3}, {"layers": 0}, {"position": "one_hot"}, {"width": 0}, {"name": "lstm", "hidden": 0}]
)
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        configure("model", MODELS["language"], {"name": "gpt", **wrong})
