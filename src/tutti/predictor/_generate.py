"""Text from a language model, one token after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import InputError
from tutti.models import LanguageNetwork

FIRST = 2  # tokens 0 and 1 stand for nothing and for what the vocabulary lacks: neither is ever drawn


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is drawn from the probabilities p, in this order.

    temperature T > 0: p^(1/T), normalised; below 1 surer, above 1 bolder. top_k: of all tokens the k most likely
    ones. top_p in (0, 1]: the fewest most likely ones that together have a probability of top_p (nucleus sampling,
    Holtzman et al. 2020); at least one. Ties go to the smaller token.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"The temperature is {self.temperature}; expected a number above 0.",
                fix="For the likeliest token each time, give top_k=1 (--top-k 1).",
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k is {self.top_k}; expected at least 1.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; expected a number above 0, up to 1.")

    def of(self, logits: Float[Tensor, " tokens"]) -> Float[Tensor, " tokens"]:
        """The probabilities that a token is drawn by, from ln p (up to a constant), in float64."""
        p = (logits.double() / self.temperature).softmax(0)
        likely, order = p.sort(descending=True, stable=True)
        if self.top_k is not None:
            likely[self.top_k :] = 0
        if self.top_p is not None:
            total = likely.sum()
            likely[(likely.cumsum(0) - likely) / total >= self.top_p] = 0
        chosen = torch.zeros_like(p).scatter_(0, order, likely)
        return chosen / chosen.sum()


class _Reader:
    """The networks of an ensemble side by side, with what they remember of the text so far.

    A window holds at most `length` tokens. When it is full they go on from its last half: the memory is emptied and
    read anew, so that a token costs a step of one token, and one of half a window now and then.
    """

    def __init__(self, networks: Sequence[LanguageNetwork], length: int, *, remember: bool) -> None:
        self.networks, self.length, self.remember = networks, length, remember
        self.held: list[int] = []
        self.memories = self._empty()

    def _empty(self) -> list[object]:
        return [network.memory(self.length) for network in self.networks]

    def read(self, tokens: Sequence[int]) -> Float[Tensor, " tokens"]:
        """ln of the networks' mean probability of each next token, once these stand behind those before; of more
        than a window holds the last ones count."""
        new = list(tokens)[-self.length :]
        if len(self.held) + len(new) > self.length:
            keep = max(len(new), self.length // 2)
            new = (self.held + new)[-keep:]
            self.held, self.memories = [], self._empty()
        self.held += new
        if not self.remember:
            new = self.held
        given = torch.tensor([new], dtype=torch.int32)
        each = []
        for network, memory in zip(self.networks, self.memories, strict=True):
            device = next(network.parameters()).device
            said = network.logits(given.to(device), memory if self.remember else None)[0, -1]
            each.append(said.double().log_softmax(0).cpu())
        return torch.stack(each).logsumexp(0)


@torch.no_grad()
def generate(
    networks: Sequence[LanguageNetwork],
    prompt: Int[Tensor, " given"],
    *,
    length: int,
    sampling: Sampling,
    seed: int = 0,
    remember: bool = True,
) -> Iterator[int]:
    """Endlessly tokens that may follow the prompt: each is drawn by `Sampling` from the mean probability of the
    networks (in evaluation mode), given those before it in a window of at most `length` tokens (see `_Reader`).

    seed: of torch's generator on the CPU; the same one gives the same text. remember: False computes every window
    anew, which gives the same probabilities up to rounding, and takes longer.
    """
    reader = _Reader([network.eval() for network in networks], length, remember=remember)
    draw = torch.Generator().manual_seed(seed)
    new = prompt.tolist()
    while True:
        logits = reader.read(new)
        logits[:FIRST] = -float("inf")
        new = [int(torch.multinomial(sampling.of(logits), 1, generator=draw))]
        yield new[0]
