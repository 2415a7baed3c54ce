"""Sets in: a random subset of large ones, and their features and sizes on a common scale. No parameters."""

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from tutti import core
from tutti.nn._scaling import scaling


def present_items(counts: Int[Tensor, "*member batch"], items: int) -> Bool[Tensor, "*member batch {items}"]:
    """True for the first `counts` of so many places."""
    return torch.arange(items, device=counts.device) < counts.unsqueeze(-1)


class ItemSubset(nn.Module):
    """At most `trained` items of each set in training, at most `judged` in evaluation; 0 takes all.

    Training: a set of n > `trained` = m items is a ring that begins at a random item; it is cut into m parts of n/m
    items, rounded, and one item of each is drawn. So none comes twice and each is as likely as another. Draws are
    core.draw_uniform's, m + 1 for each set whatever the padding. Sets of at most m items come whole.
    Evaluation: the first `judged` items. Readers put items into an order that is random and depends on what they
    are, not on where they stood (data.Sets), so these are a random subset too, and always the same.

    items [*member, batch, item, feature] of any dtype, counts [*member, batch] -> the items chosen, and which of
    their places are filled.
    """

    stacked = True

    def __init__(self, trained: int = 0, judged: int = 0) -> None:
        super().__init__()
        if trained < 0 or judged < 0:
            raise core.InputError(f"{trained} items of a set in training, {judged} when judged; expected 0 or more.")
        self.trained = trained
        self.judged = judged

    def forward(
        self, items: Num[Tensor, "*member batch item feature"], counts: Int[Tensor, "*member batch"]
    ) -> tuple[Num[Tensor, "*member batch kept feature"], Bool[Tensor, "*member batch kept"]]:
        places, most = items.shape[-2], self.trained if self.training else self.judged
        if not most or places <= most:
            return items, present_items(counts, places)
        if not self.training:
            return items[..., :most, :], present_items(counts, most)
        chosen = self._drawn(counts, most)
        kept = items.gather(-2, chosen.unsqueeze(-1).expand(*chosen.shape, items.shape[-1]))
        return kept, present_items(counts, most)

    @staticmethod
    def _drawn(counts: Int[Tensor, "*member batch"], most: int) -> Int[Tensor, "*member batch kept"]:
        """The places of the items that are drawn; of small sets all, in order."""
        u = core.draw_uniform(torch.empty(*counts.shape, most + 1, device=counts.device))
        n = counts.unsqueeze(-1)
        part = torch.arange(most, device=counts.device)
        first = part * n // most
        width = (part + 1) * n // most - first
        drawn = first + (u[..., :most] * width).long()
        start = (u[..., most:] * n).long()
        return torch.where(n > most, (drawn + start) % n.clamp(min=1), part)

    def extra_repr(self) -> str:
        return f"{self.trained or 'all'} trained, {self.judged or 'all'} judged"


class SetInput(nn.Module):
    """Items' features on a common scale, and log(1 + size) of a set standardised.

    `items` is the scaling layer (nn.SCALINGS; missing values become the training items' centre), fitted on all items
    of the training sets; buffers size_centre and size_scale [*member]: mean and 1/sd over the training sets
    (data.Sets.fit). Result: features [*member, batch, item, feature], size [*member, batch, 1].
    """

    stacked = True
    size_centre: Tensor
    size_scale: Tensor

    def __init__(self, features: int, scale: str = "standard") -> None:
        super().__init__()
        self.items = scaling(scale, features)
        self.register_buffer("size_centre", torch.zeros(()))
        self.register_buffer("size_scale", torch.ones(()))

    def forward(
        self, items: Num[Tensor, "*member batch item feature"], counts: Int[Tensor, "*member batch"]
    ) -> tuple[Float[Tensor, "*member batch item feature"], Float[Tensor, "*member batch 1"]]:
        raw = items.to(self.size_centre.dtype)
        flat: Tensor = self.items(raw.flatten(-3, -2))
        size = counts.to(raw.dtype).log1p()
        size = (size - self.size_centre.unsqueeze(-1)) * self.size_scale.unsqueeze(-1)
        return flat.view(*raw.shape[:-1], flat.shape[-1]), size.unsqueeze(-1)
