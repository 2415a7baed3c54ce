"""ResNet (He et al. 2016): convolutions that learn what to add to their input."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._images import ChannelsLast, ImageModel, ImageNetwork, check_size

STAGES: dict[int, tuple[int, ...]] = {
    8: (1, 1, 1),
    14: (2, 2, 2),
    20: (3, 3, 3),
    32: (5, 5, 5),
    44: (7, 7, 7),
    56: (9, 9, 9),
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
}
BOTTLENECK, EXPANSION = 50, 4
STEMS = ("auto", "small", "pooled", "large")
LARGE = 64  # pixels of the shorter side, from which "auto" takes the stem of large images


@dataclass(frozen=True, kw_only=True)
class ResNet(ImageModel):
    """A residual network for small or large images.

    depth: convolutions on the way, with the last dense layer. 8, 14, 20, 32, 44 and 56 have three stages (the paper's
    for CIFAR-10), 10, 18, 34 and 50 four (for ImageNet); 50 is made of bottlenecks (1 × 1, 3 × 3, 1 × 1 to four times
    the width), the others of two 3 × 3 convolutions. width: channels of the first stage; each later one has twice as
    many on half the size.
    stem: "small": a 3 × 3 convolution on the whole image; "pooled": the same, then max pooling 2; "large": 7 × 7 with
    stride 2, then max pooling 3 with stride 2; "auto": large from 64 pixels on the shorter side, else small. Every
    convolution is followed by batch normalisation; where size or width changes, the shortcut is a 1 × 1 convolution
    (the paper's option B); a bottleneck's stride stands on its 3 × 3 convolution, as in torchvision. Then the mean
    over space, and a dense layer.

    Parameters: 18, width 64, stem large, 3 channels, 1,000 outputs: 11,689,512; 34: 21,797,672; 50: 25,557,032; 18
    with stem small and 10 outputs: 11,173,962.
    """

    name: ClassVar[str] = "resnet"

    depth: int = 8
    width: int = 32
    stem: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in STAGES:
            raise core.InputError(
                f"A ResNet of depth {self.depth}.", fix=f"Take one of {', '.join(map(str, sorted(STAGES)))}."
            )
        if self.stem not in STEMS:
            raise core.unknown("stem", self.stem, STEMS)
        if self.width < 1:
            raise core.InputError(f"width is {self.width}; expected at least 1.")

    def build(self, shape: core.ImageShape, outputs: int) -> ImageNetwork:
        stem = self.stem
        if stem == "auto":
            stem = "large" if min(shape.height, shape.width) >= LARGE else "small"
        check_size(shape, 4, self.name)
        layers = [*self.augmentation(), ChannelsLast(), *_stem(shape.channels, self.width, stem)]
        channels = self.width
        for stage, blocks in enumerate(STAGES[self.depth]):
            for block in range(blocks):
                inner = self.width * 2**stage
                stride = 2 if stage and not block else 1
                outer = inner * EXPANSION if self.depth >= BOTTLENECK and len(STAGES[self.depth]) == 4 else inner
                layers += [_residual(channels, inner, outer, stride), torch_nn.ReLU()]
                channels = outer
        return ImageNetwork(shape, *layers, nn.GlobalPool(), nn.Linear(channels, outputs))


def _stem(channels: int, width: int, stem: str) -> list[torch_nn.Module]:
    if stem == "large":
        return [*convolved(channels, width, 7, stride=2), torch_nn.ReLU(), nn.MaxPool(3, stride=2, padding=1)]
    pooling: list[torch_nn.Module] = [nn.MaxPool(2)] if stem == "pooled" else []
    return [*convolved(channels, width, 3), torch_nn.ReLU(), *pooling]


def _residual(inputs: int, inner: int, outputs: int, stride: int) -> nn.Residual:
    """Two 3 × 3 convolutions, or a bottleneck where the inner width is not the outer."""
    if inner == outputs:
        branch = [*convolved(inputs, inner, 3, stride=stride), torch_nn.ReLU(), *convolved(inner, outputs, 3)]
    else:
        branch = [*convolved(inputs, inner, 1), torch_nn.ReLU(), *convolved(inner, inner, 3, stride=stride)]
        branch += [torch_nn.ReLU(), *convolved(inner, outputs, 1)]
    same = stride == 1 and inputs == outputs
    shortcut = None if same else torch_nn.Sequential(*convolved(inputs, outputs, 1, stride=stride))
    return nn.Residual(torch_nn.Sequential(*branch), shortcut=shortcut)


def convolved(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> list[torch_nn.Module]:
    """A convolution that keeps the size (divided by the stride), then batch normalisation."""
    return [
        nn.Convolution(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False, init="he_normal"),
        nn.BatchNorm(outputs, axes=2),
    ]
