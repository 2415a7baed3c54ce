"""What all language models share: the embedding, the surprise at each token, the logits, the memory."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional

from tutti import core, nn
from tutti.models._model import Model


class LanguageTrunk(torch_nn.Module):
    """Embeddings of tokens [*member, batch, time, width] to features of which the next token is predicted.

    Law: a later token changes no earlier feature.
    """

    stacked: ClassVar[bool] = True
    features: int

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "*member batch time width"], memory: Any = None
    ) -> Float[Tensor, "*member batch time features"]:
        """memory: what `memory` gave, which then holds the steps before x, and after it these too."""

    @abstractmethod
    def memory(self, steps: int) -> Any:
        """An empty memory with room for so many steps: generation then computes each step once."""


class LanguageNetwork(torch_nn.Module):
    """Windows of tokens [*member, batch, length + 1] to −ln p of each but the first [*member, batch, length].

    p(next) = softmax(U h + c), where h are the trunk's features of the tokens so far; `tied`: U is the table of the
    embedding and c = 0 (Press & Wolf 2017).
    """

    stacked: ClassVar[bool] = True

    def __init__(self, tokens: int, width: int, trunk: LanguageTrunk, *, drop: bool, tied: bool) -> None:
        super().__init__()
        self.embed = nn.TokenEmbedding(tokens, width, sd=0.02)
        self.drop = nn.Dropout() if drop else None
        self.trunk = trunk
        self.head = None if tied else nn.Linear(trunk.features, tokens)

    def logits(
        self, tokens: Int[Tensor, "*member batch time"], memory: Any = None
    ) -> Float[Tensor, "*member batch time tokens"]:
        """For each step, of the token that follows it. memory: see `LanguageTrunk.memory`."""
        x = self.embed(tokens)
        h = self.trunk(x if self.drop is None else self.drop(x), memory)
        if self.head is not None:
            y: Tensor = self.head(h)
            return y
        return nn.dense(h, self.embed.weight)

    def memory(self, steps: int) -> Any:
        """See `LanguageTrunk.memory`."""
        return self.trunk.memory(steps)

    def forward(self, tokens: Int[Tensor, "*member batch time"]) -> Float[Tensor, "*member batch length"]:
        said = self.logits(tokens[..., :-1])
        true = tokens[..., 1:]
        losses = functional.cross_entropy(said.flatten(0, -2), true.flatten().long(), reduction="none")
        return losses.view(true.shape)


@dataclass(frozen=True, kw_only=True)
class LanguageModel(Model):
    """Base of the Configs of language models. width: of the embeddings. tied: one table for what goes in and what
    comes out. dropout: whether there is dropout; its strength is the setting's."""

    kind: ClassVar[str] = "language"

    width: int = 128
    tied: bool = True
    dropout: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise core.InputError(f"width={self.width}.", fix="Use at least 1.")

    @abstractmethod
    def trunk(self, length: int) -> LanguageTrunk:
        """What reads at most so many tokens."""

    def build(self, shape: core.LanguageShape, outputs: int) -> LanguageNetwork:
        """The network for windows of `shape`; weights come from torch's generator. outputs: the window's length,
        one number for each token that is predicted."""
        return LanguageNetwork(shape.tokens, self.width, self.trunk(shape.length), drop=self.dropout, tied=self.tied)
