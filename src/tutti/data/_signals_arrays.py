"""Arrays and lists of arrays as signals; and whether their axes stand the other way round."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Num

from tutti.core import Finding, InputError, InputTypeError
from tutti.data._sources import as_array

Signal = Num[np.ndarray, "_channel _time"]  # each its own length
SHORT = 16  # samples; where signals have fewer, and SHORTER times as many channels, these are taken for the times
SHORTER = 4


def signals_of(source: Any) -> list[Signal]:
    """Signals [channel, time] of an array [row, time] or [row, channel, time], or of a list of such rows."""
    array = None if isinstance(source, list | tuple) else as_array(source)
    each = list(array) if array is not None and array.ndim in (2, 3) else source
    if not isinstance(each, list | tuple):
        shape = "" if array is None else f" of shape {array.shape}"
        raise InputTypeError(
            f"A {type(source).__name__}{shape} holds no signals.",
            fix="Give an array [row, time] or [row, channel, time], or a list of arrays [time] or [channel, time].",
        )
    signals = []
    for place, values in enumerate(each):
        found = as_array(values)
        found = np.asarray(values) if found is None else found
        if found.ndim not in (1, 2) or found.dtype.kind not in "fiub" or not found.size:
            raise InputError(
                f"Signal {place} has the shape {found.shape} and the type {found.dtype}.",
                fix="Give numbers, [time] or [channel, time], one sample at least.",
            )
        signals.append(found.reshape(-1, found.shape[-1]))
    if not signals:
        raise InputError("There are no signals.", fix="Give at least one.")
    return signals


def check_axes(signals: Sequence[Signal], *, asked: bool) -> list[Finding]:
    """Refuses signals whose channels look like times, as those of [row, time, channel] do: of one sample, or of fewer
    than SHORT and SHORTER times as many channels. asked: the user said that these are signals; then those of two
    samples and more are read as they stand, and a finding says how."""
    channels, times = signals[0].shape
    alike = all(signal.shape == (channels, times) for signal in signals)
    if not alike or channels < 2 or not (times == 1 or (times < SHORT and SHORTER * times < channels)):
        return []
    told = (
        f"As [row, channel, time] these are {len(signals):,} signals of {channels:,} channels and {times:,} "
        f"sample{'s' * (times > 1)} each."
    )
    fix = "Where they are [row, time, channel], give X.swapaxes(1, 2) (of a list: [x.T for x in X])."
    if asked and times > 1:
        return [Finding(kind="few-samples", where="signals", message=f"{told} {fix}")]
    stands = "" if times == 1 else ' data="signals" reads them as they stand.'
    raise InputError(told, fix=fix + stands)
