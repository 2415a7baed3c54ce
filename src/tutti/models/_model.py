"""What every architecture promises: a Config that builds a network for one kind of data."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from tutti import core


class Model(core.Config, ABC):
    """A Config of a network. `kind` is the kind of data that it eats, the `kind` of a core.Shape."""

    kind: ClassVar[str]
    dense: ClassVar[bool] = False  # whether it answers for every pixel of an image
    setting: ClassVar[core.Setting | None] = None  # hyper-parameters of its own, instead of the recipe's
    passes: ClassVar[float] = 1.0  # times the recipe's epochs: small networks want more of them

    @abstractmethod
    def build(self, shape: Any, outputs: int) -> nn.Module:
        """The network for data of `shape` (the core.Shape of this kind) and so many outputs.

        Its forward takes the inputs of a data.Sample of the kind (of a table: numbers, codes) and gives
        [*member, batch, outputs], or what the task says. Weights come from torch's generator.
        """
