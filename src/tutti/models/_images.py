"""What all networks for whole images share: the front, augmentation, and the way to the outputs."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model
from tutti.models._table import check_choice

AUGMENTATIONS: dict[str, Callable[[], torch_nn.Module]] = {
    "turn": nn.RandomTurn,
    "shift": nn.RandomShift,
    "flip": nn.RandomFlip,
    "erase": nn.RandomErase,
    "mixup": nn.Mixup,
}


class ImageNetwork(torch_nn.Module):
    """body(front(pixels)): pixels uint8 [*member, batch, channel, height, width] -> [*member, batch, outputs]."""

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.ImageShape, *layers: torch_nn.Module) -> None:
        super().__init__()
        self.front = nn.ImageInput(shape.channels)
        self.body = torch_nn.Sequential(*layers)

    def forward(self, pixels: Shaped[Tensor, "*member batch channel height width"]) -> Float[Tensor, "*out"]:
        output: Tensor = self.body(self.front(pixels))
        return output


class ChannelsLast(torch_nn.Module):
    """Lays the images of one network out with the channels innermost, where convolutions are fastest; no number
    changes. A stack stays as it is: its convolutions put members and channels side by side."""

    stacked: ClassVar[bool] = True

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@dataclass(frozen=True, kw_only=True)
class ImageModel(Model):
    """Base of the Configs of networks for images.

    augmented: whether there are layers that turn (and zoom), shift, mirror, erase and mix training images. How far
    they go is the setting's `augment` (turn, shift and erase), `flip` and `mixup`, all 0 where nothing is said.
    augmentations: which of these layers, by name; always in the order of AUGMENTATIONS.
    """

    kind: ClassVar[str] = "images"

    augmented: bool = True
    augmentations: tuple[str, ...] = tuple(AUGMENTATIONS)

    def __post_init__(self) -> None:
        check_choice("augmentation", self.augmentations, tuple(AUGMENTATIONS))

    @abstractmethod
    def build(self, shape: core.ImageShape, outputs: int) -> ImageNetwork:
        """The network for images of `shape` and so many outputs; weights come from torch's generator."""

    def augmentation(self) -> list[torch_nn.Module]:
        """The layers at the head of the body."""
        if not self.augmented:
            return []
        return [layer() for name, layer in AUGMENTATIONS.items() if name in self.augmentations]


def check_size(shape: core.ImageShape, least: int, name: str) -> None:
    """Raises where an image is smaller than a network's poolings need."""
    if min(shape.height, shape.width) < least:
        raise core.InputError(
            f"{name} needs images of at least {least} × {least} pixels; these are {shape.height} × {shape.width}.",
            fix=f"Read them larger (size={least}, --size), or take another model.",
        )
