"""Everything that a fit can be told, checked once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from numbers import Integral, Real
from os import PathLike
from typing import Any, cast, get_args

import numpy as np

from tutti.core import Config, InputError, InputTypeError, Setting, configure, nearest, unknown
from tutti.data import READING_NAMES, Reading
from tutti.metrics import metric_of
from tutti.models import MODELS, Model
from tutti.optim import SCHEDULES, Rule, find_rules
from tutti.training import Across, ExecutorName, WantedPrecision

MINIMUM_BUDGET = 10.0
GIVEN = "given"  # what folds and a gap are called in a run folder, which keeps the splits

_EXPECTED: tuple[tuple[tuple[str, ...], Any, str], ...] = (
    (("seed", "batch_size", "horizon", "window", "vocabulary", "length"), Integral, "a whole number"),
    (("epochs", "test_size", "rate"), Real, "a number"),
    (("gap",), (Integral, timedelta, np.timedelta64), "a whole number of times, or a timedelta"),
    (("header", "rungs", "baselines", "examples", "refit", "generate", "links", "skip"), bool, "True or False"),
    (
        ("time", "group", "series", "weight", "text", "set", "smiles"),
        (str, int),
        "the name or the number of a column",
    ),
    (("target",), (str, int, list, tuple), "the name or the number of a column, or a list of them"),
    (("task", "metric", "class_weight", "delimiter", "device", "executor", "precision", "across"), str, "a name"),
    (("data", "unit", "target_from"), str, "a name"),
    (("out",), (str, PathLike), "a folder"),
    (("kinds", "setting"), Mapping, "a dict"),
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `tutti.fit` and `tutti fit`; see `tutti.learn.fit` for what each means."""

    target: str | int | Sequence[str] | Sequence[int] | None = None
    out: str | PathLike[str] | None = None
    seed: int = 0
    folds: Any = 5
    budget: float | int | str | None = None
    test: Any = None
    test_size: float | int | None = None
    time: str | int | None = None
    group: str | int | None = None
    series: str | int | None = None
    gap: Any = 0
    weight: str | int | None = None
    kinds: Mapping[str | int, str] | None = None
    keep: Sequence[str] = ()
    drop: Sequence[str] = ()
    header: bool = True
    delimiter: str | None = None
    data: str | None = None
    text: str | int | None = None
    set: str | int | None = None
    edges: Any = None
    links: bool = False
    smiles: str | int | None = None
    masks: Any = None
    target_from: str | None = None
    forecast: Any = None
    horizon: int | None = None
    window: int | None = None
    parts: Any = None
    generate: bool = False
    vocabulary: int | None = None
    unit: str | None = None
    size: Any = None
    length: int | None = None
    rate: float | int | None = None
    skip: bool = False
    task: str | None = None
    metric: str | None = None
    model: Any = None
    optimizer: Any = None
    schedule: Any = None
    epochs: float | int | None = None
    batch_size: int | None = None
    learning_rates: Iterable[float | int] | float | int | None = None
    weight_decays: Iterable[float | int] | float | int | None = None
    setting: Mapping[str, float | int] | None = None
    class_weight: str | None = None
    refit: bool | None = None
    rungs: bool = True
    baselines: bool = True
    examples: bool = True
    device: str | None = None
    executor: str | None = None
    precision: str = "float32"
    across: str | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if self.metric is not None:
            metric_of(self.metric)  # an unknown one raises
        if self.class_weight not in (None, "balanced"):
            raise unknown("class weight", str(self.class_weight), ["balanced"])
        if self.executor not in (None, *get_args(ExecutorName)):
            raise unknown("executor", str(self.executor), get_args(ExecutorName))
        if self.precision not in get_args(WantedPrecision):
            raise unknown("precision", self.precision, get_args(WantedPrecision))
        if self.across not in (None, *get_args(Across)):
            raise unknown("way across processes", str(self.across), get_args(Across))
        if self.epochs is not None and not self.epochs > 0:
            raise InputError(f"epochs is {self.epochs}; expected a number above 0.")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size is {self.batch_size}; expected at least 1.")
        if self.test is not None and self.test_size is not None:
            raise InputError("Both a test file and a test size are given.", fix="Leave one of them out.")
        _ = self.seconds
        self._check_training()

    def _check_types(self) -> None:
        if not _may_be_folds(self.folds):
            raise InputTypeError(
                f"folds is {self.folds!r:.60}; expected a whole number.",
                fix="Or give (train, validation) pairs of row numbers, or a splitter.",
            )
        default = {f.name: f.default for f in fields(self)}
        for names, kind, expected in _EXPECTED:
            for name in names:
                value = getattr(self, name)
                right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
                if not right and (value is not None or default[name] is not None):
                    raise InputTypeError(f"{name} is {value!r}; expected {expected}.")

    def _check_training(self) -> None:
        """Names and numbers of what is trained are checked at once, before any time is spent on the data."""
        self.rules()
        self.schedule_config()
        if isinstance(self.model, str | Mapping):
            self._known_model()
        for name, given in (("learning_rates", self.rates), ("weight_decays", self.decays)):
            if given == ():
                raise InputError(f"{name} is empty; expected a number or several.", fix="Leave it out for the usual.")
        for rate in self.rates or ():
            Setting(learning_rate=rate)
        for decay in self.decays or ():
            Setting(weight_decay=decay)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """Options from keywords; an unknown one raises with the nearest name."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                close = nearest(name, known)
                fix = f"Did you mean {close!r}?" if close else f"There is: {', '.join(known)}."
                raise InputTypeError(f"Unknown option {name!r}.", fix=fix)
        return cls(**given)

    @property
    def seconds(self) -> float | None:
        """The budget in seconds, or None."""
        return None if self.budget is None else parse_duration(self.budget)

    @property
    def rates(self) -> tuple[float, ...] | None:
        return _numbers(self.learning_rates)

    @property
    def decays(self) -> tuple[float, ...] | None:
        return _numbers(self.weight_decays)

    @property
    def through(self) -> ExecutorName | None:
        """The executor that was asked for; None is what the timing finds."""
        return cast(ExecutorName | None, self.executor)

    @property
    def computed(self) -> WantedPrecision:
        """What products are computed in."""
        return cast(WantedPrecision, self.precision)

    @property
    def shared(self) -> Across | None:
        """How processes share the population; None is what keeps them busy."""
        return cast(Across | None, self.across)

    def rules(self) -> dict[str, Rule]:
        """The update rules by the names that settings give them: see `optim.find_rules`; AdamW by default."""
        return find_rules("adamw" if self.optimizer is None else self.optimizer)

    def schedule_config(self) -> Any:
        """The schedule: a Config, its name, or its JSON; None is the recipe's."""
        return None if self.schedule is None else _component("schedule", SCHEDULES, self.schedule)

    def _known_model(self) -> None:
        """A model's name is checked before the data are read; whether it suits their kind, after."""
        name = self.model if isinstance(self.model, str) else self.model.get("name")
        names = list(dict.fromkeys(n for models in MODELS.values() for n in models))
        if name is not None and name not in names:
            raise unknown("model", str(name), names)

    def model_config(self, kind: str) -> Any:
        """The model for this kind of data: a Config, its name, or its JSON; None is the recipe's."""
        if self.model is None:
            return None
        config = _component("model", MODELS[kind], self.model)
        if isinstance(config, Model) and config.kind != kind:
            fix = f"For {kind} there is: {', '.join(MODELS[kind])}."
            raise InputError(f"The model {config.name!r} is for {config.kind}; the data are {kind}.", fix=fix)
        return config

    @property
    def reading(self) -> Reading:
        """How the source is to be understood."""
        values = {name: getattr(self, name) for name in READING_NAMES}
        size = values["size"]
        if isinstance(size, Integral):
            values["size"] = (int(size), int(size))
        elif size is not None:
            values["size"] = tuple(int(x) for x in size)
        for name in ("test_size", "rate"):
            values[name] = None if values[name] is None else float(values[name])
        return Reading(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain values; what cannot be written (a frame, a function) stands as its type's name.

        Folds and gaps that are no numbers stand as "given": the run keeps the splits that came of them.
        """
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        kept = {n: GIVEN for n in ("folds", "gap") if not isinstance(getattr(self, n), Integral)}
        return plain | kept


def _may_be_folds(given: Any) -> bool:
    """Whether this can be folds: a whole number, pairs or a splitter. What pairs hold is checked by the splits."""
    if isinstance(given, bool | str | bytes | Mapping):
        return False
    return isinstance(given, Integral | Iterable) or hasattr(given, "split")


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_json()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, PathLike):
        return str(value)
    if isinstance(value, Real):  # of NumPy
        return int(value) if isinstance(value, Integral) else float(value)
    if getattr(value, "ndim", 2) < 2 and hasattr(value, "tolist"):
        return _plain(value.tolist())
    return {"in memory": type(value).__name__}


def _component(what: str, registry: Mapping[str, type[Config]], given: Any) -> Config:
    if isinstance(given, Config):
        return given
    if isinstance(given, str):
        return configure(what, registry, {"name": given})
    if isinstance(given, Mapping):
        return configure(what, registry, given)
    raise InputTypeError(
        f"The {what} is a {type(given).__name__}; expected a name, a Config, or a dict with a name.",
        fix=f"There is: {', '.join(registry)}.",
    )


def _numbers(given: Any) -> tuple[float, ...] | None:
    if given is None:
        return None
    try:
        return (float(given),) if isinstance(given, Real) else tuple(float(x) for x in given)
    except (TypeError, ValueError):
        example = "For example: learning_rates=[1e-3, 1e-2]."
        raise InputError(f"{given!r} is no list of numbers.", fix=example) from None


def parse_duration(given: float | int | str) -> float:
    """Seconds of a duration: 90, "90", "90s", "5m", "1.5h"."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    text = str(given).strip().lower()
    unit = units.get(text[-1:])
    try:
        seconds = float(text[:-1] if unit else text) * (unit or 1.0)
    except ValueError:
        raise InputError(f"The budget is {given!r}; expected a time.", fix="For example: 60s, 5m or 1h.") from None
    if not seconds >= MINIMUM_BUDGET:
        raise InputError(f"The budget is {given}; a whole fit takes at least {MINIMUM_BUDGET:g} s.", fix="Use 10s.")
    return seconds
