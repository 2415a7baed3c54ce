"""TabM: many perceptrons that share most of their weights, trained as one network."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._table import TableModel, TableNetwork, check_choice, check_layers


class TabMTrunk(torch_nn.Module):
    """[*member, batch, inputs] -> [*member, batch, replica, out]: replicate, hidden layers, one head per replica."""

    stacked: ClassVar[bool] = True

    def __init__(self, replicate: torch_nn.Module, hidden: torch_nn.Module, head: torch_nn.Module) -> None:
        super().__init__()
        self.replicate = replicate
        self.hidden = hidden
        self.head = head

    def forward(self, x: Float[Tensor, "*member batch inputs"]) -> Float[Tensor, "*member batch replica out"]:
        y: Tensor = self.head(self.hidden(self.replicate(x)))
        return y.transpose(-3, -2)


@dataclass(frozen=True, kw_only=True)
class TabM(TableModel):
    """k = `replicas` perceptrons in one (Gorishniy, Kotelnikov & Babenko 2024, "TabM").

    Hidden layers are BatchEnsemble layers: one weight matrix for all replicas, and per replica a scale of its
    inputs, of its outputs, and a bias. With `mini` (TabM-mini) replicas differ in the scale of the network's inputs
    and in their heads only. The first scale starts as random signs, or N(0, 1) where numbers are encoded. Heads are
    one dense layer per replica.
    The output has an axis `replica` before `out`: see TableNetwork.replicas.
    """

    name: ClassVar[str] = "tabm"

    hidden: tuple[int, ...] = (128, 128)
    replicas: int = 16
    mini: bool = False
    activation: str = "relu"
    init: str = "torch"
    dropout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers(self.hidden)
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        check_choice("initialiser", [self.init], list(nn.INITIALISERS))
        if self.replicas < 2:
            raise core.InputError(f"{self.replicas} replicas; expected at least 2.", fix="Or use the model 'mlp'.")

    def build(self, shape: core.TableShape, outputs: int) -> TableNetwork:
        """The network for a table of `shape` and so many outputs."""
        inputs = self._inputs(shape)
        layers: list[torch_nn.Module] = []
        width = inputs.width
        for place, units in enumerate(self.hidden):
            if self.mini:
                layers.append(nn.Linear(width, units, init=self.init))
            else:
                layers.append(nn.EnsembleLinear(width, units, self.replicas, adapt=place > 0, init=self.init))
            layers.append(nn.activation(self.activation))
            if self.dropout:
                layers.append(nn.Dropout())
            width = units
        trunk = TabMTrunk(
            nn.Replicate(self.replicas, list(inputs.chunks), normal=self.encoding != "none"),
            torch_nn.Sequential(*layers),
            nn.ReplicaLinear(width, outputs, self.replicas, init=self.init),
        )
        return inputs.network(trunk, self.replicas)
