"""`tutti fit`: from a file to a judged and saved model."""

import inspect
import json
from typing import Any

from tutti.cli import _options as o
from tutti.cli._json import print_json, summary
from tutti.cli._start import importing, process_began

_OF_THE_COMMAND = ("resume", "as_json", "quiet")  # not of the fit


def fit(
    source: o.Source = None,
    target: o.Target = None,
    kind: o.Kind = None,
    keep: o.Keep = None,
    drop: o.Drop = None,
    weight: o.Weight = None,
    no_header: o.NoHeader = False,
    delimiter: o.Delimiter = None,
    data: o.Data = None,
    text: o.TextColumn = None,
    set_by: o.SetColumn = None,
    edges: o.Edges = None,
    links: o.Links = False,
    smiles: o.Smiles = None,
    masks: o.Masks = None,
    target_from: o.TargetFrom = None,
    forecast: o.Forecast = None,
    horizon: o.Horizon = None,
    window: o.Window = None,
    parts: o.Parts = None,
    generate: o.Generate = False,
    vocabulary: o.Vocabulary = None,
    unit: o.Unit = None,
    size: o.Size = None,
    length: o.Length = None,
    rate: o.Rate = None,
    skip: o.Skip = False,
    folds: o.Folds = 5,
    test: o.Test = None,
    test_size: o.TestSize = None,
    time: o.Time = None,
    group: o.Group = None,
    series: o.Series = None,
    gap: o.Gap = 0,
    task: o.Task = None,
    metric: o.Metric = None,
    model: o.Model = None,
    optimizer: o.Optimizer = None,
    schedule: o.Schedule = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    learning_rate: o.LearningRate = None,
    weight_decay: o.WeightDecay = None,
    setting: o.Hyper = None,
    class_weight: o.ClassWeight = None,
    no_rungs: o.NoRungs = False,
    device: o.Device = None,
    executor: o.Executor = None,
    precision: o.Precision = "float32",
    across: o.Across = None,
    budget: o.Budget = None,
    seed: o.Seed = 0,
    out: o.Out = None,
    no_examples: o.NoExamples = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    resume: o.Resume = None,
) -> None:
    """Tune, cross-validate, compare, judge and save a network: for a table, images, signals, text, graphs, sets."""
    given = dict(locals())  # first of all: every option, by its name
    began = process_began()  # the budget is of the whole command, loading included
    with importing():
        from tutti.cli._observers import observe, stop_if_interrupted

    with observe(to_stderr=as_json, quiet=quiet, reading=resume or source or "") as observer:
        with importing():
            from tutti import learn

        if resume is not None:
            _alone(given)
            fitted = learn.resume(resume, observer=observer, began=began)
        else:
            wanted = _wanted(given)
            fitted = learn.fit(wanted.pop("source"), observer=observer, began=began, **wanted)
    if as_json:
        print_json(summary(fitted.result))
    stop_if_interrupted(fitted.run)


def _alone(given: dict[str, Any]) -> None:
    """Refuses --resume beside what the interrupted run has fixed already."""
    from tutti.core import InputError

    for name, parameter in inspect.signature(fit).parameters.items():
        if name not in _OF_THE_COMMAND and given[name] != parameter.default:
            raise InputError(
                f"--resume goes on as the run was begun; it takes no {name.replace('_', '-')!r}.",
                fix=f"Leave it out: tutti fit --resume {given['resume']}",
            )


def _wanted(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `learn.fit` for the options of the command line."""
    from tutti.core import InputError

    wanted = {name: value for name, value in given.items() if name not in _OF_THE_COMMAND}
    if wanted["source"] is None:
        raise InputError("There is no data.", fix="Name a file, or a data set such as digits: tutti fit digits")
    target = wanted.pop("target")
    wanted["target"] = target[0] if target and len(target) == 1 else target
    wanted["kinds"] = _pairs(wanted.pop("kind"), "--kind", "COLUMN=KIND", "zip=category")
    wanted["setting"] = _numbers(wanted["setting"])
    wanted["keep"] = tuple(wanted["keep"] or ())
    wanted["drop"] = tuple(wanted["drop"] or ())
    wanted["header"] = not wanted.pop("no_header")
    wanted["examples"] = not wanted.pop("no_examples")
    wanted["rungs"] = not wanted.pop("no_rungs")
    wanted["learning_rates"] = wanted.pop("learning_rate")
    wanted["weight_decays"] = wanted.pop("weight_decay")
    wanted["set"] = wanted.pop("set_by")
    forecast = wanted["forecast"]
    wanted["forecast"] = forecast[0] if forecast and len(forecast) == 1 else forecast
    wanted["size"] = _size(wanted["size"])
    wanted["parts"] = _parts(wanted["parts"])
    for name in ("model", "optimizer", "schedule"):
        wanted[name] = _config(f"--{name}", wanted[name])
    if wanted["test_size"] is None:
        del wanted["test_size"]
    elif wanted["test"] is not None:
        raise InputError("Both --test and --test-size are given.", fix="Leave one of them out.")
    return wanted


def _pairs(given: list[str] | None, flag: str, form: str, example: str) -> dict[str, str] | None:
    """{"zip": "category"} for ["zip=category"]."""
    if not given:
        return None
    from tutti.core import InputError

    pairs = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"{flag} is {text!r}; expected {form}.", fix=f"For example: {flag} {example}")
        pairs[name] = value
    return pairs


def _numbers(given: list[str] | None) -> dict[str, float] | None:
    """{"dropout": 0.1} for ["dropout=0.1"]."""
    pairs = _pairs(given, "--setting", "NAME=NUMBER", "dropout=0.1") or {}
    try:
        return {name: float(value) for name, value in pairs.items()} or None
    except ValueError:
        from tutti.core import InputError

        raise InputError(
            f"--setting is {', '.join(given or ())}; expected a number behind each name.",
            fix="For example: --setting dropout=0.1",
        ) from None


def _size(given: str | None) -> tuple[int, int] | None:
    """(32, 48) for "32x48"; (32, 32) for "32"."""
    if given is None:
        return None
    parts = given.lower().split("x")
    if not all(part.isdigit() and int(part) for part in parts) or len(parts) > 2:
        from tutti.core import InputError

        raise InputError(f"--size is {given!r}; expected HEIGHTxWIDTH.", fix="For example: --size 64x64")
    return int(parts[0]), int(parts[-1])


def _parts(given: str | None) -> tuple[int, ...] | None:
    """(8640, 2880, 2880) for "8640,2880,2880"."""
    if given is None:
        return None
    try:
        return tuple(int(part) for part in given.split(","))
    except ValueError:
        from tutti.core import InputError

        raise InputError(
            f"--parts is {given!r}; expected three whole numbers.", fix="For example: --parts 8640,2880,2880"
        ) from None


def _config(flag: str, given: str | None) -> str | dict[str, Any] | None:
    """A name as it is; an object where the text is JSON."""
    if given is None or not given.lstrip().startswith("{"):
        return given
    try:
        read: dict[str, Any] = json.loads(given)
    except json.JSONDecodeError as error:
        from tutti.core import InputError

        raise InputError(
            f"{flag} is not JSON: {error}.", fix=f"""For example: {flag} '{{"name": "mlp", "hidden": [64, 64]}}'"""
        ) from error
    return read
