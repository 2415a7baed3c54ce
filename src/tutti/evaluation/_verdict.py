"""The verdict: what the comparison with the baselines allows to say, in one plain sentence."""

from collections.abc import Mapping
from math import floor, isfinite, log10

from tutti.metrics import Difference

_SPOKEN = {"trivial": "the trivial prediction", "linear": "the linear baseline", "boosted trees": "boosted trees"}
_INSTEAD = {"trivial": "the mean or the most frequent class", "linear": "the linear model", "boosted trees": "them"}


def verdict(differences: Mapping[str, Difference]) -> str:
    """One sentence on the network against its baselines, from test rows that took no part in any choice.

    `differences` are metric(network) − metric(baseline) by baseline name ("trivial", "linear", "boosted
    trees", or those of a kind of data: "label propagation"), on the same test rows. Without any (nothing was held
    out) no claim is made. In this order:
    - worse than some baseline: the one by which it loses most is named, to be used instead;
    - not distinguishable from the trivial prediction: said so, with what is excluded;
    - not distinguishable from the linear baseline, or from boosted trees: said so with what is excluded; the
      simpler model is preferred where it is the linear one;
    - better than all: by how much against the strongest, the one with the least gain.
    "Better" and "worse" mean that the interval of the paired difference leaves zero out; to be better than all
    is claimed only where it is so for each, which needs no correction for having several.
    """
    known = {name: d for name, d in differences.items() if isfinite(d.value)}
    if not known:
        return "No rows were held out, so there is no verdict: the scores shown took part in choosing."
    worse = [name for name, d in known.items() if d.outcome == "worse"]
    equal = [name for name, d in known.items() if d.outcome == "equal"]
    if worse:
        name = min(worse, key=lambda n: known[n].gain.value)
        return f"The network is worse than {_by(name, known[name])}: use {_INSTEAD.get(name, 'that')} instead."
    if "trivial" in equal:
        told = "the features do not tell the target, or the rows are too few."
        return f"The network is {_alike(['trivial'], known)}: {told}"
    if "linear" in equal:
        return f"The network is {_alike(equal, known)}: prefer the linear model, it is simpler."
    if equal:
        ahead = " It is better than the linear baseline." if "linear" in known else ""
        return f"The network is {_alike(equal, known)}: either will do.{ahead}"
    name = min(known, key=lambda n: known[n].gain.value)
    rest = ", the strongest baseline," if len(known) > 1 else ""
    return f"The network is better than {_by(name, known[name], rest)}."


def _by(name: str, d: Difference, aside: str = "") -> str:
    low, high = sorted((abs(d.low), abs(d.high)))
    places = _places(high - low)
    size = f"{abs(d.value):.{places}f} [{low:.{places}f}, {high:.{places}f}]"
    return f"{_SPOKEN.get(name, name)}{aside} by {size} in {_metric(d)} on {d.n:,} test rows"


def _alike(names: list[str], known: Mapping[str, Difference]) -> str:
    """The excluded difference is the largest over those named: it holds for each of them."""
    spoken = " or ".join(_SPOKEN.get(name, name) for name in names)
    most = max(known[name].excluded for name in names)
    d = known[names[0]]
    excluded = f"differences above {most:.{_places(most)}f} in {_metric(d)} are excluded"
    return f"not distinguishable from {spoken} at n = {d.n:,} ({excluded})"


def _metric(d: Difference) -> str:
    return {"auc": "AUC", "rmse": "RMSE", "mse": "MSE", "mae": "MAE", "r2": "R²"}.get(
        d.metric, d.metric.replace("_", " ")
    )


def _places(width: float) -> int:
    """Decimals that show a width to two digits."""
    return 3 if width <= 0 or not isfinite(width) else min(12, max(0, 1 - floor(log10(width))))
