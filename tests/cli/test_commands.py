import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tutti import learn
from tutti.cli import main
from tutti.core import InputError, unknown

SAME = {"identical": True, "largest_difference": 0.0, "score": [0.827, 0.827]}


class FakeModel:
    def __init__(self, result):
        self.result = result
        self.run = None

    def write_predictions(self, source, path):
        Path(path).write_text("prediction,probability_é\nno,0.9\n", encoding="utf8")
        return 1

    def evaluate(self, source):
        accuracy = {"metric": "accuracy", "value": 0.8, "low": 0.7, "high": 0.9}
        loss = {"metric": "log_loss", "value": 0.4, "low": None, "high": None}
        return {"rows": 50, "metric": "accuracy", "metrics": [loss, accuracy]}

    def report(self, path):
        Path(path).write_text("<html>", encoding="utf8")


@pytest.fixture
def tutti(monkeypatch, capsys):
    """Runs the command line in this process: (exit code, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["tutti", *words])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def fitted(monkeypatch, result, story):
    """Stands in for `learn`: remembers the arguments, tells the story, gives a model."""
    calls = []

    def fit(source, *, observer, began=None, **arguments):
        calls.append((source, arguments))
        story(observer)
        return FakeModel(result)

    monkeypatch.setattr(learn, "fit", fit)
    monkeypatch.setattr(learn, "resume", lambda folder, *, observer, began: fit(folder, observer=observer))
    monkeypatch.setattr(learn, "load", lambda folder: FakeModel(result))
    monkeypatch.setattr(learn, "rerun", lambda folder, *, out, observer: (fit(folder, observer=observer), SAME))
    return calls


def test_json_is_one_object_on_stdout_and_the_rest_on_stderr(tutti, fitted):
    code, out, err = tutti("fit", "titanic.csv", "--json")
    assert code == 0
    read = json.loads(out)
    assert read["test"]["value"] == 0.827
    assert "details" not in read
    assert "Verdict: " in err


def test_without_json_the_display_is_on_stdout(tutti, fitted):
    _, out, err = tutti("fit", "titanic.csv")
    assert "Verdict: " in out
    assert err == ""


def test_quiet_says_nothing(tutti, fitted):
    assert tutti("fit", "titanic.csv", "--quiet") == (0, "", "")


def test_numbers_that_json_does_not_know_become_null(tutti, fitted, result):
    result["seconds"] = float("nan")
    _, out, _ = tutti("fit", "titanic.csv", "--json")
    assert json.loads(out)["seconds"] is None


def test_a_device_that_is_not_there_is_the_users_mistake(tutti):
    code, _, err = tutti("fit", "iris", "--device", "tpu", "--quiet")
    assert code == 2
    assert "The device 'tpu' cannot be used here" in err
    assert 'Fix: Give "cpu".' in err


def test_the_options_reach_fit(tutti, fitted):
    words = """fit a.csv --target y --out r --seed 3 --folds 4 --budget 60s --test t.csv --time when --group g
        --series s --gap 2 --no-header --kind a=b=category --keep k --drop d --drop e --delimiter ;
        --task binary --metric auc --optimizer sgd --schedule cosine --epochs 20 --batch-size 64
        --learning-rate 0.1 --learning-rate 0.01 --weight-decay 0 --class-weight balanced --no-rungs
        --executor looped --precision bfloat16 --across spread --no-examples --data series --text words --set event
        --edges e.csv --links --smiles s --masks m --target-from {a}.png --forecast x --horizon 4 --window 9
        --parts 3,2,1 --setting mixup=0.5 --generate --vocabulary 50 --unit word --size 8x9 --length 7 --rate 16
        --skip --device cpu"""
    code, _, err = tutti(
        *words.split(),
        "--model",
        '{"name": "mlp", "widths": [8]}',
    )
    assert (code, err) == (0, "")
    source, arguments = fitted[0]
    assert source == "a.csv"
    assert arguments == {
        "target": "y",
        "out": "r",
        "seed": 3,
        "folds": 4,
        "device": "cpu",
        "executor": "looped",
        "precision": "bfloat16",
        "across": "spread",
        "budget": "60s",
        "test": "t.csv",
        "time": "when",
        "group": "g",
        "series": "s",
        "gap": 2,
        "weight": None,
        "header": False,
        "kinds": {"a=b": "category"},
        "keep": ("k",),
        "drop": ("d", "e"),
        "delimiter": ";",
        "task": "binary",
        "metric": "auc",
        "model": {"name": "mlp", "widths": [8]},
        "optimizer": "sgd",
        "schedule": "cosine",
        "epochs": 20,
        "batch_size": 64,
        "learning_rates": [0.1, 0.01],
        "weight_decays": [0.0],
        "setting": {"mixup": 0.5},
        "class_weight": "balanced",
        "rungs": False,
        "examples": False,
        "data": "series",
        "text": "words",
        "set": "event",
        "edges": "e.csv",
        "links": True,
        "smiles": "s",
        "masks": "m",
        "target_from": "{a}.png",
        "forecast": "x",
        "horizon": 4,
        "window": 9,
        "parts": (3, 2, 1),
        "generate": True,
        "vocabulary": 50,
        "unit": "word",
        "size": (8, 9),
        "length": 7,
        "rate": 16.0,
        "skip": True,
    }


def test_several_targets_are_a_list(tutti, fitted):
    tutti("fit", "a.csv", "-t", "y", "-t", "z")
    assert fitted[0][1]["target"] == ["y", "z"]


def test_resume_takes_the_folder_alone(tutti, fitted):
    assert tutti("fit", "--resume", "runs/titanic", "--quiet") == (0, "", "")
    assert fitted[0][0] == "runs/titanic"
    code, _, err = tutti("fit", "--resume", "runs/titanic", "--seed", "3")
    assert code == 2
    assert err.splitlines()[1] == "Fix: Leave it out: tutti fit --resume runs/titanic"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit"], "There is no data."),
        (["fit", "a.csv", "--kind", "zip"], "expected COLUMN=KIND"),
        (["fit", "a.csv", "--setting", "dropout"], "expected NAME=NUMBER"),
        (["fit", "a.csv", "--setting", "dropout=much"], "expected a number behind each name"),
        (["fit", "a.csv", "--model", "{oops"], "is not JSON"),
        (["fit", "a.csv", "--test", "t.csv", "--test-size", "0.1"], "Both --test and --test-size"),
        (["predict", "runs/titanic", "new.csv", "--json"], "--json needs a file"),
    ],
)
def test_a_mistake_is_one_short_message_and_exit_code_2(tutti, fitted, words, message):
    code, out, err = tutti(*words)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith("Error: ")
    assert message in first
    assert second.startswith("Fix: ")


def test_an_unknown_name_offers_the_nearest(tutti, fitted, monkeypatch):
    def fit(source, **_):
        raise unknown("column", "survivd", ["survived", "sex"])

    monkeypatch.setattr(learn, "fit", fit)
    code, _, err = tutti("fit", "a.csv", "-t", "survivd")
    assert (code, err) == (2, "Error: Unknown column 'survivd'.\nFix: Did you mean 'survived'?\n")


@pytest.mark.parametrize(
    ("words", "nearest"),
    [(["fit", "a.csv", "--sede", "3"], "--seed"), (["fitt", "a.csv"], "fit"), (["fit", "-Z"], "-Z")],
)
def test_an_unknown_option_or_command_exits_with_2(tutti, words, nearest):
    code, out, err = tutti(*words)
    assert (code, out) == (2, "")
    assert nearest in err


def test_a_message_cannot_steer_the_terminal(tutti, fitted, monkeypatch):
    def fit(source, **_):
        raise InputError("no file 'a\x1b[2Jb'.")

    monkeypatch.setattr(learn, "fit", fit)
    assert tutti("fit", "a")[2] == "Error: no file 'a [2Jb'.\n"


def test_a_stream_that_cannot_show_a_character_shows_a_question_mark(tutti, fitted, monkeypatch):
    def fit(source, **_):
        raise InputError("no file 'é.csv'.")

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(learn, "fit", fit)
    monkeypatch.setattr(sys, "stderr", stream)
    assert tutti("fit", "é.csv")[0] == 2
    stream.flush()
    assert stream.buffer.getvalue() == b"Error: no file '?.csv'.\n"


def test_a_full_disk_is_told_as_such(tutti, fitted, monkeypatch):
    def fit(source, **_):
        raise OSError(28, "No space left on device", "runs/x/model.safetensors")

    monkeypatch.setattr(learn, "fit", fit)
    code, _, err = tutti("fit", "a.csv")
    assert code == 2
    assert err.startswith("Error: No space left on device: runs/x/model.safetensors")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no full device here")
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_full_disk_behind_standard_output_is_told_as_such(lines):
    """The first lines wait in a buffer, and meet the disk when the process ends."""
    code = (
        "import sys; from pathlib import Path; from tutti import learn\n"
        "class Model:\n"
        "    def write_predictions(self, source, path):\n"
        f"        Path(path).write_text('prediction\\n' * {lines})\n"
        "learn.load = lambda *_, **__: Model()\n"
        "sys.argv = ['tutti', 'predict', 'run', 'new.csv']; from tutti.cli import main; main()"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "Error: No space left on device.\nFix: check where the output goes, and the free space.\n"


def test_our_fault_is_short_keeps_the_traceback_and_exits_with_1(tutti, fitted, monkeypatch, tmp_path):
    def fit(source, **_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(learn, "fit", fit)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = tutti("fit", "a.csv")
    assert (code, out) == (1, "")
    assert "ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err
    (kept,) = tmp_path.iterdir()
    assert "Traceback" in kept.read_text(encoding="utf8")
    monkeypatch.setenv("TUTTI_DEBUG", "1")
    assert "Traceback" in tutti("fit", "a.csv")[2]


def test_a_fit_that_ctrl_c_cut_short_says_how_to_go_on(tutti, fitted, monkeypatch, result):
    class Interrupted:
        status = "interrupted"

    cut = FakeModel(result)
    cut.run = Path("runs/my data")
    monkeypatch.setattr(learn, "fit", lambda source, **_: cut)
    monkeypatch.setattr("tutti.cli._observers.Run.open", lambda folder: Interrupted)
    code, out, err = tutti("fit", "a.csv", "--json")
    assert code == 130
    assert json.loads(out)["verdict"]  # the best so far
    assert "Go on with: tutti fit --resume 'runs/my data'" in err


def test_ctrl_c_before_anything_is_saved_says_so(tutti, fitted, monkeypatch):
    def fit(source, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(learn, "fit", fit)
    code, out, err = tutti("fit", "a.csv")
    assert (code, out) == (130, "")
    assert "Stopped before there was a model" in err


def test_fit_knows_every_option_of_the_command_line():
    from inspect import signature

    from tutti.cli._fit import _wanted, fit
    from tutti.learn._options import Options

    given = {name: parameter.default for name, parameter in signature(fit).parameters.items()}
    wanted = _wanted(given | {"source": "a.csv"})
    assert Options.of({name: value for name, value in wanted.items() if name != "source"}) == Options()


def test_predict_writes_a_file_or_stdout(tutti, fitted, tmp_path):
    path = tmp_path / "p.csv"
    assert tutti("predict", "runs/titanic", "new.csv", "-o", str(path))[0] == 0
    assert path.read_text(encoding="utf8") == tutti("predict", "runs/titanic", "new.csv")[1]
    _, out, _ = tutti("predict", "runs/titanic", "new.csv", "-o", str(path), "--json")
    assert json.loads(out) == {"run": "runs/titanic", "source": "new.csv", "out": str(path), "rows": 1}


def test_evaluate_shows_first_what_the_model_was_chosen_by(tutti, fitted):
    _, out, _ = tutti("evaluate", "runs/titanic", "new.csv")
    assert 0 < out.index("0.7000 to 0.9000") < out.index("log_loss")
    assert json.loads(tutti("evaluate", "runs/titanic", "new.csv", "--json")[1])["rows"] == 50


def test_report_says_where_the_page_is(tutti, fitted, tmp_path):
    code, out, _ = tutti("report", str(tmp_path))
    assert (code, out) == (0, f"Report: {tmp_path / 'report.html'}\n")
    assert (tmp_path / "report.html").is_file()


def test_rerun_says_whether_the_numbers_are_the_same(tutti, fitted, monkeypatch):
    assert "the same, bit for bit" in tutti("rerun", "runs/titanic", "--quiet")[1]
    assert json.loads(tutti("rerun", "runs/titanic", "--json")[1])["comparison"] == SAME
    monkeypatch.setitem(SAME, "identical", False)
    assert "not the same" in tutti("rerun", "runs/titanic", "--quiet")[1]


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(sys.modules), file=sys.__stderr__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy():
    run = "import contextlib, sys\nfrom tutti.cli import main\nsys.argv = ['tutti', 'fit', '--help']\n"
    loaded = modules_after(run + "with contextlib.suppress(SystemExit):\n    main()")
    assert "typer" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "pyarrow", "sklearn", "scipy", "pandas", "tutti.core"})


def test_importing_tutti_imports_the_standard_library_only():
    loaded = modules_after("import tutti")
    foreign = {name.partition(".")[0] for name in loaded - modules_after("pass")} - set(sys.stdlib_module_names)
    assert foreign == {"tutti"}


def test_the_version_is_printed(tutti):
    import tutti as package

    assert tutti("--version") == (0, f"tutti {package.__version__}\n", "")
