"""Signals are read from every source that holds them; what is odd is filled, cut, named or refused."""

import struct
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from torch.testing import assert_close

from tutti import core, data, models, nn
from tutti.core import InputError
from tutti.data import Reading, Signals
from tutti.data._signals_files import resample
from tutti.data._signals_wav import read_wav

AS_SIGNALS = Reading(data="signals")


def tone(n: int, hertz: float = 440.0, rate: int = 8000) -> np.ndarray:
    return (np.sin(2 * np.pi * hertz * np.arange(n) / rate) * 12_000).astype(np.int16)


def write(path: Path, samples: np.ndarray, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return path


def sample_of(source: Any, reading: Reading = AS_SIGNALS) -> Signals:
    sample = data.READERS["signals"].read(source, reading).sample
    assert isinstance(sample, Signals)
    return sample


# catalogue: D3
@pytest.mark.parametrize(
    ("name", "rows", "channels", "times", "classes"),
    [
        ("BasicMotions_TRAIN.ts", 40, 6, (100, 100), 4),
        ("PLAID_TRAIN.ts", 537, 1, (100, 1344), 11),
        ("Car_TRAIN.txt", 60, 1, (577, 577), 4),
        ("Adiac_TRAIN", 390, 1, (176, 176), 37),
    ],
)
def test_the_archive_is_read_as_found(
    shared_data: Path, name: str, rows: int, channels: int, times: tuple[int, int], classes: int
) -> None:
    path = shared_data / "series" / "ucr" / name
    table = data.read(path, reading=Reading() if name.endswith(".ts") else AS_SIGNALS)
    assert isinstance(table.sample, Signals)
    values, lengths = table.sample.inputs()
    assert values.shape == (rows, channels, times[1])
    assert (int(lengths.min()), int(lengths.max())) == times
    assert table.target is not None
    assert len(np.unique(table.target)) == classes
    assert table.task == "classification"
    if name == "Car_TRAIN.txt":
        first = np.loadtxt(path)[0]
        assert table.target[0] == first[0]
        np.testing.assert_array_equal(values[0, 0].numpy(), first[1:].astype(np.float32))


def test_a_ts_file_with_gaps_unequal_channels_and_a_number_to_predict(tmp_path: Path) -> None:
    path = tmp_path / "odd.ts"
    path.write_text(
        "# a comment\n@problemName odd\n@timeStamps false\n@univariate false\n@targetLabel true\n@data\n"
        "1,?,3:0,0,0:7.5\n4,NaN:2,2,2:-1\n5,6,7,8:1,1,1,1:0\n",
        encoding="utf8",
    )
    table = data.read(path)
    assert isinstance(table.sample, Signals)
    values, lengths = table.sample.inputs()
    assert lengths.tolist() == [3, 3, 4]
    assert values[0].tolist() == [[1, 2, 3, 0], [0, 0, 0, 0]]
    assert values[1].tolist() == [[4, 4, 4, 0], [2, 2, 2, 0]]
    assert table.target is not None
    assert table.target.tolist() == [7.5, -1, 0]
    assert [f.kind for f in table.findings if f.kind == "gaps"] == ["gaps"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("@classLabel true 1 2\n@data\n1,2,x:1\n", "Line 3"),
        ("@classLabel true 1 2\n@data\n1,2,3\n", "no label"),
        ("@timeStamps true\n@data\n(0,1):2\n", "time stamp"),
        ("@data\n", "no signal"),
        ("1,2,3:1\n", "before @data"),
    ],
)
def test_a_wrong_ts_file_is_refused_by_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "wrong.ts"
    path.write_text(text, encoding="utf8")
    with pytest.raises(InputError, match=told):
        data.read(path)


