"""Signals: channels over time, whole recordings as samples."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int, Num, UInt64
from torch import Tensor, nn

from tutti.core import Finding, InputError, SignalShape, Splits
from tutti.data._row_content import content_hashes
from tutti.data._sample import Encoded, Sample
from tutti.data._signals_alike import near_signals
from tutti.data._signals_fit import fit_signals, sizes_apart

LONG = 0.99  # of the training signals are kept whole, where a few others would lengthen all rows
WASTE = 1.5  # times as long as these is the longest, at least, before it is cut
SHOWN_TIMES = 200  # values of an example's channel, at most
SHOWN_CHANNELS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Signals(Sample):
    """Signals [row, channel, time], float32, or int16 where they were 16-bit sound (32,768 is then 1).

    lengths [row]: how many of the times are there, at least 1; behind them stand zeros that change no result.
    rate: samples a second where known. equal: whether all signals must be equally long, as those were that were
    read first. cut: the most samples that are kept; None: not known before the training rows are.
    tail: how many signals lost their ends to `cut`. uneven: whether sizes differ by far; see `settled`.
    """

    kind: ClassVar[str] = "signals"

    values: Num[Tensor, "row channel time"]
    lengths: Int[Tensor, " row"]
    rate: float | None = None
    equal: bool = True
    cut: int | None = None
    tail: int = 0
    uneven: bool = False
    _known: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def shape(self) -> SignalShape:
        _, channels, length = self.values.shape
        return SignalShape(channels=channels, length=length, rate=self.rate, equal=self.equal, uneven=self.uneven)

    def inputs(self) -> tuple[Tensor, ...]:
        return self.values, self.lengths

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """Centre and scale of each channel (of a spectrogram: of each band) of every nn.SignalInput."""
        return fit_signals(network, self.values, self.lengths, rows)

    def settled(self, rows: Int[np.ndarray, " train"]) -> "Signals":
        """All signals as long as the longest of the training rows; or, where a few of these are WASTE times as long
        as the others, as long as the longest but the longest hundredth: a network pays for every sample of padding.
        Nothing changes where the user gave a length."""
        known = replace(self, uneven=sizes_apart(self.values, self.lengths, rows))
        if self.cut is not None:
            return known
        lengths = self.lengths.numpy()[rows]
        usual, longest = int(np.quantile(lengths, LONG, method="higher")), int(lengths.max())
        return known.shortened(usual if longest > WASTE * usual else longest)

    def shortened(self, cut: int) -> "Signals":
        """The signals up to `cut` samples, padded to no more and no less."""
        tail = int((self.lengths > cut).sum())
        values = nn.functional.pad(self.values, (0, max(0, cut - self.values.shape[-1])))[..., :cut].contiguous()
        lengths = self.lengths.clamp(max=cut)
        return replace(self, values=values, lengths=lengths, cut=cut, tail=tail, _known={})

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Signals":
        index = torch.as_tensor(np.asarray(rows, np.int64))
        return replace(self, values=self.values[index], lengths=self.lengths[index], _known={})

    def joined(self, other: Any) -> "Signals":
        if other.values.shape[1] != self.values.shape[1]:
            raise InputError(
                f"Signals of {self.values.shape[1]} and of {other.values.shape[1]} channels cannot stand in one set.",
                fix="Give both the same channels in the same order.",
            )
        longest = max(self.values.shape[-1], other.values.shape[-1])
        parts = [
            nn.functional.pad(as_dtype(p.values, self.values.dtype), (0, longest - p.values.shape[-1]))
            for p in (self, other)
        ]
        return replace(self, values=torch.cat(parts), lengths=torch.cat([self.lengths, other.lengths]), _known={})

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        """Of the signals without their padding."""
        if "hashes" not in self._known:
            parts = [
                content_hashes(self.values[i : i + 1, :, :n].numpy()) for i, n in enumerate(self.lengths.tolist())
            ]
            self._known["hashes"] = np.concatenate(parts)
        known: np.ndarray = self._known["hashes"]
        return known

    def to_json(self) -> dict[str, Any]:
        sound = self.values.dtype == torch.int16
        return {"kind": self.kind, "shape": self.shape.to_json(), "cut": self.cut, "sound": sound}

    @property
    def summary(self) -> str:
        _, channels, length = self.values.shape
        least, most = int(self.lengths.min()), int(self.lengths.max())
        span = f"{length:,} samples" if least == most else f"{least:,} to {most:,} samples"
        at = "" if self.rate is None else f" at {self.rate:,g} a second"
        return f"{len(self):,} signals, {channels} channel{'s' * (channels > 1)}, {span}{at}"

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """Near-copies across the splits; and what `settled` cut, which was not known before."""
        found = near_signals(self.values, self.lengths, self.hashes(), splits)
        if self.tail:
            message = (
                f"{self.tail} of {len(self):,} signals are longer than {self.cut:,} samples; their ends are cut. "
                "length=SAMPLES (--length) keeps more."
            )
            found.append(Finding(kind="cut-signals", where="signals", message=message, severity="notice"))
        return found

    def example(self, row: int) -> dict[str, Any]:
        """{"kind": "signal", "values": [[…]] by channel}: of each stretch of samples the one farthest from 0."""
        signal = self.values[row, :SHOWN_CHANNELS, : int(self.lengths[row])].double()
        if self.values.dtype == torch.int16:
            signal = signal / 2**15
        step = -(-signal.shape[-1] // SHOWN_TIMES)
        parts = nn.functional.pad(signal, (0, -signal.shape[-1] % step)).unflatten(-1, (-1, step))
        far = parts.gather(-1, parts.abs().argmax(-1, keepdim=True)).squeeze(-1)
        return {"kind": "signal", "values": [[float(f"{v:.4g}") for v in channel] for channel in far.tolist()]}


def as_dtype(values: Num[Tensor, "row channel time"], dtype: torch.dtype) -> Num[Tensor, "row channel time"]:
    """These values as float32 or as 16-bit sound, whichever is asked for."""
    if values.dtype == dtype:
        return values
    if dtype == torch.int16:
        return (values * 2**15).round().clamp(-(2**15), 2**15 - 1).to(torch.int16)
    return values.to(dtype) / (2**15 if values.dtype == torch.int16 else 1)
