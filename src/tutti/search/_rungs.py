"""Rungs: when settings are dropped on the way, and how many."""

from math import ceil

from tutti.training import Rung

EARLY = 16  # settings, from which on the first half goes at a sixteenth of the horizon
FEWEST = 2  # settings that are trained to the end


def halving(settings: int, horizon: int, segment: int) -> tuple[Rung, ...]:
    """Rungs that drop the worse half at about 1/16, 1/8, 1/4 and 1/2 of the horizon, down to two settings.

    Of fewer than 16 settings none goes before 1/8: a few rates are compared too early while they still warm up. Rungs
    stand at ends of segments (`segment` steps), for only there settings are judged anyway.

    32 settings cost 6.0/32 of the full grid. Replayed on logged curves of full grids (docs/LOG.md): by the log-loss,
    which decides between settings, the best of 32 was never dropped on digits; on the develop tables, where many
    settings are equal within noise, the mean accuracy lost was 0.0005.
    """
    made: list[Rung] = []
    left = settings
    for share in (16, 8, 4, 2) if settings >= EARLY else (8, 4, 2):
        keep, step = max(FEWEST, ceil(left / 2)), max(1, round(horizon / share / segment)) * segment
        if keep < left and step < horizon and (not made or step > made[-1].step):
            made.append(Rung(step=step, keep=keep))
            left = keep
    return tuple(made)
