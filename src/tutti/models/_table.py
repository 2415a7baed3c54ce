"""What all networks for tables share: the front, the learned inputs, and the options for both."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model

ENCODINGS = ("none", "ple", "plr", "pbld")


class TableBody(torch_nn.Module):
    """The learned part of a network for tables: (features, codes) -> output.

    The first `numeric` features come from numbers: Gaussian noise (training only) and a learned embedding apply to
    those alone. Category embeddings of `codes` are appended; `trunk` does the rest.
    """

    stacked: ClassVar[bool] = True

    def __init__(
        self,
        *,
        numeric: int,
        noise: torch_nn.Module | None,
        numbers: torch_nn.Module | None,
        categories: torch_nn.Module | None,
        trunk: torch_nn.Module,
    ) -> None:
        super().__init__()
        self.numeric = numeric
        self.noise = noise
        self.numbers = numbers
        self.categories = categories
        self.trunk = trunk

    def forward(
        self, features: Float[Tensor, "*member batch feature"], codes: Int[Tensor, "*member batch kept"]
    ) -> Float[Tensor, "*out"]:
        if self.noise is not None or self.numbers is not None:
            numbers, rest = features[..., : self.numeric], features[..., self.numeric :]
            if self.noise is not None:
                numbers = self.noise(numbers)
            if self.numbers is not None:
                numbers = self.numbers(numbers)
            features = torch.cat((numbers, rest), -1)
        if self.categories is not None:
            features = torch.cat((features, self.categories(codes)), -1)
        output: Tensor = self.trunk(features)
        return output


class TableNetwork(torch_nn.Module):
    """body(*front(numbers, codes)).

    `front` has no parameters: it depends on the data and on buffers fitted on the training rows (data.fit_front).
    `replicas` is k: with k = 1 the output is [*member, batch, out]. A weight-shared ensemble has k > 1 and the
    output [*member, batch, replica, out]: the loss is the mean of the replicas' losses, and a prediction the mean of
    their predictions (of probabilities, not of logits).
    """

    stacked: ClassVar[bool] = True

    def __init__(self, front: torch_nn.Module, body: torch_nn.Module, replicas: int = 1) -> None:
        super().__init__()
        self.front = front
        self.body = body
        self.replicas = replicas

    def forward(
        self, numbers: Float[Tensor, "*member batch number"], codes: Int[Tensor, "*member batch category"]
    ) -> Float[Tensor, "*out"]:
        output: Tensor = self.body(*self.front(numbers, codes))
        return output


@dataclass(frozen=True)
class Inputs:
    """The built input side of a network: see TableInput and TableBody. `chunks`: columns that each input feature
    became, in order; their sum is the width of the trunk's input."""

    front: nn.TableInput
    numbers: torch_nn.Module | None
    categories: torch_nn.Module | None
    noise: torch_nn.Module | None
    chunks: tuple[int, ...]

    @property
    def width(self) -> int:
        return sum(self.chunks)

    def network(self, trunk: torch_nn.Module, replicas: int = 1) -> TableNetwork:
        """The whole network around `trunk`, which takes [*member, batch, width]."""
        body = TableBody(
            numeric=self.front.numeric,
            noise=self.noise,
            numbers=self.numbers,
            categories=self.categories,
            trunk=trunk,
        )
        return TableNetwork(self.front, body, replicas)


