"""A bag of embeddings: words and runs of words, their order forgotten (Joulin et al. 2017; Iyyer et al. 2015)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model
from tutti.models._texts import TextNetwork


class Bias(torch_nn.Module):
    """x + b, b [*member, feature] from 0."""

    stacked: ClassVar[bool] = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = torch_nn.Parameter(torch.zeros(features))

    def forward(self, x: Float[Tensor, "*member batch feature"]) -> Float[Tensor, "*member batch feature"]:
        return x + self.bias.unsqueeze(-2)


class BagBody(torch_nn.Module):
    """Weighted sum of embeddings, then dense layers or a bias."""

    stacked: ClassVar[bool] = True

    def __init__(self, bag: nn.SlotBag, trunk: torch_nn.Module) -> None:
        super().__init__()
        self.bag = bag
        self.trunk = trunk

    def forward(
        self, slots: Int[Tensor, "*member batch run"], weights: Float[Tensor, "*member batch run"]
    ) -> Float[Tensor, "*member batch out"]:
        output: Tensor = self.trunk(self.bag(slots, weights))
        return output


@dataclass(frozen=True, kw_only=True)
class TextBag(Model):
    """A learned row for every word and, hashed into `buckets` slots, for every run of 2 … `longest` words.

    Each run counts once in a text, weighted by its rarity in the training texts (TF-IDF's idf) and, where `telling`,
    by the root of how much it tells of the classes (Wang & Manning 2012); all of a text's weights are scaled to one
    length (nn.RunSlots). dropout: whether whole runs are left out in training, at the setting's
    `dropout`.
    width 0: the rows are the outputs' own weights, 0 to begin with, and their sum and a bias are the answer: logistic
    regression on TF-IDF. Else rows of `width` values (fastText's embeddings, but weighted), whose sum goes through
    `hidden` dense layers with ReLU and a last one.
    """

    name: ClassVar[str] = "bag"
    kind: ClassVar[str] = "text"

    width: int = 0
    longest: int = 2
    buckets: int = 1 << 18
    hidden: tuple[int, ...] = ()
    dropout: bool = False
    telling: bool = True

    def __post_init__(self) -> None:
        if self.width < 0 or any(units < 1 for units in self.hidden):
            raise core.InputError(f"width={self.width}, hidden={self.hidden}.", fix="Use at least 1 each.")
        if self.hidden and not self.width:
            raise core.InputError("Hidden layers behind rows of width 0.", fix="Give the rows a width, such as 64.")

    def build(self, shape: core.TextShape, outputs: int) -> TextNetwork:
        """The network for texts of `shape` and so many outputs; weights come from torch's generator."""
        front = nn.RunSlots(shape.tokens, buckets=self.buckets, longest=self.longest, telling=self.telling)
        if not self.width:
            bag = nn.SlotBag(front.slot_count, outputs, sd=0.0, drop=self.dropout)
            return TextNetwork(front, BagBody(bag, Bias(outputs)))
        layers: list[torch_nn.Module] = []
        width = self.width
        for units in self.hidden:
            layers += [nn.Linear(width, units), torch_nn.ReLU()]
            width = units
        trunk = torch_nn.Sequential(*layers, nn.Linear(width, outputs))
        return TextNetwork(front, BagBody(nn.SlotBag(front.slot_count, self.width, drop=self.dropout), trunk))
