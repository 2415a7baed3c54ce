"""What all networks for texts share: the window, word dropout, the embedding, the head."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model


class TextBody(torch_nn.Module):
    """The learned part: (tokens, lengths) -> output. `trunk` takes embeddings and which of them are there."""

    stacked: ClassVar[bool] = True

    def __init__(
        self, words: torch_nn.Module | None, embed: nn.TokenEmbedding, drop: torch_nn.Module | None,
        trunk: torch_nn.Module, head: torch_nn.Module,
    ) -> None:  # fmt: skip
        super().__init__()
        self.words = words
        self.embed = embed
        self.trunk = trunk
        self.drop = drop
        self.head = head

    def forward(
        self, tokens: Int[Tensor, "*member batch time"], lengths: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch out"]:
        present = nn.present_tokens(lengths, tokens.shape[-1])
        x = self.embed(tokens if self.words is None else self.words(tokens))
        h = self.trunk(x.masked_fill(~present.unsqueeze(-1), 0), present)
        output: Tensor = self.head(h if self.drop is None else self.drop(h))
        return output


class TextNetwork(torch_nn.Module):
    """body(*front(tokens, lengths)): tokens [*member, batch, time], 0 behind each text's end.

    Law: padding changes nothing (in training, where the masks of dropout are drawn place by place, it draws others).
    """

    stacked: ClassVar[bool] = True

    def __init__(self, front: torch_nn.Module, body: torch_nn.Module) -> None:
        super().__init__()
        self.front = front
        self.body = body

    def forward(
        self, tokens: Int[Tensor, "*member batch time"], lengths: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch out"]:
        output: Tensor = self.body(*self.front(tokens, lengths))
        return output


class TextTrunk(torch_nn.Module):
    """Embeddings [*member, batch, time, width], 0 behind a text's end, and where tokens are, to a text's features."""

    stacked: ClassVar[bool] = True
    features: int

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "*member batch time width"], present: Bool[Tensor, "*member batch time"]
    ) -> Float[Tensor, "*member batch features"]: ...


@dataclass(frozen=True, kw_only=True)
class TextModel(Model):
    """Base of the Configs of networks that read a text in its order.

    window: how many tokens of a text they see (nn.BothEnds); width: of the embeddings. dropout: whether there is
    dropout (its strength is the setting's) on the features before the last dense layer; words: the share of that
    strength with which whole words become unknown.
    """

    kind: ClassVar[str] = "text"

    window: int = 256
    width: int = 64
    dropout: bool = True
    words: float = 0.2

    def __post_init__(self) -> None:
        if self.window < 1 or self.width < 1:
            raise core.InputError(f"window={self.window}, width={self.width}.", fix="Use at least 1.")

    @abstractmethod
    def trunk(self, steps: int) -> TextTrunk:
        """What reads the embeddings of at most so many tokens."""

    def build(self, shape: core.TextShape, outputs: int) -> TextNetwork:
        """The network for texts of `shape` and so many outputs; weights come from torch's generator."""
        embed = nn.TokenEmbedding(shape.tokens, self.width, sd=self.width**-0.5)
        window = min(self.window, shape.length)
        trunk = self.trunk(window)
        words = nn.WordDropout(share=self.words) if self.dropout and self.words > 0 else None
        drop = nn.Dropout() if self.dropout else None
        body = TextBody(words, embed, drop, trunk, nn.Linear(trunk.features, outputs))
        return TextNetwork(nn.BothEnds(window), body)
