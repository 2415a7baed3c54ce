"""Networks for images: counts, parity with torch.nn, stacked = solo, and sizes that do not fit."""

from typing import Any

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.testing import assert_close

from tutti import core, models
from tutti.core import ImageShape, InputError
from tutti.models._images_vit import Patches

GREY, COLOUR = ImageShape(channels=1, height=28, width=28), ImageShape(channels=3, height=224, width=224)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("model", "shape", "outputs", "parameters"),
    [
        (models.SmallCNN(), GREY, 10, 21_840),  # catalogue: A11
        (models.LeNet(), GREY, 10, 61_706),  # catalogue: A4
        (models.ResNet(depth=18, width=64), COLOUR, 1000, 11_689_512),  # catalogue: A9
        (models.ResNet(depth=34, width=64), COLOUR, 1000, 21_797_672),
        (models.ResNet(depth=50, width=64), COLOUR, 1000, 25_557_032),
        (models.ResNet(depth=18, width=64), ImageShape(channels=3, height=32, width=32), 10, 11_173_962),
    ],
)
def test_parameters_are_as_many_as_published(model: Any, shape: ImageShape, outputs: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count(model.build(shape, outputs)) == parameters


def pixels(shape: ImageShape, *lead: int) -> Tensor:
    size = (*lead, shape.channels, shape.height, shape.width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


class CourseNet(nn.Module):
    """The course's listing, with torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, kernel_size=5), nn.Conv2d(10, 20, kernel_size=5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(functional.max_pool2d(self.conv1(x), 2))
        x = functional.relu(functional.max_pool2d(self.conv2(x), 2))
        y: Tensor = self.fc2(functional.relu(self.fc1(x.view(-1, 320))))
        return y


class Block(nn.Module):
    """A basic block with torch's own layers, its parameters in the order of ours."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.short: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.short(x))


def torch_resnet(width: int, outputs: int) -> nn.Module:
    blocks = [Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2)]
    stem = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, outputs))


@pytest.mark.parametrize(
    ("model", "shape", "peer"),
    [
        (models.SmallCNN(), GREY, CourseNet()),
        (models.ResNet(width=4), ImageShape(channels=3, height=12, width=12), torch_resnet(4, 10)),
    ],
)
def test_outputs_and_gradients_are_those_of_torch_layers(model: Any, shape: ImageShape, peer: nn.Module) -> None:
    network = model.build(shape, 10).double()
    peer = peer.double()
    for mine, theirs in zip(network.parameters(), peer.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    x = pixels(shape, 6)
    front = (x.double() - 127.5) / 64
    ours, other = network(x), peer(front)
    assert_close(ours, other, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(
        torch.autograd.grad(ours.square().sum(), list(network.parameters())),
        torch.autograd.grad(other.square().sum(), list(peer.parameters())),
        strict=True,
    ):
        assert_close(mine, theirs, rtol=1e-8, atol=1e-8)


CONFIGS = [
    models.SmallCNN(),
    models.LeNet(pooling="max", activation="relu"),
    models.ResNet(width=4),
    models.ResNet(width=8, stem="pooled"),
    models.ResNet(depth=10, width=4, stem="large"),
    models.ViT(width=8, depth=1, heads=2),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name} {getattr(c, 'stem', '')}")
def test_a_stack_computes_each_member_by_itself(config: Any) -> None:
    shape = ImageShape(channels=3, height=20, width=20)
    members = [config.build(shape, 4).double() for _ in range(3)]
    values = [dict(m.named_parameters()) | dict(m.named_buffers()) for m in members]
    together = {k: torch.stack([v[k].detach().clone() for v in values]) for k in values[0]}
    for name in together:
        if name.endswith((".augment", ".flip", ".dropout")):
            together[name] = torch.tensor([0.0, 0.3, 0.6], dtype=together[name].dtype)
            for member, value in zip(members, together[name], strict=True):
                member.get_buffer(name).copy_(value)
    x = pixels(shape, 3, 5)
    key = torch.tensor(4, dtype=torch.int32)
    with core.random_keys(key[None]):
        stacked = functional_call(members[0], together, (x,))
    for member, network in enumerate(members):
        with core.random_keys(key):
            assert_close(stacked[member], network(x[member]), rtol=1e-8, atol=1e-8)


def test_patches_are_the_image_rearranged() -> None:  # catalogue: D11
    x = torch.randn(2, 3, 6, 8)
    back = rearrange(Patches(2)(x), "n (h w) (c p q) -> n c (h p) (w q)", h=3, p=2, q=2)
    assert torch.equal(back, x)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: models.SmallCNN().build(ImageShape(channels=1, height=8, width=8), 2), "at least 16 × 16"),
        (lambda: models.ViT(patch=5).build(GREY, 2), "Take one of 1, 2, 4, 7"),
        (lambda: models.ResNet(depth=9), "Take one of 8, 10"),
        (lambda: models.ResNet(stem="smal"), "Did you mean 'small'"),
        (lambda: models.LeNet(pooling="min"), "pooling"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(make: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        make()


def test_augmentations_are_chosen_by_name() -> None:
    """What is left out is not there: an image that may only be erased keeps its other pixels."""
    config: Any = core.configure(
        "model", models.MODELS["images"], {"name": "resnet", "augmentations": ["erase", "shift"]}
    )
    layers = config.build(GREY, 10).body[:3]
    assert [type(layer).__name__ for layer in layers] == ["RandomShift", "RandomErase", "ChannelsLast"]
    assert config.to_json()["augmentations"] == ["erase", "shift"]
    (erase,) = models.LeNet(augmented=True, augmentations=("erase",)).augmentation()
    erase.augment.fill_(1.0)
    x = torch.rand(64, 1, 28, 28) + 1
    with core.random_keys(torch.tensor(5, dtype=torch.int32)):
        y = erase.train()(x)
    assert ((y == x) | (y == 0)).all()
    assert (y == 0).any()
    for model in (models.ResNet, models.ViT, models.SmallCNN, models.LeNet):
        with pytest.raises(InputError, match=r"augmentation 'shfit'.*shift"):
            model(augmentations=("shfit",))
