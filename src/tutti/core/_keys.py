"""Random numbers that belong to the member: a stateless integer hash of (seed, fold, stream, step, place).

Nothing is drawn from a generator with a state, so a member's numbers do not depend on its slot, its
neighbours, the executor, or how often a run was stopped and resumed.

The hash is Wellons' `lowbias32` (github.com/skeeto/hash-prospector): x ^= x≫16; x *= 0x7feb352d; x ^= x≫15;
x *= 0x846ca68b; x ^= x≫16, in arithmetic modulo 2³². A draw is lowbias32(lowbias32(counter) + key).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int, UInt32
from torch import Tensor

_M1 = 0x7FEB352D
_M2 = 0x846CA68B
_GOLDEN = 0x9E3779B9
_WORD = 0xFFFFFFFF


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def hash_words(words: UInt32[np.ndarray, "*shape"]) -> UInt32[np.ndarray, "*shape"]:
    """lowbias32 of each word (uint32 in, uint32 out), on the host."""
    x = words.astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(_M1)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(_M2)
    return x ^ (x >> np.uint32(16))


def stream_key(*parts: int) -> int:
    """One 32-bit key from whole numbers such as (seed, fold, stream); order matters."""
    key = 0
    for part in parts:
        for word in (part & _WORD, (part >> 32) & _WORD):
            key = _hash_word((key * 31 + _GOLDEN + _hash_word(word)) & _WORD)
    return key


def _hash_word(x: int) -> int:
    """lowbias32 of one word: NumPy takes ten times as long for it."""
    x = ((x ^ x >> 16) * _M1) & _WORD
    x = ((x ^ x >> 15) * _M2) & _WORD
    return x ^ x >> 16


def step_keys(key: int, first: int, last: int) -> Int[np.ndarray, " step"]:
    """The keys of steps first … last−1 of a stream, as int32."""
    steps = np.arange(first, last, dtype=np.uint32)
    return hash_words(hash_words(steps) + np.uint32(key)).view(np.int32)


def _hash(x: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """lowbias32 of int32 words. Signed shifts are made unsigned by masks; two tensors serve all passes."""
    x = _folded(x, 16, 0xFFFF).mul_(_M1)
    x = _folded(x, 15, 0x1FFFF).mul_(_signed(_M2))
    return _folded(x, 16, 0xFFFF)


def _folded(x: Int[Tensor, "*shape"], bits: int, mask: int) -> Int[Tensor, "*shape"]:
    """x ^ (x ≫ bits), unsigned, in a tensor of its own."""
    return (x >> bits).bitwise_and_(mask).bitwise_xor_(x)


def random_bits(key: Int[Tensor, "*member"], count: int, first: int = 0) -> Int[Tensor, "*member {count}"]:
    """Words first … first + count − 1 of each key's uniform 32-bit words (int32)."""
    counter = torch.arange(first, first + count, dtype=torch.int32, device=key.device)
    return _hash(_hash(counter) + key.to(torch.int32)[..., None])


def random_uniform(key: Int[Tensor, "*member"], count: int, first: int = 0) -> Float[Tensor, "*member {count}"]:
    """`count` float32 numbers in [0, 1) for each key, from number `first` on: the upper 24 bits of each word."""
    return ((random_bits(key, count, first) >> 8) & 0xFFFFFF).to(torch.float32) * 2.0**-24


def permutation(key: int, count: int) -> Int[np.ndarray, " {count}"]:
    """A permutation of 0 … count−1 that depends on `key` alone: a stable sort by hashed counters."""
    counter = np.arange(count, dtype=np.uint32)
    words = hash_words(hash_words(counter) + np.uint32(key & 0xFFFFFFFF))
    return np.argsort(words, kind="stable")


class _Draws:
    """The keys of the step under way, and how many places of the network have drawn so far."""

    def __init__(self, keys: Int[Tensor, "*member"], first_row: int) -> None:
        self.keys = keys
        self.first_row = first_row
        self.place = 0


_draws: ContextVar[_Draws | None] = ContextVar("tutti_draws", default=None)


@contextmanager
def random_keys(keys: Int[Tensor, "*member"], first_row: int = 0) -> Iterator[None]:
    """While open, layers draw from these keys: one per member (stacked), or a scalar (one member).

    first_row: where the rows at hand begin in their batch. What is drawn for a row then does not depend on the
    micro-batch that it comes in, as long as the first axis of what is drawn (after the member's) is the batch.
    """
    token = _draws.set(_Draws(keys, first_row))
    try:
        yield
    finally:
        _draws.reset(token)


def draw_uniform(like: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Uniform numbers in [0, 1) of the shape of `like`, from the keys of the step under way.

    With keys of shape [streams] and `like` of shape [settings·streams, …], every setting gets the same numbers
    in the same stream: settings are compared in pairs. Without open keys (a layer used on its own) torch's
    generator is used. Half-precision tensors get float32 numbers: rounded to their eight bits, a mask would keep
    other places, and 1 itself would be drawn.
    """
    draws = _draws.get()
    if draws is None:
        return torch.rand_like(like, dtype=torch.promote_types(like.dtype, torch.float32))
    place = _hash(torch.full_like(draws.keys, draws.place) + _signed(_GOLDEN))
    draws.place += 1
    keys = draws.keys ^ place
    shape = like.shape[keys.ndim :]
    first = draws.first_row * prod(shape[1:])
    numbers = random_uniform(keys, prod(shape), first).to(torch.promote_types(like.dtype, torch.float32))
    if keys.ndim == 0:
        return numbers.view(shape)
    repeat = like.shape[0] // keys.shape[0]
    return numbers.view(1, keys.shape[0], *shape).expand(repeat, -1, *shape).reshape(like.shape)
