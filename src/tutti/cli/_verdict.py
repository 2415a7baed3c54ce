"""The end of a fit: how good it is, against what, how sure, and what to do next."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tutti.cli._text import clean, count, duration, interval, number, quoted, setting, signed
from tutti.core import Setting

_FITS = {"under": "underfits", "good": "good", "over": "overfits"}
_BASELINES = {"trivial": "constant", "trees": "boosted trees"}
_LOWER_IS_BETTER = ("rmse", "mse", "mae", "log_loss", "brier")
_USUAL = Setting().to_json()
_NEW = {"images": "NEW_FOLDER", "signals": "NEW_FOLDER", "text": "NEW.txt", "graphs": "NEW_FOLDER"}
_PACKED = ("gz", "bz2", "xz", "zst", "zip")
_WIDE = 96  # characters of a console on which a score, its interval and the difference share a line

Result = Mapping[str, Any]


def baseline_name(name: str) -> str:
    return clean(_BASELINES.get(name, name.replace("_", " ")))


def compared(baseline: Mapping[str, Any], higher_is_better: bool) -> str:
    """`better`, `worse`, or that the interval of the paired difference (ours minus theirs) holds zero."""
    low, high = baseline.get("difference_low"), baseline.get("difference_high")
    if low is None or high is None:
        return ""
    if low > 0 or high < 0:
        return "better" if (low > 0) == higher_is_better else "worse"
    return "not distinguishable"


def verdict(result: Result, width: int) -> RenderableType:
    """The panel for a terminal `width` columns wide, and below it where the run lies."""
    parts: list[RenderableType] = [
        Text(clean(str(result.get("verdict", ""))), "bold"),
        "",
        _scores(result, "  " if width >= _WIDE else "\n"),
        "",
    ]
    facts = Table.grid(padding=(0, 2))
    for name, words in _facts(result):
        facts.add_row(Text(name, "bold"), words)
    after = Table.grid(padding=(0, 2))
    for name, words in _after(result):
        after.add_row(Text(name, "bold"), Text(words, overflow="fold"))
    return Group(Panel(Group(*parts, facts), title="Verdict", title_align="left"), after)


def lines(result: Result) -> Iterator[str]:
    """The same as plain lines."""
    yield f"Verdict: {clean(str(result.get('verdict', '')))}"
    name, better = _metric(result)
    judged = result.get("test")
    if judged:
        words = f"95 % interval {_interval(judged)}, n = {judged.get('n', '-')}"
        yield f"Test {name}: {number(judged['value'])} ({words})"
    for baseline in result.get("baselines", ()):
        difference = f"difference {signed(baseline.get('difference'))}"
        between = interval(baseline.get("difference_low"), baseline.get("difference_high"))
        words = ", ".join(part for part in (between, compared(baseline, better)) if part)
        score = f"{number(baseline['value'])} ({_interval(baseline)})"
        yield f"Baseline {baseline_name(baseline['name'])}: {name} {score}; {difference} ({words})"
    for fact, text in [*_facts(result), *_after(result)]:
        yield f"{fact}: {text}" if fact else f"  or: {text}"


def _metric(result: Result) -> tuple[str, bool]:
    """The metric's name, and whether more of it is better."""
    judged = result.get("test") or result.get("best", {}).get("cv") or {}
    name = str(judged.get("metric", "score"))
    stated = result.get("details", {}).get("metric", {}).get("higher_is_better")
    return clean(name), bool(name not in _LOWER_IS_BETTER if stated is None else stated)


def _interval(score: Mapping[str, Any]) -> str:
    return interval(score.get("low"), score.get("high")) or "no interval"


def _scores(result: Result, between: str) -> Table:
    """Our score and the baselines'; `between` parts a number from its interval: two spaces, or a line end."""
    name, better = _metric(result)
    judged = result.get("test")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column(count(judged["n"], "test row") if judged else "no test rows", overflow="fold")
    table.add_column(f"{name}, 95 % interval", overflow="fold")
    table.add_column("tutti less it", overflow="fold")
    if judged:
        table.add_row("tutti", number(judged["value"]) + between + _interval(judged), "", style="bold")
    for baseline in result.get("baselines", ()):
        apart = interval(baseline.get("difference_low"), baseline.get("difference_high"))
        words = (signed(baseline.get("difference")), apart, compared(baseline, better))
        score = number(baseline["value"]) + between + _interval(baseline)
        table.add_row(baseline_name(baseline["name"]), score, between.join(word for word in words if word))
    return table


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    details = result.get("details", {})
    if result.get("fit_quality"):
        remedy = "" if result["fit_quality"] == "good" else clean(str(details.get("remedy", "")))
        yield (
            "Fit",
            _FITS.get(result["fit_quality"], clean(result["fit_quality"])) + (f": {remedy}" if remedy else ""),
        )
    best = {key: value for key, value in result.get("best", {}).items() if key != "cv"}
    if best:
        yield "Best", setting(best, _USUAL)
    cv = result.get("best", {}).get("cv")
    if cv:
        words = (
            f"{clean(cv['metric'])} {number(cv['mean'])} ({interval(cv.get('low'), cv.get('high')) or 'no interval'})"
        )
        yield "Selection score", f"{words}, from folds that took part in choosing"
    optimism = details.get("optimism")
    if optimism:
        yield (
            "Optimism",
            f"{number(optimism['value'])} of it comes from choosing; corrected {number(optimism['corrected'])}",
        )


def _after(result: Result) -> Iterator[tuple[str, str]]:
    run = quoted(clean(str(result["run"])))
    members = result.get("members", {})
    words = [count(members["trained"], "member") + " trained"] if "trained" in members else []
    words += [f"{members[name]:,} {name}" for name in ("dropped", "diverged") if members.get(name)]
    yield "Run", f"{run} ({', '.join([duration(result.get('seconds', 0.0)), *words])})"
    yield "Next", f"tutti report {run}"
    yield "", _use(result, run)


def _use(result: Result, run: str) -> str:
    """The command that puts the model to use on data of the same sort."""
    data, task = result.get("data", {}), str(result.get("task", ""))
    kind, ending = str(data.get("kind", "table")), _ending(str(data.get("source") or ""))
    if task == "language":
        return f"tutti sample {run}"
    if kind in ("nodes", "edges") and ending != ".npz":
        return f"tutti predict {run} NEW_NODES.csv --edges NEW_EDGES.csv -o predictions.csv"
    new = f"NEW{ending}" if ending else _NEW.get(kind, "NEW.csv")
    return f"tutti predict {run} {new} -o {'masks.tif' if task == 'segmentation' else 'predictions.csv'}"


def _ending(source: str) -> str:
    """The ending of a file's name (.csv, .npz, .csv.gz); of a folder or a name, none."""
    parts = source.rsplit("/", 1)[-1].split(".")[1:]
    kept = parts[-2:] if len(parts) > 1 and parts[-1].lower() in _PACKED else parts[-1:]
    return "".join(f".{part}" for part in kept if part.isalnum() and len(part) <= 7)
