"""The laws hold for sound models, and each is seen broken by a model that breaks it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import InputError
from tutti.testing import Law, broken, check_model

ROWS = torch.randn(24, 8, generator=torch.Generator().manual_seed(1))
SEQUENCES = torch.randn(24, 7, 4, generator=torch.Generator().manual_seed(2))
LENGTHS = torch.arange(24) % 7 + 1


def own_layers() -> nn.Module:
    return nn.Sequential(tnn.Linear(8, 6), nn.Tanh(), tnn.Dropout(), tnn.Linear(6, 3))


def torch_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.Dropout(0.3), nn.Linear(6, 3))


def with_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))


class Averaging(nn.Module):
    """A masked mean over time; wrong where `reads_padding`."""

    def __init__(self, reads_padding: bool = False) -> None:
        super().__init__()
        self.last, self.reads_padding = nn.Linear(4, 2), reads_padding

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        real = (torch.arange(x.shape[1]) < lengths[:, None])[..., None]
        total = x.sum(1) if self.reads_padding else torch.where(real, x, 0.0).sum(1)
        return self.last(total / lengths[:, None])


class Memory(nn.Module):
    """Keeps a number outside its buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.seen = nn.Linear(8, 3), 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += self.training
        return self.last(x) * (1 + self.seen)


class Mixing(nn.Module):
    """Its rows see each other, in training and in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x - x.mean(0, keepdim=True))


class Noisy(nn.Module):
    """Draws from torch's generator, in evaluation too."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + torch.randn_like(x))


class Counting(nn.Module):
    """Multiplies by how often it was called: a number outside its buffers, in evaluation too."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.calls = nn.Linear(8, 3), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.last(x) * self.calls


class Centring(nn.Module):
    """Keeps a running mean of its own, which it subtracts."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 3)
        self.register_buffer("centre", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.centre.copy_(0.9 * self.centre + 0.1 * x.mean(0))
        return self.last(x - self.centre)


class Attending(nn.Module):
    """torch's attention over time, then a mean of the real places; True = padding, as torch's layers have it."""

    def __init__(self, reads_padding: bool = False) -> None:
        super().__init__()
        self.attention, self.reads_padding = nn.MultiheadAttention(4, 2, batch_first=True), reads_padding

    def forward(self, x: Tensor, key_padding_mask: Tensor) -> Tensor:
        told = None if self.reads_padding else key_padding_mask
        seen = self.attention(x, x, x, key_padding_mask=told, need_weights=False)[0]
        return seen.masked_fill(key_padding_mask[..., None], 0.0).sum(1)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.randn(8, 2, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(self.turn.dtype) @ self.turn).real


def law(laws: list[Law], name: str) -> Law:
    return next(found for found in laws if found.name == name)


@pytest.mark.parametrize("build", [own_layers, torch_layers, with_batch_norm])
def test_sound_models_keep_every_law(build: Callable[[], nn.Module]) -> None:
    laws = check_model(build, [ROWS])
    assert not broken(laws), broken(laws)
    assert law(laws, "resume = uninterrupted").error == 0
    if build is not with_batch_norm:
        assert law(laws, "neighbours").error == 0


def test_batch_statistics_are_named_as_the_exception_of_accumulation() -> None:
    found = law(check_model(with_batch_norm, [ROWS]), "accumulation = big batch")
    assert found.status == "not applicable"
    assert "BatchNorm1d" in found.note


def test_a_module_is_taken_as_it_is_and_left_as_it_was() -> None:
    module = own_layers()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    check_model(module, [ROWS])
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype


@pytest.mark.parametrize(
    ("build", "inputs", "names"),
    [
        (Memory, [ROWS], {"resume = uninterrupted"}),
        (Mixing, [ROWS], {"accumulation = big batch", "rows do not see each other"}),
        (Noisy, [ROWS], {"rows do not see each other", "evaluation repeats itself"}),
        (lambda: Averaging(reads_padding=True), [SEQUENCES, LENGTHS], {"padding changes nothing"}),
        (Averaging, [SEQUENCES, LENGTHS], set()),
    ],
)
def test_a_broken_law_is_named(build: Callable[[], nn.Module], inputs: list[Tensor], names: set[str]) -> None:
    found = {law.name for law in broken(check_model(build, inputs))}
    assert names <= found
    if build is not Memory:  # what it remembers spoils every comparison
        assert found == names


def test_training_is_compared_with_the_same_weights_where_each_call_draws_new_ones() -> None:
    found = law(check_model(lambda: nn.Linear(8, 2), [ROWS]), "evaluation repeats itself")
    assert found.note == "Training answers the same."
    found = law(check_model(lambda: nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5)), [ROWS]), found.name)
    assert "In training its answers differ by" in found.note


