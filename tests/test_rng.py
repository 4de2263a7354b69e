"""The random stream of initialisers and dropout."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minitorch_cnn import manual_seed, rng


def test_same_seed_same_numbers():
    manual_seed(7)
    first = rng.generator().random(5)
    manual_seed(7)
    np.testing.assert_array_equal(rng.generator().random(5), first)
    manual_seed(8)
    assert (rng.generator().random(5) != first).all()


def test_state_survives_json():
    manual_seed(3)
    rng.generator().random(11)
    state = json.loads(json.dumps(rng.get_state()))
    expected = rng.generator().random(5)
    rng.set_state(state)
    np.testing.assert_array_equal(rng.generator().random(5), expected)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="seed - expected an integer >= 0"):
        manual_seed(seed)


def test_foreign_state_is_refused():
    with pytest.raises(ValueError, match="expected a dict of a PCG64 stream"):
        rng.set_state({"bit_generator": "MT19937"})


def test_a_jump_leads_to_another_stream_that_can_be_repeated():
    numbers = []
    for times in (0, 1, 2, 1):
        manual_seed(3)
        rng.jump(times)
        numbers.append(rng.generator().random(3).tolist())
    manual_seed(3)
    assert numbers[0] == rng.generator().random(3).tolist()
    assert numbers[1] == numbers[3] and numbers[0] != numbers[1] != numbers[2] != numbers[0]
    with pytest.raises(ValueError, match="jump: times - expected an integer >= 0, got -1"):
        rng.jump(-1)


def test_inside_using_this_thread_draws_from_another_stream():
    manual_seed(7)
    expected, own = rng.generator().random(2), rng.stream(3)
    manual_seed(7)
    with pytest.raises(KeyError), rng.using(own):
        first = rng.generator().random()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: rng.generator().random()).result() == expected[0]
        manual_seed(3)
        assert rng.generator() is own and rng.generator().random() == first
        raise KeyError
    assert rng.generator().random() == expected[1]


def test_weights_are_drawn_again_after_the_block_also_after_an_error_in_it():
    assert rng.weights_are_drawn()
    with pytest.raises(KeyError), rng.undrawn_weights():
        with rng.undrawn_weights():
            pass
        assert not rng.weights_are_drawn()
        raise KeyError
    assert rng.weights_are_drawn()


def test_other_threads_draw_their_weights():
    with rng.undrawn_weights(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(rng.weights_are_drawn).result()