def test_rows_that_end_in_gaps_are_shorter_signals_and_arff_ends_in_its_label(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\t1\t2\t3\n2\t4\tNaN\tNaN\n1\t1\tNaN\t2\n", encoding="utf8")
    table = data.read(tmp_path / "a.tsv", reading=AS_SIGNALS)
    assert isinstance(table.sample, Signals)
    assert table.sample.lengths.tolist() == [3, 1, 3]
    assert table.sample.values[2, 0].tolist() == [1, 1.5, 2]
    (tmp_path / "a.arff").write_text(
        "@relation x\n@attribute t0 real\n@data\n1,2,3,'up'\n4,5,6,down\n", encoding="utf8"
    )
    table = data.read(tmp_path / "a.arff", reading=AS_SIGNALS)
    assert table.target is not None
    assert table.target.tolist() == ["up", "down"]


# catalogue: A36
def test_wav_files_of_every_coding_agree_with_scipy(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    for dtype, factor in ((np.int16, 2**15 - 1), (np.int32, 2**31 - 1), (np.float32, 1), (np.float64, 1)):
        path = tmp_path / f"{np.dtype(dtype)}.wav"
        wavfile.write(path, 16_000, (x * factor).astype(dtype))
        sound = read_wav(path)
        rate, theirs = wavfile.read(path)
        scale = 1 if dtype in (np.int16, np.float32, np.float64) else 2**31
        assert sound.rate == rate
        np.testing.assert_allclose(sound.samples, theirs.T / scale, rtol=1e-6)
    path = tmp_path / "u8.wav"
    wavfile.write(path, 8000, np.array([0, 128, 255], np.uint8))
    assert read_wav(path).samples.tolist() == [[-32768, 0, 127 * 256]]
    body = b"".join(int(v).to_bytes(3, "little", signed=True) for v in (-(2**23), 0, 2**22))
    form = struct.pack("<HHIIHH", 1, 1, 8000, 24_000, 3, 24)
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk is followed by a byte
    chunks = b"fmt " + struct.pack("<I", 16) + form + extra + b"data" + struct.pack("<I", len(body)) + body
    (tmp_path / "24.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    assert read_wav(tmp_path / "24.wav").samples.tolist() == [[-1, 0, 0.5]]


def test_unreadable_recordings_are_named_and_left_out_on_request(tmp_path: Path) -> None:
    for place in range(4):
        write(tmp_path / f"a_{place}.wav", tone(100 + place))
    (tmp_path / "b_0.wav").write_bytes(b"")
    (tmp_path / "b_1.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    pattern = "{label}_*.wav"
    with pytest.raises(InputError, match=r"2 of 6 recordings.*b_0.wav is empty.*b_1.wav"):
        data.read(tmp_path, reading=Reading(target_from=pattern))
    table = data.read(tmp_path, reading=Reading(target_from=pattern, skip=True))
    assert table.rows == 4
    assert "unreadable-files" in [f.kind for f in table.findings]


def test_folders_are_classes_and_mixed_rates_and_channels_become_one(tmp_path: Path) -> None:
    write(tmp_path / "low" / "a.wav", tone(800, 100))
    write(tmp_path / "low" / "b.wav", tone(1600, 100, 16_000), rate=16_000)
    write(tmp_path / "high" / "a.wav", np.stack([tone(800, 900)] * 2, 1))
    table = data.read(tmp_path)
    assert table.target is not None
    assert isinstance(table.sample, Signals)
    assert table.target.tolist() == ["high", "low", "low"]
    assert table.sample.lengths.tolist() == [800] * 3
    assert (table.sample.rate, table.sample.values.dtype) == (8000, torch.int16)
    assert {"resampled", "mixed-channels"} <= {f.kind for f in table.findings}
    inner = table.sample.values[1:, 0, 50:-50].double()
    assert (inner[0] - inner[1]).abs().max() < 0.01 * inner.abs().max()
    write(tmp_path / "loose.wav", tone(10))
    with pytest.raises(InputError, match=r"loose.wav"):
        data.read(tmp_path)


def test_resampling_keeps_a_tone() -> None:
    x = np.sin(2 * np.pi * 50 * np.arange(2000) / 1000)[None].astype(np.float32)
    y = resample(x, 1000, 800)
    expected = np.sin(2 * np.pi * 50 * np.arange(1600) / 800)
    assert y.shape == (1, 1600)
    np.testing.assert_allclose(y[0, 100:-100], expected[100:-100], atol=5e-3)


def test_arrays_lists_pairs_and_archives_are_signals(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 2, 5))
    labels = list("abcabc")
    expected = torch.from_numpy(x).float()
    assert torch.equal(sample_of(x).values, expected)
    assert torch.equal(sample_of((torch.from_numpy(x), labels)).values, expected)
    assert sample_of(x[:, 0]).values.shape == (6, 1, 5)
    ragged = [x[0, 0], x[1, 0, :3]]
    assert data.read((ragged, [0.5, 1.5])).kind == "signals"
    assert sample_of(ragged).lengths.tolist() == [5, 3]
    assert data.read(([x[0], x[1, :, :3]], [0.5, 1.5])).kind == "signals"
    assert data.read((x, labels)).kind == "signals"
    np.savez(tmp_path / "a.npz", x_train=x[:4], y_train=labels[:4], x_test=x[4:], y_test=labels[4:])
    table = data.read(tmp_path / "a.npz", reading=AS_SIGNALS)
    assert table.test is not None
    assert table.test.tolist() == [4, 5]
    assert table.target is not None
    assert table.target.tolist() == labels


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ([np.zeros((2, 5)), np.zeros((3, 4))], "channels"),
        ([np.zeros(3), np.full(4, np.nan)], "no value"),
        ([np.zeros(3), np.array(["a"])], "Signal 1"),
        ([], "no signals"),
        (3, "holds no signals"),
    ],
)
def test_what_is_no_signal_is_refused(source: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        data.read(source, reading=AS_SIGNALS)


@pytest.mark.parametrize("shape", [(60, 40, 1), (60, 100, 3), (60, 61, 15), (60, 2, 1)])
def test_times_in_the_middle_are_not_taken_for_channels(shape: tuple[int, int, int]) -> None:
    x, y = np.random.default_rng(0).normal(size=shape), np.arange(60) / 7
    for source in ((x, y), (torch.from_numpy(x), y), x):
        with pytest.raises(InputError, match=rf"{shape[1]} channels and {shape[2]} sample.*swapaxes\(1, 2\)"):
            data.read(source, target=None if isinstance(source, tuple) else 0)
    assert data.read((x.swapaxes(1, 2), y)).sample.inputs()[0].shape == (60, shape[2], shape[1])
    if shape[2] == 1:
        with pytest.raises(InputError, match="1 sample each"):
            data.read((x, y), reading=AS_SIGNALS)
        return
    asked = data.read((x, y), reading=AS_SIGNALS)
    assert [(f.kind, f.severity) for f in asked.findings][:1] == [("few-samples", "warning")]
    assert asked.sample.inputs()[0].shape == shape
    assert data.encode(asked.schema, x[:3], reading=AS_SIGNALS).rows == 3


@pytest.mark.parametrize("shape", [(60, 60, 15), (60, 64, 16), (60, 1, 1), (60, 1345, 270), (60, 2, 8)])
def test_signals_of_many_channels_and_enough_samples_are_read(shape: tuple[int, int, int]) -> None:
    found = data.read((np.random.default_rng(0).normal(size=shape), np.arange(60) / 7))
    assert found.sample.inputs()[0].shape == shape
    assert not [f for f in found.findings if f.kind == "few-samples"]


def test_a_list_of_signals_time_first_is_told_how_to_turn_them() -> None:
    x = [np.zeros((n, 3)) for n in (5, 6, 7)]
    with pytest.raises(InputError, match=r"\[x.T for x in X\]"):
        data.read((x, [0.5, 1.5, 2.5]), reading=AS_SIGNALS)


def test_a_few_far_longer_signals_are_cut_where_training_rows_say_so() -> None:
    rng = np.random.default_rng(0)
    lengths = [100] * 300 + [900]
    sample = sample_of([rng.normal(size=n) for n in lengths])
    assert sample.values.shape[-1] == 900
    assert sample.settled(np.arange(301)).values.shape[-1] == 100
    assert sample.settled(np.arange(300)).values.shape[-1] == 100
    assert sample.settled(np.arange(290, 301)).values.shape[-1] == 900
    assert sample_of([np.zeros(9), np.ones(5)], Reading(data="signals", length=4)).lengths.tolist() == [4, 4]
    splits, _ = data.declare_splits(301, test_size=0.2, folds=2)
    cut = sample.settled(np.arange(301))
    assert [f.kind for f in cut.leaks(splits, given=False)] == ["cut-signals"]


def test_new_signals_are_read_as_the_old_ones_were(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(8, 1, 20))
    table = data.read((x, list("abababab")), reading=AS_SIGNALS)
    new = data.encode(table.schema, x[:2], reading=AS_SIGNALS)
    assert torch.equal(new.inputs()[0], table.inputs()[0][:2])
    with pytest.raises(InputError, match="10 samples"):
        data.encode(table.schema, x[:2, :, :10], reading=AS_SIGNALS)
    with pytest.raises(InputError, match="2 channels"):
        data.encode(table.schema, np.zeros((2, 2, 20)), reading=AS_SIGNALS)
    for place in range(3):
        write(tmp_path / f"a_{place}.wav", tone(1000 + 100 * place))
    heard = data.read(tmp_path, reading=Reading(target_from="{label}_{take}.wav")).settled(np.arange(2))
    write(tmp_path / "new" / "b_9.wav", tone(4000, rate=16_000), rate=16_000)
    new = data.encode(heard.schema, tmp_path / "new" / "b_9.wav")
    assert isinstance(new.sample, Signals)
    assert (new.sample.rate, new.sample.lengths.tolist(), new.sample.values.shape[-1]) == (8000, [1100], 1100)


# catalogue: E5
def test_louder_and_noisier_copies_across_splits_are_noticed_and_kin_is_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1, 50)).astype(np.float32)
    splits, _ = data.declare_splits(200, test_size=0.2, folds=2)
    assert sample_of(x).leaks(splits, given=False) == []
    x[splits.test[:5]] = 3 * x[splits.train[:5]] + 1 + 1e-3 * rng.normal(size=(5, 1, 50))
    found = sample_of(x).leaks(splits, given=False)
    assert [f.kind for f in found] == ["near-duplicates"]
    assert "5 of 40" in found[0].message
    oils = np.sin(np.arange(50) / 5) + 1e-4 * rng.normal(size=(200, 1, 50))
    assert sample_of(oils).leaks(splits, given=False) == []


