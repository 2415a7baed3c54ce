import numpy as np
import pytest
import torch
from scipy import stats

from tutti.core import draw_uniform, permutation, random_bits, random_keys, random_uniform, step_keys, stream_key
from tutti.core._keys import hash_words


def lowbias32(x: int) -> int:
    """Wellons' hash in whole numbers of any size, cut to 32 bits: the reference."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


WORDS = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 123456789, 0xDEADBEEF]


def test_the_hash_on_the_host_is_lowbias32():
    got = hash_words(np.array(WORDS, np.uint32))
    assert got.tolist() == [lowbias32(word) for word in WORDS]


@pytest.mark.parametrize("key", WORDS)
def test_the_bits_on_the_device_are_the_same_hash(key):
    signed = torch.tensor(key - (1 << 32) if key >= 1 << 31 else key, dtype=torch.int32)
    bits = random_bits(signed, 100).numpy().view(np.uint32)
    assert bits.tolist() == [lowbias32((lowbias32(i) + key) % 2**32) for i in range(100)]


def test_step_keys_are_a_window_on_one_sequence():
    whole = step_keys(stream_key(1, 2), 0, 1000)
    np.testing.assert_array_equal(step_keys(stream_key(1, 2), 400, 700), whole[400:700])
    assert len(np.unique(whole)) == 1000


def test_stream_keys_depend_on_every_part_and_on_their_order():
    keys = [stream_key(seed, fold, stream) for seed in range(12) for fold in range(12) for stream in range(12)]
    assert len(set(keys)) == 12**3  # so many random words would collide once in 3,000 times
    assert stream_key(0) != stream_key(0, 0) != stream_key(0, 0, 0)
    assert stream_key(1) != stream_key(1 + 2**32) != stream_key(1 + 2**33)
    assert 0 <= stream_key(2**63, -1) < 2**32


@pytest.mark.parametrize("key", [0, 1, 2, -1, 77777])
def test_uniform_numbers_are_uniform(key):
    numbers = random_uniform(torch.tensor(key, dtype=torch.int32), 100_000).numpy()
    assert numbers.dtype == np.float32
    assert 0 <= numbers.min() < numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.015  # 4.7 standard deviations


def test_neighbouring_keys_give_unrelated_numbers():
    numbers = random_uniform(torch.arange(200, dtype=torch.int32), 2000).numpy()
    related = np.corrcoef(numbers)[np.triu_indices(200, 1)]
    assert abs(related).max() < 6 / np.sqrt(2000)
    assert stats.kstest(related * np.sqrt(2000), "norm").pvalue > 1e-4


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_a_permutation_holds_each_number_once(count):
    assert sorted(permutation(stream_key(3, count), count)) == list(range(count))


def test_every_order_of_four_is_as_likely():
    orders = [tuple(permutation(stream_key(0, i), 4).tolist()) for i in range(6_000)]
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


STREAMS = torch.tensor([11, -5, 123456], dtype=torch.int32)


def draw(keys: torch.Tensor, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    with random_keys(keys):
        return [draw_uniform(torch.empty(shape)) for shape in shapes]


def test_settings_of_one_stream_draw_the_same_numbers():
    (numbers,) = draw(STREAMS, (6, 4, 5))  # 2 settings x 3 streams, streams fastest
    torch.testing.assert_close(numbers[:3], numbers[3:], rtol=0, atol=0)
    assert not torch.equal(numbers[0], numbers[1])


def test_a_member_draws_the_same_numbers_alone_and_among_others():
    first, second = draw(STREAMS, (6, 4, 5), (6, 2))
    for slot in range(3):
        alone = draw(STREAMS[slot], (4, 5), (2,))
        torch.testing.assert_close(alone, [first[slot], second[slot]], rtol=0, atol=0)
    (moved,) = draw(STREAMS[[2, 0]], (2, 4, 5))
    torch.testing.assert_close(moved, first[[2, 0]], rtol=0, atol=0)


def test_each_place_of_a_network_draws_its_own_numbers():
    first, second = draw(STREAMS, (3, 50), (3, 50))
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.4
    again, _ = draw(STREAMS, (3, 50), (3, 50))
    torch.testing.assert_close(again, first, rtol=0, atol=0)


def test_the_keys_of_an_inner_step_do_not_disturb_the_outer_one():
    plain = draw(STREAMS, (3, 5), (3, 5))
    with random_keys(STREAMS):
        first = draw_uniform(torch.empty(3, 5))
        draw(STREAMS + 1, (3, 5))
        second = draw_uniform(torch.empty(3, 5))
    torch.testing.assert_close([first, second], plain, rtol=0, atol=0)


def test_without_keys_torchs_generator_is_used():
    torch.manual_seed(0)
    expected = torch.rand(3, 4)
    torch.manual_seed(0)
    torch.testing.assert_close(draw_uniform(torch.empty(3, 4)), expected, rtol=0, atol=0)


def test_numbers_have_the_type_of_what_they_are_for():
    with random_keys(STREAMS[0]):
        assert draw_uniform(torch.empty(3, dtype=torch.float64)).dtype == torch.float64
