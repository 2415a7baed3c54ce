"""Names of ours as a reader says them."""

from collections.abc import Sequence

from tutti.report._numbers import Number

_METRICS = {
    "auc": "AUC",
    "rmse": "RMSE",
    "mse": "MSE",
    "mae": "MAE",
    "r2": "R²",
    "f1": "F1",
    "brier": "Brier score",
    "iou": "IoU",
    "nats": "nats a token",
    "bits": "bits a token",
}
_TASKS = {
    "regression": "regression",
    "binary": "two classes",
    "multiclass": "several classes",
    "multilabel": "several labels at once",
    "language": "every next token of a text",
}
_SPLITS = {
    "random": "at random",
    "stratified": "at random, with the classes in equal shares",
    "group": "by group: all rows of a group stand on one side",
    "time": "in the order of time: validation always comes after training",
    "given": "as given by the user",
}


def metric_words(name: str) -> str:
    return _METRICS.get(name, spaced(name))


def task_words(kind: str) -> str:
    return _TASKS.get(kind, spaced(kind))


def split_words(kind: str) -> str:
    return _SPLITS.get(kind, spaced(kind))


def spaced(name: str) -> str:
    """learning_rate → learning rate."""
    return name.replace("_", " ")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def plural(number: Number, word: str, words: str = "") -> str:
    """1 fold, 5 folds, 1,200 rows."""
    return f"{number:,.0f} {word if number == 1 else words or word + 's'}"


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def quoted(name: str) -> str:
    """A name from the data within a sentence."""
    return f"“{shorten(name, 40)}”"


def share(part: Number, whole: Number, places: int = 0) -> str:
    """A part of a whole in per cent; an en dash where there is no whole."""
    return f"{100 * part / whole:.{places}f}\u00a0%" if whole else "–"


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