def test_the_random_numbers_of_whoever_asks_go_on_where_they_were() -> None:
    torch.manual_seed(3)
    following = torch.randn(3)
    torch.manual_seed(3)
    check_model(torch_layers, [ROWS])
    assert torch.equal(torch.randn(3), following)


def test_what_two_equal_calls_differ_by_is_told_apart() -> None:
    laws = check_model(Counting, [ROWS])
    found = law(laws, "evaluation repeats itself")
    assert found.status == "broken"
    assert "differ between two equal calls" in found.note
    assert "state of its own" in found.note
    assert "random" not in found.note
    for name in ("rows do not see each other", "accumulation = big batch"):
        assert "state of its own" in law(laws, name).note
    found = law(check_model(Noisy, [ROWS]), "evaluation repeats itself")
    assert "It draws random numbers in evaluation" in found.note


@pytest.mark.parametrize(
    ("build", "buffer"),
    [
        (Centring, "centre"),
        (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 2)), "parametrizations.weight.0._u"),
        (lambda: nn.utils.spectral_norm(nn.Linear(8, 2)), "weight_u"),
    ],
)
def test_a_buffer_that_training_moves_is_named_as_the_exception_of_accumulation(
    build: Callable[[], nn.Module], buffer: str
) -> None:
    found = law(check_model(build, [ROWS]), "accumulation = big batch")
    assert found.status == "not applicable"
    assert buffer in found.note
    assert "batch_statistics = True" in found.note


# vmap has no rule of its own for torch's attention, and says so.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_a_mask_of_torch_marks_the_padding() -> None:
    padding = torch.arange(7) >= LENGTHS[:, None]
    name = "padding changes nothing"
    assert law(check_model(Attending, [SEQUENCES, padding]), name).status == "kept"
    assert law(check_model(lambda: Attending(reads_padding=True), [SEQUENCES, padding]), name).status == "broken"
    with pytest.raises(InputError, match="leaves 3 rows without one real place; it is True where there is padding"):
        check_model(Attending, [SEQUENCES, ~padding])


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: nn.LazyLinear(3), r"sizes of weight, bias are not known yet.*nn.LazyLinear"),
        (Complex, r"turn holds complex64.*view_as_real"),
        (nn.Tanh, "no parameters"),
        (lambda: nn.Linear(8, 2, bias=nonsense), "cannot be built: NameError: name 'nonsense' is not defined"),  # noqa: F821
    ],
)
def test_what_no_member_can_be_made_of_is_told(build: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_model(build, [ROWS])


def test_too_few_rows_and_wrong_shapes_are_told() -> None:
    with pytest.raises(InputError, match="12 rows or more"):
        check_model(own_layers, [ROWS[:5]])
    with pytest.raises(InputError, match="fails on rows of shape 9"):
        check_model(own_layers, [torch.zeros(24, 9)])
    with pytest.raises(InputError, match="takes 2 inputs; 1 were given"):
        check_model(Averaging, [SEQUENCES])
    with pytest.raises(InputError, match="answers tuple"):
        check_model(lambda: nn.GRU(4, 3), [SEQUENCES])
