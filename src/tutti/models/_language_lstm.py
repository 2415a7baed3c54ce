"""A recurrent language model: the state after a token says what may follow (Mikolov et al. 2010)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from tutti import core, nn
from tutti.models._language import LanguageModel, LanguageTrunk


class RecurrentMemory:
    """The state after the last step."""

    def __init__(self) -> None:
        self.state: tuple[Tensor, Tensor] | None = None


class LSTMTrunk(LanguageTrunk):
    """LSTM layers from the state 0, and a dense layer back to the embeddings' width where that is another."""

    def __init__(self, model: "LanguageLSTM") -> None:
        super().__init__()
        self.read = nn.LSTM(model.width, model.hidden, layers=model.layers)
        self.drop = nn.Dropout() if model.dropout else None
        narrow = model.tied and model.hidden != model.width
        self.narrow = nn.Linear(model.hidden, model.width) if narrow else None
        self.features = model.width if narrow else model.hidden

    def forward(
        self, x: Float[Tensor, "*member batch time width"], memory: RecurrentMemory | None = None
    ) -> Float[Tensor, "*member batch time features"]:
        h, state = self.read(x, None, None if memory is None else memory.state)
        if memory is not None:
            memory.state = state
        h = h if self.drop is None else self.drop(h)
        y: Tensor = h if self.narrow is None else self.narrow(h)
        return y

    def memory(self, steps: int) -> RecurrentMemory:
        return RecurrentMemory()


@dataclass(frozen=True, kw_only=True)
class LanguageLSTM(LanguageModel):
    """`layers` recurrent layers of `hidden` units, from the state 0 at the beginning of each window."""

    name: ClassVar[str] = "lstm"

    hidden: int = 256
    layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1 or self.layers < 1:
            raise core.InputError(f"hidden={self.hidden}, layers={self.layers}.", fix="Use at least 1.")

    def trunk(self, length: int) -> LSTMTrunk:
        return LSTMTrunk(self)
