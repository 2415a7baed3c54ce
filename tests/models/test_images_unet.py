"""U-Net: its size, its shapes, its symmetries, and that a stack is as many solo networks."""

import copy

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from tutti.core import ImageShape, InputError, random_keys
from tutti.models import MODELS, UNet
from tutti.models._images_unet import Contrast, RandomCrop, RandomSymmetry
from tutti.tasks import Segmentation

SMALL = {"depth": 2, "width": 4}


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


# catalogue: A10
def test_the_papers_network_has_its_number_of_weights_and_its_output_size() -> None:
    paper = UNet(depth=4, width=64, norm="none", padded=False)
    network = paper.build(ImageShape(channels=1, height=572, width=572), 2)
    assert sum(p.numel() for p in network.parameters()) == 31_030_658
    small = UNet(depth=4, width=2, norm="none", padded=False).build(ImageShape(channels=1, height=572, width=572), 2)
    assert small(pixels(1, 1, 572, 572)).shape == (1, 2, 388, 388)


# catalogue: A10
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
@pytest.mark.parametrize("size", [(16, 16), (17, 30), (5, 3)])
def test_the_padded_form_keeps_every_size(norm: str, size: tuple[int, int]) -> None:
    network = UNet(norm=norm, **SMALL).build(ImageShape(channels=3, height=16, width=16), 4).eval()
    assert network(pixels(2, 3, *size)).shape == (2, 4, *size)


def test_shifting_by_the_coarsest_cell_shifts_the_answer() -> None:
    network = UNet(norm="none", **SMALL).build(ImageShape(channels=1, height=64, width=64), 1).double().eval()
    x = torch.zeros(1, 1, 128, 128, dtype=torch.uint8)
    x[..., 52:68, 52:68] = pixels(1, 1, 16, 16)
    moved = torch.roll(x, (4, -8), (-2, -1))
    inner = (..., slice(40, 88), slice(40, 88))
    torch.testing.assert_close(network(moved)[inner], torch.roll(network(x), (4, -8), (-2, -1))[inner])


