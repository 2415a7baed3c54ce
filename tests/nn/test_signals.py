"""Log-mel spectrograms against the formulas; masked statistics; augmentation that knows where a signal ends."""

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal
from torch.func import functional_call

from tutti import core, nn
from tutti.core import InputError


def _mel(f: float) -> float:
    return 2595 * float(np.log10(1 + f / 700))


# catalogue: A36
@pytest.mark.parametrize(("bands", "bins", "rate"), [(40, 129, 8000.0), (20, 513, 22_050.0)])
def test_mel_filters_are_triangles_on_the_mel_scale(bands: int, bins: int, rate: float) -> None:
    found = nn.mel_filters(bands, bins, rate).numpy()
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, _mel(rate / 2), bands + 2)]
    for b in range(bands):
        low, middle, high = edges[b : b + 3]
        expected = [
            max(0.0, min((f - low) / (middle - low), (high - f) / (high - middle)))
            for f in (k * rate / 2 / (bins - 1) for k in range(bins))
        ]
        if max(expected) == 0:
            assert found[b].sum() == 1
        else:
            np.testing.assert_allclose(found[b], expected, atol=1e-6)


# catalogue: A36
def test_the_spectrogram_is_scipys_short_time_transform_in_bands() -> None:
    rate, x = 8000.0, np.random.default_rng(0).normal(size=1000)
    layer = nn.MelSpectrogram(rate, bands=12).double()
    bands, frames = layer(torch.from_numpy(x)[None, None], torch.tensor([1000]))
    assert frames.tolist() == [1000 // 80 + 1] == [bands.shape[-1]]
    window = np.pad(scipy_signal.get_window("hann", 200), 28)
    padded = np.pad(x, 128)
    power = np.stack([np.abs(np.fft.rfft(window * padded[t * 80 : t * 80 + 256])) ** 2 for t in range(13)], axis=1)
    expected = np.log(layer.filters.numpy() @ power / (0.375 * 200) + 1e-6)
    np.testing.assert_allclose(bands[0].numpy(), expected, rtol=1e-5, atol=1e-5)  # a float32 window


def test_a_tone_stands_in_the_band_of_its_pitch() -> None:
    rate = 16_000.0
    layer = nn.MelSpectrogram(rate)
    for hertz in (300.0, 1000.0, 5000.0):
        x = torch.sin(2 * torch.pi * hertz * torch.arange(8000) / rate)
        bands, _ = layer(x[None, None], torch.tensor([8000]))
        expected = _mel(hertz) / _mel(rate / 2) * 41 - 1
        assert abs(int(bands[0, :, 50].argmax()) - expected) <= 1


def test_what_stands_behind_a_signal_changes_no_frame() -> None:
    layer = nn.MelSpectrogram(8000.0)
    x = torch.randn(2, 1, 2000)
    lengths = torch.tensor([2000, 1000])
    y = torch.nn.functional.pad(x, (0, 333), value=9.0)
    y[1, :, 1000:] = torch.nan
    (a, n), (b, m) = layer(x, lengths), layer(y, lengths)
    assert n.equal(m)
    for row, count in enumerate(n.tolist()):
        torch.testing.assert_close(a[row, :, :count], b[row, :, :count])
    with pytest.raises(InputError, match="Frames of"):
        nn.MelSpectrogram(10.0)


def test_masked_batch_norm_is_batch_norm_of_what_is_there() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.MaskedBatchNorm(3).double(), torch.nn.BatchNorm1d(3).double()
    lengths = torch.tensor([5, 2, 7])
    x = torch.randn(3, 3, 7, dtype=torch.float64)
    present = nn.present_times(lengths, 7)
    flat = torch.cat([x[i, :, :n] for i, n in enumerate(lengths.tolist())], -1)[None]
    for _ in range(2):
        y, expected = ours(x, present), theirs(flat)
        got = torch.cat([y[i, :, :n] for i, n in enumerate(lengths.tolist())], -1)[None]
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x, present)[0, :, :5], theirs(flat)[0, :, :5])
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("size", [2, 3, 5])
def test_means_over_time_take_what_is_there(size: int) -> None:
    x = torch.arange(14.0).view(2, 1, 7)
    lengths = torch.tensor([7, 4])
    x = x.where(nn.present_times(lengths, 7), 0)
    y, n = nn.TimePool(size)(x, lengths)
    for row, count in enumerate(lengths.tolist()):
        expected = [x[row, 0, a : min(a + size, count)].mean() for a in range(0, count, size)]
        assert n[row] == len(expected)
        torch.testing.assert_close(y[row, 0, : len(expected)], torch.stack(expected))
        assert y[row, 0, len(expected) :].eq(0).all()
    whole, none = nn.TimePool(size)(x, None)
    assert none is None
    torch.testing.assert_close(whole[0], y[0])
    torch.testing.assert_close(nn.MeanOverTime()(x, lengths)[1, 0], x[1, 0, :4].mean())


def augmented(x: torch.Tensor, lengths: torch.Tensor, strength: float, **only: float) -> torch.Tensor:
    none = {"shift": 0.0, "jitter": 0.0, "time": 0.0, "bands": 0.0}
    layer = nn.SignalAugment(**(none | only), strength=strength)
    with core.random_keys(torch.tensor(5)):
        y: torch.Tensor = layer(x, lengths)
    return y


def test_augmentation_does_what_it_says_within_the_signal() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([40, 25] * 50)
    x = (torch.randn(100, 8, 40) + 3).where(nn.present_times(lengths, 40), 0)
    everything = {"shift": 0.3, "jitter": 0.5, "time": 0.5, "bands": 0.5}
    torch.testing.assert_close(augmented(x, lengths, 0.0, **everything), x)
    y = augmented(x, lengths, 1.0, **everything)
    assert y[1::2, :, 25:].eq(0).all()
    shifted = augmented(x, lengths, 1.0, shift=0.3)
    for row in range(4):
        n = int(lengths[row])
        moves = [
            by
            for by in range(-12, 13)
            if torch.equal(shifted[row, :, max(0, by) : n + min(0, by)], x[row, :, max(0, -by) : n - max(0, by)])
        ]
        assert len(moves) == 1
    for name, along in (("time", 1), ("bands", 2)):
        gone = augmented(x, lengths, 1.0, **{name: 0.5}).eq(0) & x.ne(0)
        share = gone.all(along).float().sum(-1) if name == "bands" else gone[..., :25].all(along).float().sum(-1)
        assert 0 < share.max() <= (4 if name == "bands" else 20)
    noise = (augmented(x, lengths, 0.5, jitter=0.2) - x)[0::2]
    assert abs(float(noise.std()) - 0.1) < 0.005
    layer = nn.SignalAugment(strength=1.0).eval()
    assert torch.equal(layer(x, lengths), x)


def test_augmentation_of_a_stack_is_each_members_own() -> None:
    layer = nn.SignalAugment(bands=0.3)
    x, lengths = torch.randn(6, 3, 20), torch.tensor([20, 20, 15, 20, 9, 20])
    x = x.where(nn.present_times(lengths, 20), 0)
    strength = torch.tensor([0.0, 0.5, 1.0])
    keys = torch.tensor([3, 4, 5])
    with core.random_keys(keys):
        stacked = functional_call(layer, {"augment": strength}, (x.expand(3, -1, -1, -1), lengths.expand(3, -1)))
    for member in range(3):
        with core.random_keys(keys[member]):
            alone = functional_call(layer, {"augment": strength[member]}, (x, lengths))
        assert torch.equal(stacked[member], alone)
