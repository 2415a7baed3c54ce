"""The multilayer perceptron of any depth."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._table import TableModel, TableNetwork, check_choice, check_layers

BOUNDED = ("sigmoid", "gaussian", "hard_sigmoid")


@dataclass(frozen=True, kw_only=True)
class MLP(TableModel):
    """Dense layers with an activation after each but the last; hidden = () is a linear model.

    activation: one name for all hidden layers, or a tuple with one per hidden layer. init, init_scale: see
    nn.initialise; all layers. dropout: whether there is dropout after each hidden activation (its rate is the
    setting's). activity: whether hidden activations are penalised (by the setting's activity_l1 and activity_l2).
    winners: keep only so many units per hidden layer and sample (0: all). mean_activity: the target ρ of the sparse
    penalty on hidden units (0: none), for activations in [0, 1], with weight `mean_activity_weight`.
    """

    name: ClassVar[str] = "mlp"

    hidden: tuple[int, ...] = (256, 256)
    activation: str | tuple[str, ...] = "relu"
    init: str = "torch"
    init_scale: float = 1.0
    dropout: bool = False
    activity: bool = False
    winners: int = 0
    mean_activity: float = 0.0
    mean_activity_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers(self.hidden)
        check_choice("activation", self.activations, list(nn.ACTIVATIONS))
        check_choice("initialiser", [self.init], list(nn.INITIALISERS))
        if len(self.activations) != len(self.hidden):
            raise core.InputError(
                f"{len(self.activations)} activations for {len(self.hidden)} hidden layers.",
                fix="Give one name for all of them, or one per hidden layer.",
            )
        if self.mean_activity and not set(self.activations) <= set(BOUNDED):
            raise core.InputError(
                f"A mean activity needs activations in [0, 1]; given: {', '.join(self.activations)}.",
                fix=f"Use one of {', '.join(BOUNDED)}.",
            )

    @property
    def activations(self) -> tuple[str, ...]:
        """One name per hidden layer."""
        if isinstance(self.activation, str):
            return (self.activation,) * len(self.hidden)
        return self.activation

    def build(self, shape: core.TableShape, outputs: int) -> TableNetwork:
        """The network for a table of `shape` and so many outputs."""
        inputs = self._inputs(shape)
        layers: list[torch_nn.Module] = []
        width = inputs.width
        for units, name in zip(self.hidden, self.activations, strict=True):
            layers += [nn.Linear(width, units, init=self.init, scale=self.init_scale), *self._after(name)]
            width = units
        layers.append(nn.Linear(width, outputs, init=self.init, scale=self.init_scale))
        return inputs.network(torch_nn.Sequential(*layers))

    def _after(self, activation: str) -> list[torch_nn.Module]:
        layers = [nn.activation(activation)]
        if self.winners:
            layers.append(nn.WinnerTakeAll(self.winners))
        if self.activity:
            layers.append(nn.ActivityPenalty())
        if self.mean_activity:
            layers.append(nn.MeanActivity(self.mean_activity, self.mean_activity_weight))
        if self.dropout:
            layers.append(nn.Dropout())
        return layers
