"""Kneser–Ney: the n-gram model that language models are measured by, counted with sorted numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

MARGIN = 0.05  # a discount lies so far within its bounds, whatever so few counts say


@dataclass(frozen=True)
class _Counts:
    """Counts of the runs of one length, by run and by context, and the three discounts."""

    runs: Float[np.ndarray, " runs"]
    totals: Float[np.ndarray, " contexts"]
    left: Float[np.ndarray, " contexts"]  # probability, times `totals`, that goes to shorter contexts
    discounts: Float[np.ndarray, " three_and_none"]

    @classmethod
    def of(cls, runs: Int[np.ndarray, " runs"], contexts: Int[np.ndarray, " runs"], count: int) -> "_Counts":
        discounts = _discounts(runs)
        less = discounts[np.minimum(runs, 3)]
        return cls(
            runs.astype(np.float64),
            np.bincount(contexts, runs, count),
            np.bincount(contexts, less, count),
            discounts,
        )

    def shares(
        self, place: Int[np.ndarray, " asked"], context: Int[np.ndarray, " asked"]
    ) -> tuple[Float[np.ndarray, " asked"], Float[np.ndarray, " asked"]]:
        """max(c − D(c), 0)/total of runs (place −1: never seen), and what is left to shorter contexts: all, where the
        context stands at the end of a text alone and nothing ever followed."""
        seen = np.where(place >= 0, self.runs[np.maximum(place, 0)], 0.0)
        total = self.totals[context]
        ended = total == 0
        total = np.where(ended, 1.0, total)
        own = (seen - self.discounts[np.minimum(seen, 3).astype(np.int64)]) / total
        return own, np.where(ended, 1.0, self.left[context] / total)


def _discounts(counts: Int[np.ndarray, " runs"]) -> Float[np.ndarray, " three_and_none"]:
    """D(0) = 0, and D(1), D(2), D(3 and more) by Chen & Goodman (1999), eq. 17: Y = n₁/(n₁ + 2n₂), D(k) = k −
    (k + 1) Y n₍ₖ₊₁₎/nₖ, where nₖ runs occur k times; kept within [MARGIN, k − MARGIN], and k/2 where nₖ is 0."""
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0
    found = [0.0]
    for k in (1, 2, 3):
        raw = k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k / 2
        found.append(float(np.clip(raw, MARGIN, k - MARGIN)))
    return np.array(found)


@dataclass(frozen=True)
class _Level:
    """Runs of one length: a run is its first tokens' number among the shorter runs, and its last token."""

    keys: Int[np.ndarray, " runs"]  # ascending: number of the context · tokens + last token
    seen: _Counts  # how often each run occurs
    after: _Counts  # how many different tokens stand in front of it


class KneserNey:
    """Interpolated Kneser–Ney with three discounts (Chen & Goodman 1999), for all orders up to `order` at once.

    p(w | h) = (c(hw) − D(c(hw)))/c(h·) + λ(h) p(w | h'), h' being h without its first token. At the highest order c
    counts occurrences, below it the different tokens that stand in front; λ(h) makes the sum over w 1. Behind the
    last order stands the uniform distribution over `tokens` tokens. A context that was never seen says nothing: the
    shorter one decides. Near the beginning of a window, where fewer than order − 1 tokens are given, the model of
    that lower order is used, with its own counts at the top: the model is told what a network is told.

    stretches: the texts that train; no run goes across their ends.
    """

    def __init__(self, stretches: Sequence[Int[np.ndarray, " _stretch"]], tokens: int, order: int) -> None:
        self.tokens, self.order = tokens, order
        text = np.concatenate(list(stretches)).astype(np.int64)
        into = np.concatenate([np.arange(len(part)) for part in stretches])
        self.levels: list[_Level] = []
        ends = np.zeros(len(text), np.int64)  # number of the run of the last length that ends at each place
        last: tuple[np.ndarray, np.ndarray, int] | None = None
        for length in range(1, order + 1):
            there = np.flatnonzero(into >= length - 1)
            before = ends[there - 1] if length > 1 else ends[there]
            keys, place, counts = np.unique(before * tokens + text[there], return_inverse=True, return_counts=True)
            if not len(keys):
                break
            if last is not None:
                one = np.zeros(len(keys), np.int64)
                one[place] = (
                    there  # a place where each run ends; without its first token it is a run of the last length
                )
                self.levels.append(self._level(*last, np.bincount(ends[one], minlength=len(last[0]))))
            contexts = len(last[0]) if last is not None else 1
            ends = np.zeros(len(text), np.int64)
            ends[there] = place
            last = keys, counts, contexts
        assert last is not None
        self.levels.append(self._level(*last, last[1]))

    def _level(self, keys: np.ndarray, counts: np.ndarray, contexts: int, fronts: np.ndarray) -> _Level:
        """fronts: how many different tokens stand in front of each run; of one at the very beginning 0, which counts
        as 1, so that no total is 0."""
        context = keys // self.tokens
        after = _Counts.of(np.maximum(fronts, 1), context, contexts)
        return _Level(keys, _Counts.of(counts, context, contexts), after)

    def surprises(
        self, windows: Int[np.ndarray, "rows time"], order: int | None = None
    ) -> Float[np.ndarray, "rows later"]:
        """−ln p of every token of these windows but the first, from those before it in its window."""
        rows, time = windows.shape
        order = min(order or self.order, len(self.levels))
        runs, place = self._runs(windows, order)
        answers = np.zeros((rows, time - 1))
        for top in range(2, order + 1):  # the first places have models of their own
            last = top == order
            part = slice(top - 1, None) if last else slice(top - 1, top)
            answers[:, top - 2 : time - 1 if last else top - 1] = self._mixed(runs, place, top, part)
        if order == 1:
            answers = self._mixed(runs, place, 1, slice(1, None))
        return np.asarray(-np.log(answers))

    def _mixed(
        self, runs: list[np.ndarray], place: list[np.ndarray], top: int, part: slice
    ) -> Float[np.ndarray, "rows part"]:
        """p of the tokens in these columns by the model of order `top`."""
        p = np.full(runs[0][:, part].shape, 1 / self.tokens)
        for length in range(1, top + 1):
            level = self.levels[length - 1]
            context = place[length - 1][:, part]
            known = context >= 0
            counts = level.seen if length == top else level.after
            own, left = counts.shares(runs[length - 1][:, part][known], context[known])
            p[known] = own + left * p[known]
        return p

    def _runs(self, windows: np.ndarray, order: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For each length the number of the run that ends at each place of the windows, and of its context; −1 for
        those that were never seen or begin before the window."""
        runs, contexts = [], []
        before = np.zeros(windows.shape, np.int64)
        for level in self.levels[:order]:
            wanted = before * self.tokens + windows
            found = np.minimum(np.searchsorted(level.keys, wanted), len(level.keys) - 1)
            run = np.where((before >= 0) & (level.keys[found] == wanted), found, -1)
            runs.append(run)
            contexts.append(before)
            before = np.concatenate([np.full((len(windows), 1), -1), run[:, :-1]], axis=1)
        return runs, contexts
