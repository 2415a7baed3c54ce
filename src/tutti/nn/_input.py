"""The front of a network for tables: raw numbers and codes in, features and known codes out. No parameters."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti import core


def _take(x: Tensor, columns: Int[Tensor, "*member column"]) -> Tensor:
    """Columns of x [*member, batch, …], named per member."""
    return x.gather(-1, columns.unsqueeze(-2).expand(*x.shape[:-1], columns.shape[-1]))


class KnownCodes(nn.Module):
    """Codes that the member's training rows do not hold become 0, "never seen".

    Buffer known [*member, category, codes] (boolean, padded to the largest category); codes [*member, batch,
    category] of whole numbers below the category's count.
    """

    stacked = True
    known: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.register_buffer("known", torch.ones(len(levels), max(levels, default=1), dtype=torch.bool))

    def forward(self, codes: Int[Tensor, "*member batch category"]) -> Int[Tensor, "*member batch category"]:
        return codes * self.known.gather(-1, codes.mT).mT


class OneHot(nn.Module):
    """One column of 0 and 1 for each code ≥ 1 of the categories at `columns`; code 0 (never seen) is all 0.

    Buffers column and code [*member, feature]: what each result column compares. They are constants; as buffers
    they move with the network and stack with it.
    """

    stacked = True
    column: Tensor
    code: Tensor

    def __init__(self, levels: Sequence[int], columns: Sequence[int]) -> None:
        super().__init__()
        pairs = [(j, code) for j in columns for code in range(1, levels[j])]
        self.features = len(pairs)
        self.register_buffer("column", torch.tensor([j for j, _ in pairs], dtype=torch.int64))
        self.register_buffer("code", torch.tensor([code for _, code in pairs], dtype=torch.int64))

    def forward(self, codes: Int[Tensor, "*member batch category"]) -> Tensor:
        return _take(codes, self.column) == self.code.unsqueeze(-2)


class TableInput(nn.Module):
    """numbers [*member, batch, number] (raw, NaN = missing), codes [*member, batch, category] -> (features, codes).

    features: the numbers through `scale` (any layer of nn's scalings, encodings or expansions; its attribute
    `features` counts its results), those at the places `behind` after the others, then one column of 0/1 per feature
    in `shape.missing` that says where it was missing, then the one-hot columns of the categories in `onehot`. codes:
    the remaining categories, in the order `embedded`, with codes that the training rows do not hold set to 0.

    Attributes: `numeric` how many leading features come from `scale` and are not `behind`, `features` how many there
    are.
    Which columns exist depends on `shape` alone, never on a fold's values, so fronts of all folds stack.
    """

    stacked = True
    missing: Tensor
    embedded: Tensor
    order: Tensor

    def __init__(
        self,
        shape: core.TableShape,
        scale: nn.Module,
        numeric: int,
        *,
        behind: Sequence[int] = (),
        onehot: Sequence[int] = (),
        embedded: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.numbers = scale
        self.numeric = numeric - len(behind)
        self.parted = bool(behind)
        self.known = KnownCodes(shape.levels) if shape.levels else None
        self.onehot = OneHot(shape.levels, onehot) if onehot else None
        self.indicators = len(shape.missing)
        self.kept = len(embedded)
        self.features = numeric + self.indicators + (self.onehot.features if self.onehot else 0)
        self.register_buffer("missing", torch.tensor(shape.missing, dtype=torch.int64))
        self.register_buffer("embedded", torch.tensor(embedded, dtype=torch.int64))
        if behind:
            order = [i for i in range(numeric) if i not in behind] + list(behind)
            self.register_buffer("order", torch.tensor(order, dtype=torch.int64))

    def forward(
        self, numbers: Float[Tensor, "*member batch number"], codes: Int[Tensor, "*member batch category"]
    ) -> tuple[Float[Tensor, "*member batch feature"], Int[Tensor, "*member batch kept"]]:
        scaled = self.numbers(numbers)
        parts = [_take(scaled, self.order) if self.parted else scaled]
        if self.indicators:
            parts.append((~torch.isfinite(_take(numbers, self.missing))).to(numbers.dtype))
        if self.known is not None:
            codes = self.known(codes)
            if self.onehot is not None:
                parts.append(self.onehot(codes).to(numbers.dtype))
            codes = _take(codes, self.embedded)
        return (parts[0] if len(parts) == 1 else torch.cat(parts, -1)), codes
