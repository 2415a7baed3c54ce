"""Residual connections (He et al. 2016): a branch learns the difference to its input."""

from jaxtyping import Float
from torch import Tensor, nn

from tutti import core


class Residual(nn.Module):
    """y = x + f(x); with a norm: "pre" y = x + f(norm(x)), "post" y = norm(x + f(x)).

    `branch` is f, `shortcut` (where f changes the shape: a dense layer or a 1 × 1 convolution) takes the place of the
    x that is added. With pre-norm the gradient of the last layer reaches the first undiminished; post-norm is the
    Transformer's original form. Raises InputError where f(x) and x differ in shape.
    """

    stacked = True

    def __init__(
        self,
        branch: nn.Module,
        *,
        norm: nn.Module | None = None,
        place: str = "pre",
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if place not in ("pre", "post"):
            raise core.unknown("place of the norm", place, ("pre", "post"))
        self.branch = branch
        self.norm = norm
        self.shortcut = shortcut
        self.place = place

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        inner = self.norm(x) if self.norm is not None and self.place == "pre" else x
        change: Tensor = self.branch(inner)
        kept: Tensor = x if self.shortcut is None else self.shortcut(x)
        if change.shape != kept.shape:
            raise core.InputError(
                f"A residual connection adds {list(change.shape)} to {list(kept.shape)}.",
                fix="Give a shortcut that brings x to the branch's shape, or padding='same' in the branch.",
            )
        y: Tensor = kept + change
        return self.norm(y) if self.norm is not None and self.place == "post" else y