class _Mark(torch.nn.Module):
    """Adds a ramp: what a network does that commutes with no symmetry."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return x.sum(-3, keepdim=True) + torch.arange(x.shape[-1], dtype=x.dtype) ** 2


# the loss of the answer turned back is the loss of the moved image against the moved mask
@pytest.mark.parametrize("size", [(6, 6), (4, 6)])
def test_a_random_symmetry_is_augmentation_of_image_and_mask_together(size: tuple[int, int]) -> None:
    inner = _Mark()
    layer = RandomSymmetry(inner).train()
    x, mask = torch.randn(64, 1, *size, dtype=torch.float64), (torch.rand(64, 1, *size) < 0.5).double()
    loss = functional.binary_cross_entropy_with_logits(layer(x), mask, reduction="none").mean((1, 2, 3))
    flips = [(), (-1,), (-2,), (-1, -2)]
    kinds = [(f, t) for f in flips for t in ((False, True) if size[0] == size[1] else (False,))]
    seen = set()
    for i in range(64):
        for kind, (flip, turned) in enumerate(kinds):
            move = lambda z: z.flip(flip).mT if turned else z.flip(flip)  # noqa: E731, B023
            if torch.equal(move(x[i]), inner.seen[i]):
                seen.add(kind)
                truth = functional.binary_cross_entropy_with_logits(_Mark()(move(x[i])), move(mask[i]))
                torch.testing.assert_close(loss[i], truth)
    assert seen == set(range(len(kinds)))
    torch.testing.assert_close(layer.eval()(x), _Mark()(x))


# the loss takes the mask at the crop's place, and gradients reach the network from there alone
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_random_crop_is_judged_by_its_own_part_of_the_mask(outputs: int) -> None:
    torch.manual_seed(0)
    inner = torch.nn.Conv2d(1, outputs, 1).double()
    layer = RandomCrop(inner, 4).train()
    x = torch.arange(1.0, 1 + 2000 * 6 * 9, dtype=torch.float64).reshape(2000, 1, 6, 9) / 1000
    y = layer(x)
    assert y.shape == (2000, outputs + 1, 4, 4)
    tops, lefts = y[:, -1, 0, 0].long() // 9, y[:, -1, 0, 0].long() % 9
    assert torch.bincount(tops * 6 + lefts, minlength=18).min() > 60  # every place is drawn, of 3 × 6
    task = Segmentation(names=("m",), classes=tuple("012"[: max(2, outputs)]), dice=0.5)
    target = torch.randint(0, max(2, outputs), (2000, 6, 9), dtype=torch.uint8)
    target[:, 2] = 255
    for i, a, b in zip(range(40), tops.tolist(), lefts.tolist(), strict=False):
        part = (slice(i, i + 1), ..., slice(a, a + 4), slice(b, b + 4))
        torch.testing.assert_close(y[i : i + 1, :-1], inner(x)[part])
        torch.testing.assert_close(task.loss(y, target)[i : i + 1], task.loss(inner(x)[part], target[part]))
    ours = torch.autograd.grad(task.loss(y, target)[39], inner.weight)
    theirs = torch.autograd.grad(task.loss(inner(x)[part], target[part]).sum(), inner.weight)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(layer.eval()(x), inner(x))


def test_contrast_changes_exposure_alone_and_only_in_training() -> None:
    layer, x = Contrast(0.3), torch.randn(8, 2, 4, 4)
    y = layer.train()(x)
    assert not torch.allclose(y, x)
    flat, moved = x.flatten(1), y.flatten(1)
    corr = functional.cosine_similarity(flat - flat.mean(1, keepdim=True), moved - moved.mean(1, keepdim=True))
    torch.testing.assert_close(corr, torch.ones(8))
    torch.testing.assert_close(layer.eval()(x), x)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_a_stack_is_as_many_solo_networks(training: bool, norm: str) -> None:
    config = UNet(norm=norm, dropout=True, crop=8, **SMALL)
    shape = ImageShape(channels=1, height=10, width=12)
    solo = [config.build(shape, 2).double().train(training) for _ in range(3)]
    x = pixels(3, 2, 1, 10, 12)
    values = {
        name: torch.stack([dict((*n.named_parameters(), *n.named_buffers()))[name].detach() for n in solo])
        for name in dict((*solo[0].named_parameters(), *solo[0].named_buffers()))
    }
    keys = torch.tensor([3, 5, 7])
    body, front = solo[0].body, copy.deepcopy(solo[0].front)
    stack = {k.removeprefix("body."): v for k, v in values.items() if k.startswith("body.")}
    with random_keys(keys):
        together = torch.func.functional_call(copy.deepcopy(body), stack, (front(x),))
    for i, network in enumerate(solo):
        with random_keys(keys[i]):
            alone = network.body(front(x[i]))
        torch.testing.assert_close(together[i], alone, rtol=1e-10, atol=1e-10)


def test_it_is_registered_and_refuses_what_makes_no_sense() -> None:
    assert MODELS["images"]["unet"] is UNet
    with pytest.raises(InputError, match="at least one level"):
        UNet(depth=0)
    with pytest.raises(InputError, match="batch"):
        UNet(norm="bach")


@pytest.mark.parametrize("size", [(9, 9), (9, 6)])
def test_a_prediction_is_the_mean_over_all_symmetries(size: tuple[int, int]) -> None:
    """Its own law: what answers for a moved image is the moved answer."""
    torch.manual_seed(0)
    layer = RandomSymmetry(torch.nn.Conv2d(2, 3, 3, padding=1).double()).eval()
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    assert_close(layer(x), layer.inner(x))
    layer.predicting = True
    y = layer(x)
    moves = [lambda z: z.flip(-1), lambda z: z.flip(-2)]
    moves += [lambda z: z.mT, lambda z: torch.rot90(z, 1, (-2, -1))] if size[0] == size[1] else []
    for move in moves:
        assert_close(layer(move(x)), move(y))
    if size[0] == size[1]:
        turns = [torch.rot90(layer.inner(torch.rot90(z, k, (-2, -1))), -k, (-2, -1)) for k in range(4) for z in (x,)]
        flips = [
            torch.rot90(layer.inner(torch.rot90(x.flip(-1), k, (-2, -1))), -k, (-2, -1)).flip(-1) for k in range(4)
        ]
        assert_close(y, torch.stack(turns + flips).mean(0))