def build_inputs(
    shape: core.TableShape,
    scale: torch_nn.Module,
    numeric: int,
    *,
    onehot_up_to: int | None = None,
    numbers: torch_nn.Module | None = None,
    behind: Sequence[int] = (),
    noise: bool = False,
) -> Inputs:
    """The input side: `scale` makes `numeric` features of the raw numbers, which `numbers` may embed further, but for
    those at the places `behind`.

    A category of at most `onehot_up_to` values (codes above 0; None: any) becomes one-hot columns, a larger one an
    entity embedding of width nn.embedding_width. Embedded categories are ordered by width.
    """
    onehot = [j for j, n in enumerate(shape.levels) if onehot_up_to is None or n - 1 <= onehot_up_to]
    widths = {j: nn.embedding_width(n) for j, n in enumerate(shape.levels) if j not in onehot}
    embedded = sorted(widths, key=lambda j: widths[j])
    groups = [
        (width, [shape.levels[j] for j in embedded if widths[j] == width]) for width in sorted(set(widths.values()))
    ]
    front = nn.TableInput(shape, scale, numeric, behind=behind, onehot=onehot, embedded=embedded)
    columns = front.numeric if numbers is None else int(numbers.features)  # type: ignore[arg-type]  # its own count
    count = shape.numbers - len(behind)
    per_number = columns // count if count and columns % count == 0 else 1
    return Inputs(
        front=front,
        numbers=numbers,
        categories=nn.Categories(groups) if groups else None,
        noise=nn.GaussianNoise() if noise else None,
        chunks=(per_number,) * (columns // per_number)
        + (1,) * (len(behind) + len(shape.missing))
        + tuple(shape.levels[j] - 1 for j in onehot)
        + tuple(widths[j] for j in embedded),
    )


class TableConfig(Model):
    """A Config of a network for tables."""

    kind: ClassVar[str] = "table"

    @abstractmethod
    def build(self, shape: core.TableShape, outputs: int) -> TableNetwork:
        """The network for a table of `shape` and so many outputs; weights come from torch's generator."""


@dataclass(frozen=True, kw_only=True)
class TableModel(TableConfig):
    """Base of the deep networks' Configs: the options of the input side.

    scaling: how numbers are scaled, one of nn.SCALINGS. encoding: what each number then becomes:
    "none": itself; "ple": its piecewise-linear encoding in `bins` quantile bins (in place of the scaling), followed
    by a dense layer with ReLU to `embedding` values per number where that is above 0; "plr", "pbld": a periodic
    embedding of `embedding` values with `frequencies` frequencies of standard deviation `frequency_sd`, but of
    numbers that take two values only, which stay as scaled, behind the others.
    onehot_up_to: categories with at most so many values are one-hot, larger ones embedded.
    noise: whether there is Gaussian noise on the scaled numbers (its strength is the setting's `noise`), but for
    those that stand behind the embedded ones.
    """

    scaling: str = "quantile"
    encoding: str = "none"
    bins: int = 16
    embedding: int = 0
    frequencies: int = 16
    frequency_sd: float = 0.1
    onehot_up_to: int = 16
    noise: bool = False

    def __post_init__(self) -> None:
        if self.scaling not in nn.SCALINGS:
            raise core.unknown("scaling", self.scaling, nn.SCALINGS)
        if self.encoding not in ENCODINGS:
            raise core.unknown("encoding", self.encoding, ENCODINGS)
        if self.bins < 1 or self.embedding < 0 or self.onehot_up_to < 0:
            raise core.InputError(
                f"bins={self.bins}, embedding={self.embedding}, onehot_up_to={self.onehot_up_to}.",
                fix="Use at least one bin, and no negative numbers.",
            )

    def _inputs(self, shape: core.TableShape) -> Inputs:
        n = shape.numbers
        scale: torch_nn.Module = nn.scaling(self.scaling, n)
        numeric = n
        numbers: torch_nn.Module | None = None
        behind: tuple[int, ...] = ()
        if self.encoding == "ple" and n:
            scale, numeric = nn.PiecewiseLinear(n, self.bins), n * self.bins
            numbers = nn.BinLinear(n, self.bins, self.embedding) if self.embedding else None
        elif self.encoding in ("plr", "pbld") and shape.quantities:
            behind = shape.switches
            numbers = nn.Periodic(
                shape.quantities,
                kind="plr" if self.encoding == "plr" else "pbld",
                frequencies=self.frequencies,
                width=self.embedding or 4,
                sd=self.frequency_sd,
            )
        return build_inputs(
            shape,
            scale,
            numeric,
            onehot_up_to=self.onehot_up_to,
            numbers=numbers,
            behind=behind,
            noise=self.noise,
        )


def check_choice(what: str, names: Sequence[str], options: Sequence[str]) -> None:
    """Raises with the nearest name where one of `names` is none of `options`."""
    for name in names:
        if name not in options:
            raise core.unknown(what, name, options)


def check_layers(hidden: Sequence[int]) -> None:
    """Raises where a hidden layer has no units."""
    if any(width < 1 for width in hidden):
        raise core.InputError(
            f"Hidden layers of {list(hidden)} units.", fix="Every hidden layer needs at least one unit."
        )