def test_hashes_see_the_signal_and_not_its_padding() -> None:
    a = sample_of([np.arange(4.0), np.arange(6.0), np.arange(4.0)]).hashes()
    b = sample_of([np.arange(4.0), np.arange(4.0), np.arange(9.0)]).hashes()
    assert a[0] == a[2] == b[0] == b[1]
    assert len({*a.tolist(), *b.tolist()}) == 3


def test_statistics_are_those_of_the_training_rows_and_of_what_is_there() -> None:
    rng = np.random.default_rng(0)
    signals = [rng.normal(5, 3, size=(2, n)) for n in rng.integers(4, 30, 40)]
    signals = [np.stack([s[0], np.full(s.shape[1], 7.0)]) for s in signals]
    sample = sample_of(signals)
    rows = np.arange(25)
    network = models.ResNet1D(widths=(4,)).build(sample.shape, 2)
    buffers = sample.fit(network, rows)
    first = np.concatenate([signals[i][0] for i in rows])
    np.testing.assert_allclose(buffers["front.centre"], [first.mean(), 7], rtol=1e-5)
    np.testing.assert_allclose(buffers["front.scale"], [1 / first.std(), 0], rtol=1e-5)
    network.load_state_dict({**network.state_dict(), **buffers})
    x, n = network.front(*sample.take(rows).inputs())
    assert abs(float(x[:, 0].sum() / n.sum())) < 1e-5
    assert x[:, 1].abs().max() == 0
    assert isinstance(network.front, nn.SignalInput)


