"""A bag of embeddings: words and runs of words, their order forgotten (Joulin et al. 2017; Iyyer et al. 2015)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model
from tutti.models._texts import TextNetwork


class BagBody(torch_nn.Module):
    """Weighted sum of embeddings, hidden layers, a dense layer."""

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
    """Embeddings of `width` values for words and, hashed into `buckets` slots, runs of 2 … `longest` words.

    Each run counts once in a text, weighted by its rarity in the training texts (TF-IDF's idf), all of a text's
    weights scaled to one length (nn.RunSlots); the sum goes through `hidden` dense layers with ReLU and the last one.
    Whole runs are dropped in training at the setting's `dropout`. fastText with the weights of TF-IDF.
    """

    name: ClassVar[str] = "bag"
    kind: ClassVar[str] = "text"

    width: int = 16
    longest: int = 2
    buckets: int = 1 << 19
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or any(units < 1 for units in self.hidden):
            raise core.InputError(f"width={self.width}, hidden={self.hidden}.", fix="Use at least 1 each.")

    def build(self, shape: core.TextShape, outputs: int) -> TextNetwork:
        """The network for texts of `shape` and so many outputs; weights come from torch's generator."""
        front = nn.RunSlots(shape.tokens, buckets=self.buckets, longest=self.longest)
        layers: list[torch_nn.Module] = []
        width = self.width
        for units in self.hidden:
            layers += [nn.Linear(width, units), torch_nn.ReLU()]
            width = units
        trunk = torch_nn.Sequential(*layers, nn.Linear(width, outputs))
        return TextNetwork(front, BagBody(nn.SlotBag(front.slot_count, self.width), trunk))
