"""`tutti check`: the engine's laws, measured on a model of the user's own."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from torch import Tensor, nn

ROWS = 24
_FLOATS = re.compile(r"(\d+(x\d+)*)")
_OTHERS = re.compile(r"(int(?P<below>\d+)|length|mask|padding):(?P<shape>\d+(x\d+)*)")


def check(
    file: Annotated[
        str,
        typer.Argument(help="A Python file of yours, which is run; FILE.py:NAME picks a module, class or function."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            help="One row of each input of forward: 3x32x32 (numbers), int1000:20 (20 codes below 1000), length:20 "
            "(1 to 20), mask:20 (True where a place is real), padding:20 (True where it is not, as torch's "
            "key_padding_mask has it). Repeat for each input.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random rows and weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the laws as one JSON object.")] = False,
) -> None:
    """Measure on your own model what the engine promises: stacked = solo, resume = uninterrupted, and the rest."""
    import torch

    from tutti.cli._json import print_json
    from tutti.core import InputError
    from tutti.testing import broken, check_model

    if not inputs:
        raise InputError(
            "The shape of a row is not known.", fix=f"Describe each input: tutti check {file} --input 3x32x32"
        )
    torch.manual_seed(seed)
    rows = [_rows(given) for given in inputs]
    laws = check_model(_model(file, rows[0].shape[-1] if rows[0].ndim > 1 else 1), rows)
    failed = broken(laws)
    if as_json:
        print_json({"file": file, "laws": [law.to_json() for law in laws], "broken": len(failed)})
    else:
        _show(laws)
    if failed:
        raise typer.Exit(2)


def _show(laws: Any) -> None:
    from rich.table import Table

    from tutti.cli._observers import console
    from tutti.cli._text import clean

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("Law", "", "Error", "What was measured"):
        table.add_column(name)
    for law in laws:
        error = "" if law.error is None else "0, every bit" if law.error == 0 else f"{law.error:.1e}"
        table.add_row(law.name, law.status, error, clean(law.note))
    console(to_stderr=False).print(table)


def _rows(given: str) -> "Tensor":
    """Random rows for a description of one row."""
    import torch

    from tutti.core import InputError

    if _FLOATS.fullmatch(given):
        return torch.randn(ROWS, *_shape(given))
    found = _OTHERS.fullmatch(given)
    if found is None:
        raise InputError(
            f"--input is {given!r}; expected the shape of one row.",
            fix="For example: 3x32x32, int1000:20, length:20, mask:20 or padding:20.",
        )
    shape = _shape(found["shape"])
    if given.startswith("int"):
        return torch.randint(int(found["below"]), (ROWS, *shape))
    lengths = torch.arange(ROWS) % shape[0] + 1
    if given.startswith("length"):
        return lengths
    real = torch.arange(shape[0]) < lengths[:, None]
    return real if given.startswith("mask") else ~real


def _shape(given: str) -> list[int]:
    return [int(n) for n in given.split("x")]


def _model(file: str, features: int) -> "nn.Module | Callable[[], nn.Module]":
    """The model of a file: the one that is named, else the only one there is."""
    from tutti.core import InputError, unknown

    path, colon, name = file.rpartition(":")
    path, name = (path, name) if colon and path.endswith(".py") else (file, "")
    module = _load(Path(path))
    found, others = _found(module, name)
    if name and name not in found:
        raise unknown(f"model of {path}", name, [*found, *others])
    found = found or others
    if not name and "model" in found:
        name = "model"
    if not name and len(found) != 1:
        names = ", ".join(found) or "none"
        raise InputError(
            f"{path} holds several models or none: {names}.", fix=f"Name one: tutti check {path}:NAME --input …"
        )
    return _built(found[name] if name else next(iter(found.values())), features)


def _found(module: "ModuleType", name: str) -> "tuple[dict[str, Any], dict[str, nn.Module]]":
    """What a file holds by name: models (the one that is named, and those written in it), and further instances, of
    torch's own classes say. These count where there is nothing else: a loss of torch beside a class is no model."""
    from torch import nn

    every = vars(module)
    own = {k: v for k, v in every.items() if k in ("model", name) or getattr(v, "__module__", "") == module.__name__}
    models = {
        k: v
        for k, v in own.items()
        if isinstance(v, nn.Module)
        or (isinstance(v, type) and issubclass(v, nn.Module))
        or (callable(v) and not isinstance(v, type) and k in ("model", name))
    }
    return models, {k: v for k, v in every.items() if isinstance(v, nn.Module) and k not in models}


def _built(found: Any, features: int) -> "nn.Module | Callable[[], nn.Module]":
    """A module as it is; a class or function, of no arguments or of (features, outputs) as `fit` takes it."""
    import inspect

    from torch import nn

    from tutti.core import InputError

    if isinstance(found, nn.Module):
        return found
    given = [p for p in inspect.signature(found).parameters.values() if p.default is p.empty]
    needed = [p for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(needed) not in (0, 2) or any(p.kind == p.KEYWORD_ONLY for p in needed):
        name, names = getattr(found, "__name__", "The model"), ", ".join(p.name for p in needed)
        raise InputError(
            f"{name} takes {names}; expected none, or (features, outputs).",
            fix="Make the model in the file: model = Net(…), or def model(): return Net(…)",
        )
    maker: Callable[[], nn.Module] = (lambda: found(features, 3)) if needed else found
    return maker


def _load(path: Path) -> "ModuleType":
    """The user's own file, run as a module."""
    import importlib.util

    from tutti.core import InputError

    if not path.is_file():
        raise InputError(f"There is no file {path}.", fix="Name a Python file that holds your model.")
    spec = importlib.util.spec_from_file_location(f"_checked_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file.", fix="Name a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path} fails when it is run: {type(error).__name__}: {error}") from error
    return module