def test_examples_are_small_and_descriptions_are_json() -> None:
    sample = sample_of(np.random.default_rng(0).normal(size=(3, 6, 1000)))
    shown = sample.example(1)
    assert shown["kind"] == "signal"
    assert [len(c) for c in shown["values"]] == [200] * 4
    assert core.shape_from_json(sample.to_json()["shape"]) == sample.shape
    assert sample.summary == "3 signals, 6 channels, 1,000 samples"


# catalogue: D5
def test_signals_of_far_different_sizes_show_form_level_and_size_apart() -> None:
    draw = np.random.default_rng(0)
    form = draw.normal(size=(40, 1, 30))
    sizes = 10.0 ** draw.uniform(-2, 2, size=(40, 1, 1))
    x = torch.from_numpy(form * sizes + 3).float()
    lengths = torch.arange(40) % 3 + 28
    x = x.where(torch.arange(30) < lengths[:, None, None], 0)
    sample = Signals(values=x, lengths=lengths, equal=False).settled(np.arange(40))
    assert sample.shape.uneven
    assert not replace(sample, values=x / torch.from_numpy(sizes).float()).settled(np.arange(40)).shape.uneven
    front = nn.SignalInput(1, uneven=True)
    assert front.channels == 3
    found, _ = front(x, lengths)
    for row in (0, 1, 2):
        there = x[row, 0, : lengths[row]].double()
        size = there.std(correction=0)
        assert_close(found[row, 0, : lengths[row]].double(), (there - there.mean()) / size, rtol=1e-4, atol=1e-5)
        assert_close(found[row, 1, 0].double(), there.mean().asinh(), rtol=1e-5, atol=1e-6)
        assert_close(found[row, 2, 5].double(), size.log(), rtol=1e-5, atol=1e-6)
        assert found[row, :, lengths[row] :].eq(0).all()
    longer, _ = front(torch.nn.functional.pad(x, (0, 7), value=9.0), lengths)
    assert_close(longer[..., :30], found, rtol=1e-3, atol=1e-4)  # float32, a size of 0.01 about 3
    fitted = sample.fit(models.InceptionTime(augment=True).build(sample.shape, 2), np.arange(40))
    assert fitted["front.centre"].shape == (3,)
