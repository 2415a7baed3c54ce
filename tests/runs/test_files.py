"""The files of a run: whole or not at all, valid, sealed."""

import errno
import json
import os
import threading
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
import torch

from tutti.core import Finding, InputError
from tutti.runs import Run, write_atomic


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "r", "r")


class Word(StrEnum):
    A = "a"


def test_json_is_valid_whatever_the_numbers(run: Run) -> None:
    value = {
        "nan": float("nan"),
        "inf": [np.float32("inf"), -np.inf],
        "scalars": (np.int64(3), np.float32(0.5), np.bool_(True), np.str_("s")),
        "array": np.array([[1.0, np.nan], [2.0, 3.0]]),
        "tensor": torch.arange(3),
        "zero_d": torch.tensor(2.5),
        1: Word.A,
        "set": {"b", "a"},
        "half": "\udc80 ü 汉",
        "object": Finding(kind="k", where="w", message="m"),
    }
    run.write_json("x.json", value)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    strict = json.loads((run.folder / "x.json").read_text(encoding="utf8"), parse_constant=refuse)
    assert strict == run.read_json("x.json")
    assert strict == {
        "nan": None,
        "inf": [None, None],
        "scalars": [3, 0.5, True, "s"],
        "array": [[1.0, None], [2.0, 3.0]],
        "tensor": [0, 1, 2],
        "zero_d": 2.5,
        "1": "a",
        "set": ["a", "b"],
        "half": "\udc80 ü 汉",
        "object": {"kind": "k", "where": "w", "message": "m", "severity": "warning"},
    }
    with pytest.raises(TypeError, match=r"PosixPath|WindowsPath"):
        run.write_json("y.json", {"path": Path("p")})
    assert not run.has("y.json")


def test_tensors_come_back_as_they_were(run: Run) -> None:
    flat = torch.arange(6.0)
    written = {
        "view": flat[2:],
        "same": flat,
        "t": torch.arange(6).reshape(2, 3).T,
        "scalar": np.array(1.5),
        "codes": np.arange(4, dtype=np.int64)[::2],
        "empty": np.zeros((0, 3), np.float32),
        "flag": np.array([True, False]),
    }
    run.write_tensors("x.safetensors", written)
    arrays, tensors = run.read_tensors("x.safetensors"), run.read_tensors("x.safetensors", "torch")
    assert arrays.keys() == tensors.keys() == written.keys()
    for name, value in written.items():
        np.testing.assert_array_equal(arrays[name], np.asarray(value), strict=True)
        torch.testing.assert_close(tensors[name], torch.as_tensor(np.ascontiguousarray(value)).reshape(value.shape))


def test_bfloat16_survives_as_torch(run: Run) -> None:
    value = torch.randn(3, dtype=torch.bfloat16)
    run.write_tensors("x.safetensors", {"x": value})
    torch.testing.assert_close(run.read_tensors("x.safetensors", "torch")["x"], value)


@pytest.mark.parametrize("place", ["os.fsync", "os.replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(run: Run, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    run.write_json("x.json", {"old": True})
    before = sorted(p.name for p in run.folder.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"tutti.runs._atomic.{place}", full)
    with pytest.raises(InputError, match=r"No space left to write .*x\.json"):
        run.write_json("x.json", {"old": False})
    with pytest.raises(InputError, match="No space left"):
        run.checkpoint(1, {"w": torch.zeros(2)}, {})
    monkeypatch.undo()
    assert run.read_json("x.json") == {"old": True}
    assert run.latest_checkpoint() is None
    assert [n for n in sorted(p.name for p in run.folder.iterdir()) if n != "checkpoint"] == before
    assert not any((run.folder / "checkpoint").iterdir())


def test_missing_and_damaged_files_are_named(run: Run) -> None:
    with pytest.raises(InputError, match=r"has no result\.json"):
        run.read_json("result.json")
    (run.folder / "x.json").write_bytes(b"{\xff")
    with pytest.raises(InputError, match=r"x\.json is damaged"):
        run.read_json("x.json")
    (run.folder / "x.safetensors").write_bytes(b"\xff" * 40)
    for kind in ("numpy", "torch"):
        with pytest.raises(InputError, match=r"x\.safetensors is damaged"):
            run.read_tensors("x.safetensors", kind)


@pytest.mark.parametrize("file", ["../x.json", "a/b", "a\\b", "c:x", "", ".."])
def test_nothing_is_written_outside_the_folder(run: Run, file: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        run.write_json(file, {})


def test_a_torn_last_line_is_left_out_and_cut_off(run: Run) -> None:
    assert run.read_log() == []
    run.append({"event": "board", "score": float("nan")})
    run.append({"event": "decision"})
    with (run.folder / "log.jsonl").open("ab") as log:
        log.write(b'{"event": "bo')
    expected = [{"event": "board", "score": None}, {"event": "decision"}]
    assert run.read_log() == expected
    run.append({"event": "next"})
    assert run.read_log() == [*expected, {"event": "next"}]


def test_a_broken_line_within_the_log_is_named(run: Run) -> None:
    (run.folder / "log.jsonl").write_bytes(b'{"a": 1}\nnonsense\n{"a": 2}\n')
    with pytest.raises(InputError, match=r"log\.jsonl, line 2 is damaged"):
        run.read_log()


def test_sealing_writes_checksums_of_each_file_but_the_log_and_the_page(run: Run) -> None:
    import hashlib

    run.append({"event": "board"})
    run.write_json("result.json", {"x": 1})
    (run.folder / ".left.json.99.tmp").write_text("half", encoding="utf8")
    (run.folder / "report.html").write_text("a page", encoding="utf8")
    assert (run.status, run.sealed) == ("running", False)
    run.seal()
    assert (run.status, run.sealed) == ("finished", True)
    entries = run.read_json("manifest.json")["files"]
    assert sorted(entries) == ["environment.json", "result.json", "run.json"]
    data = (run.folder / "result.json").read_bytes()
    assert entries["result.json"] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert not (run.folder / ".left.json.99.tmp").exists()
    run.append({"event": "later"})
    (run.folder / "report.html").write_text("a page that a later version made", encoding="utf8")
    assert Run.open(run.folder).status == "finished"


@pytest.mark.parametrize("harm", ["changed", "same size", "missing"])
def test_a_tampered_file_is_named(run: Run, harm: str) -> None:
    run.write_json("result.json", {"accuracy": 0.71})
    run.seal()
    path = run.folder / "result.json"
    text = path.read_text(encoding="utf8")
    match harm:
        case "changed":
            path.write_text(text + " ", encoding="utf8")
        case "same size":
            path.write_text(text.replace("0.71", "0.99"), encoding="utf8")
        case "missing":
            path.unlink()
    with pytest.raises(InputError, match=r"result\.json (was changed|is missing)"):
        Run.open(run.folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"files": {"../x": {"bytes": 1, "sha256": ""}}}', '{"files": [1]}'])
def test_a_damaged_manifest_is_named(run: Run, text: str) -> None:
    run.seal()
    (run.folder / "manifest.json").write_text(text, encoding="utf8")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        Run.open(run.folder)


def test_writing_breaks_the_seal_and_sealing_again_mends_it(run: Run) -> None:
    run.seal("interrupted")
    again = Run.open(run.folder)
    assert again.status == "interrupted"
    again.set_status("running")
    assert not again.sealed
    again.write_json("result.json", {})
    again.seal()
    assert Run.open(run.folder).status == "finished"


def test_a_finished_run_without_its_manifest_was_tampered_with_unless_it_was_killed(run: Run) -> None:
    run.set_status("finished")
    assert Run.open(run.folder).status == "finished"  # killed here, before it was sealed
    run.seal()
    (run.folder / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"manifest\.json is missing from this run.*Restore it"):
        Run.open(run.folder)
    run.seal("interrupted")
    (run.folder / "manifest.json").unlink()
    assert Run.open(run.folder).status == "interrupted"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"lines\n")
    reader.join()
    assert got == [b"lines\n"]
    assert pipe.is_fifo()


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "far")
    for data in (b"new", b"again"):
        write_atomic(tmp_path / "link", data)
        assert (tmp_path / "far").read_bytes() == data
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["far", "link"]
