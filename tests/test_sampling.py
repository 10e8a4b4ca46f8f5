import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from espressivo.engine.sampling import MAX_SEED, Sampling, generator
from espressivo.errors import GenerationError

P = np.array([0.4, 0.1, 0.3, 0.2])
LOGITS = np.log(P)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


# --- the distribution, exactly --------------------------------------------------------------------


def test_without_settings_it_is_the_softmax():
    assert_close(Sampling().distribution(LOGITS), P)
    assert_close(Sampling().distribution(LOGITS + 1000), P)
    assert_close(Sampling().distribution(LOGITS.astype(np.float32)).round(6), P)


def test_temperature_divides_the_logits():
    assert_close(Sampling(2.0).distribution(LOGITS), np.sqrt(P) / np.sqrt(P).sum())
    assert_close(Sampling(0.5).distribution(LOGITS), P**2 / (P**2).sum())


def test_temperature_zero_takes_the_first_of_the_likeliest():
    assert_close(Sampling(0).distribution(LOGITS), [1, 0, 0, 0])
    assert_close(Sampling(0).distribution(np.array([1.0, 3.0, 3.0, 2.0])), [0, 1, 0, 0])


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, [1, 0, 0, 0]), (2, [4 / 7, 0, 3 / 7, 0]), (3, [4 / 9, 0, 3 / 9, 2 / 9]), (4, P), (9, P)],
)
def test_top_k(k, expected):
    assert_close(Sampling(top_k=k).distribution(LOGITS), expected)


def test_top_k_of_equals_keeps_the_lower_ids():
    p = Sampling(top_k=100).distribution(np.tile([0.0, 1.0, 0.0], 100) * 5)
    assert np.flatnonzero(p).tolist() == list(range(1, 300, 3))
    p = Sampling(top_k=101).distribution(np.tile([0.0, 1.0, 0.0], 100) * 5)
    assert np.flatnonzero(p).tolist() == [0, *range(1, 300, 3)]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (1e-9, [1, 0, 0, 0]),
        (0.39, [1, 0, 0, 0]),
        (0.41, [4 / 7, 0, 3 / 7, 0]),
        (0.69, [4 / 7, 0, 3 / 7, 0]),
        (0.71, [4 / 9, 0, 3 / 9, 2 / 9]),
        (0.91, P),
        (1.0, P),
    ],
)
def test_top_p(p, expected):
    assert_close(Sampling(top_p=p).distribution(LOGITS), expected)


def test_the_cuts_follow_the_temperature_and_top_k_comes_first():
    # Squared: 16, 1, 9, 4 of 30, so that two ids have 25/30; of the three likeliest 25/29.
    assert_close(Sampling(0.5, top_p=0.8).distribution(LOGITS), [16 / 25, 0, 9 / 25, 0])
    assert_close(Sampling(0.5, top_p=0.85).distribution(LOGITS), np.array([16, 0, 9, 4]) / 29)
    assert_close(Sampling(0.5, top_k=3, top_p=0.85).distribution(LOGITS), [16 / 25, 0, 9 / 25, 0])


def test_only_what_is_allowed_can_be_drawn():
    allowed = np.array([False, True, True, True])
    for sampling, expected in (
        (Sampling(), [0, 1 / 6, 3 / 6, 2 / 6]),
        (Sampling(0), [0, 0, 1, 0]),
        (Sampling(top_k=2), [0, 0, 3 / 5, 2 / 5]),
        (Sampling(top_p=0.6), [0, 0, 3 / 5, 2 / 5]),
    ):
        assert_close(sampling.distribution(LOGITS, allowed), expected)


def test_the_arguments_are_not_changed():
    logits, allowed = LOGITS.copy(), np.array([True, False, True, True])
    Sampling(0.5, 2, 0.5).draw(logits, np.random.default_rng(0), allowed)
    assert_close(logits, LOGITS)
    assert allowed.tolist() == [True, False, True, True]


# --- numbers at the edge --------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1e-310, 1e-30, 1e-3])
def test_tiny_temperatures_are_greedy(temperature):
    assert_close(Sampling(temperature).distribution(LOGITS), [1, 0, 0, 0])
    assert_close(Sampling(temperature).distribution(np.zeros(4)), [0.25] * 4)


def test_a_huge_temperature_makes_all_alike():
    assert_close(Sampling(1e300).distribution(LOGITS), [0.25] * 4)


def test_huge_logits():
    huge = np.array([1e38, -1e38, 1e38, -1e38], np.float32)
    assert_close(Sampling().distribution(huge), [0.5, 0, 0.5, 0])
    assert_close(Sampling(0.1).distribution(huge), [0.5, 0, 0.5, 0])


def test_impossible_ids_are_never_drawn():
    logits = np.array([-np.inf, 0.0, -np.inf, 0.0])
    for sampling in (Sampling(), Sampling(2.0), Sampling(top_k=3), Sampling(top_p=1.0)):
        assert_close(sampling.distribution(logits), [0, 0.5, 0, 0.5])


@pytest.mark.parametrize("temperature", [0, 1])
def test_when_nothing_can_be_drawn(temperature):
    sampling = Sampling(temperature)
    for logits, allowed in (
        (LOGITS, np.zeros(4, bool)),
        (np.full(4, -np.inf), None),
        (np.array([0, -np.inf, 0, 0]), np.array([False, True, False, False])),
        (np.array([0, np.nan, 0, 0]), None),
        (np.array([0, np.inf, 0, 0]), None),
    ):
        with pytest.raises(GenerationError, match="no id can be drawn"):
            sampling.draw(logits, np.random.default_rng(0), allowed)


@given(
    arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2.0**120), 2.0**120, width=32)),
    st.sampled_from([0, 1e-300, 0.3, 1.0, 5.0]),
    st.sampled_from([None, 1, 3, 100]),
    st.sampled_from([None, 1e-12, 0.5, 1.0]),
    st.integers(0, 2**32),
)
def test_every_distribution_is_one_and_draws_are_possible(logits, temperature, k, p, seed):
    rng = np.random.default_rng(seed)
    allowed = rng.random(len(logits)) < 0.5
    allowed[rng.integers(len(logits))] = True
    sampling = Sampling(temperature, k, p)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution = sampling.distribution(logits, allowed)
        drawn = sampling.draw(logits, rng, allowed)
    assert distribution.min() >= 0
    assert abs(distribution.sum() - 1) < 1e-9
    assert not distribution[~allowed].any()
    assert (distribution > 0).sum() <= (k or len(logits))
    assert distribution[drawn] > 0


# --- drawing --------------------------------------------------------------------------------------


class Scripted:
    """A generator that gives one chosen number."""

    def __init__(self, number):
        self.number = number

    def random(self):
        return self.number


def test_even_the_extreme_numbers_draw_possible_ids():
    logits = np.array([-np.inf, 0.0, -np.inf, 0.0, -np.inf])
    for number, expected in ((0.0, 3), (0.49, 3), (0.51, 1), (1 - 2**-53, 1)):
        assert Sampling().draw(logits, Scripted(number)) == expected


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(0.7), Sampling(1.8), Sampling(top_k=5), Sampling(top_p=0.8)]
)
def test_draws_follow_the_distribution(sampling):
    rng = np.random.default_rng(7)
    logits = rng.normal(size=12)
    allowed = np.arange(12) != 3
    expected = sampling.distribution(logits, allowed)
    count = 20_000
    drawn = [sampling.draw(logits, rng, allowed) for _ in range(count)]
    observed = np.bincount(drawn, minlength=12)
    possible = expected > 0
    assert not observed[~possible].any()
    chi_square = ((observed - count * expected)[possible] ** 2 / (count * expected[possible])).sum()
    assert chi_square < 31.3  # exceeded once in a thousand with 11 degrees of freedom


def test_the_same_generator_draws_the_same():
    def drawn(seed):
        rng = np.random.default_rng(seed)
        return [Sampling().draw(LOGITS, rng) for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": -0.1}, "temperature must be at least 0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top_k must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(GenerationError, match=words):
        Sampling(**settings)
    with pytest.raises(ValueError, match=words):
        Sampling(**settings)


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("temperature", (0, 1e300), (np.nextafter(0, -1), math.inf, math.nan)),
        ("top_k", (1, 10**9), (0,)),
        ("top_p", (np.nextafter(0, 1), 1), (0, np.nextafter(1, 2))),
        ("min_p", (0, 1), (np.nextafter(0, -1), np.nextafter(1, 2))),
    ],
)
def test_each_setting_ends_where_it_says(name, taken, refused):
    for value in taken:
        assert Sampling(**{name: value}).distribution(LOGITS).sum() == pytest.approx(1)
    for value in refused:
        with pytest.raises(GenerationError, match=name):
            Sampling(**{name: value})


def test_a_temperature_of_a_kind_ends_where_others_do():
    for value in (0, 1e300):
        p = Sampling(kinds=(2, 2), within=(Sampling(value), None)).distribution(LOGITS)
        assert p[:2].sum() == pytest.approx(0.5)
    for value in (np.nextafter(0, -1), math.inf, math.nan):
        with pytest.raises(GenerationError, match="temperature must be at least 0"):
            Sampling(kinds=(1, 3), within=(Sampling(1.0), Sampling(value)))


def test_all_complaints_come_at_once():
    with pytest.raises(GenerationError, match=r"temperature.*top_k.*top_p"):
        Sampling(-1, 0, 2)


# --- kinds and min_p -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("m", "expected"),
    [
        (0.0, P),
        (0.24, P),
        (0.26, [4 / 9, 0, 3 / 9, 2 / 9]),
        (0.74, [4 / 7, 0, 3 / 7, 0]),
        (0.76, [1, 0, 0, 0]),
        (1.0, [1, 0, 0, 0]),
    ],
)
def test_min_p(m, expected):
    assert_close(Sampling(min_p=m).distribution(LOGITS), expected)


def test_min_p_follows_the_temperature_and_every_cut_must_be_passed():
    # Squared: 16, 1, 9, 4 of 30.
    assert_close(Sampling(0.5, min_p=0.3).distribution(LOGITS), [16 / 25, 0, 9 / 25, 0])
    assert_close(Sampling(top_k=3, min_p=0.6).distribution(LOGITS), [4 / 7, 0, 3 / 7, 0])
    assert_close(Sampling(top_k=2, min_p=0.3).distribution(LOGITS), [4 / 7, 0, 3 / 7, 0])
    assert_close(Sampling(top_p=0.5, min_p=0.1).distribution(LOGITS), [4 / 7, 0, 3 / 7, 0])


def test_a_kind_keeps_its_probability_and_shares_it_out_at_its_own_temperature():
    # Ids 0 and 1 have half of it, in the proportion 16 to 1; ids 2 and 3 as they were.
    p = Sampling(kinds=(2, 2), within=(Sampling(0.5), None)).distribution(LOGITS)
    assert_close(p, [0.5 * 16 / 17, 0.5 / 17, 0.3, 0.2])
    # The kinds have their share at temperature 1/2: 17 and 13 of 30.
    p = Sampling(0.5, kinds=(2, 2), within=(Sampling(1.0), Sampling(0.0))).distribution(LOGITS)
    assert_close(p, [17 / 30 * 0.8, 17 / 30 * 0.2, 13 / 30, 0])
    everywhere = Sampling(0.7, kinds=(1, 3), within=(Sampling(0.7), Sampling(0.7)))
    assert_close(everywhere.distribution(LOGITS), Sampling(0.7).distribution(LOGITS))


def test_a_kind_cuts_among_its_own_ids_and_keeps_its_probability():
    way = Sampling(kinds=(2, 2), within=(None, Sampling(top_k=1)))
    assert_close(way.distribution(LOGITS), [0.4, 0.1, 0.5, 0])
    way = Sampling(kinds=(2, 2), within=(Sampling(min_p=0.3), Sampling(0.5, top_p=0.6)))
    assert_close(way.distribution(LOGITS), [0.5, 0, 0.5, 0])
    way = Sampling(kinds=(2, 2), within=(Sampling(min_p=0.2), Sampling(0.5, top_p=0.9)))
    assert_close(way.distribution(LOGITS), [0.4, 0.1, 0.5 * 9 / 13, 0.5 * 4 / 13])
    allowed = np.array([False, False, True, True])
    assert_close(way.distribution(LOGITS, allowed), [0, 0, 9 / 13, 4 / 13])


def test_a_kind_of_which_nothing_is_allowed_stays_at_nothing():
    allowed = np.array([True, True, False, False])
    p = Sampling(kinds=(2, 2), within=(None, Sampling(5.0))).distribution(LOGITS, allowed)
    assert_close(p, [0.8, 0.2, 0, 0])
    assert_close(Sampling(0, kinds=(4,), within=(Sampling(1.0),)).distribution(LOGITS), P)


@pytest.mark.parametrize("within", [(), (None, Sampling(0.4))])
def test_temperature_zero_is_the_limit(within):
    rng = np.random.default_rng(0)
    for _ in range(200):
        logits, allowed = rng.normal(size=9) * 5, rng.random(9) < 0.5
        if not allowed.any():
            continue
        limit = Sampling(0, kinds=(4, 5), within=within)
        cold = Sampling(1e-6, kinds=(4, 5), within=within)
        assert_close(cold.distribution(logits, allowed), limit.distribution(logits, allowed))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(0.9, kinds=(100, 200, 124)),
        Sampling(1.0, kinds=(100, 200, 124), within=(None, Sampling(0.5), Sampling(2.0))),
        Sampling(
            0.9,
            top_p=0.9,
            kinds=(100, 200, 124),
            within=(Sampling(0.9, min_p=0.01), None, Sampling(2.0, top_k=20, top_p=0.7)),
        ),
        Sampling(0, kinds=(100, 200, 124)),
    ],
)
def test_rows_are_drawn_as_each_would_be_alone(sampling):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(64, 424)).astype(np.float32) * 8
    allowed, shares = rng.random((64, 424)) < 0.3, rng.random(64)
    together = sampling.choose(logits, shares, allowed)
    alone = [sampling.choose(logits[n], shares[n], allowed[n]) for n in range(64)]
    assert together.tolist() == [int(id_) for id_ in alone]
    assert allowed[np.arange(64), together].all()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1e6])
def test_one_is_chosen_as_in_a_row_where_nothing_allowed_of_a_kind_is_possible(temperature):
    sampling, rng = Sampling(temperature, kinds=(20, 30)), np.random.default_rng(0)
    for share in rng.random(50).tolist():
        logits, allowed = rng.normal(size=50).astype(np.float32), rng.random(50) < 0.3
        logits[:20][allowed[:20]] = -np.inf
        chosen = int(sampling.choose(logits, share, allowed))
        assert sampling.choose_one(logits, share, allowed) == chosen


def test_a_seed_gives_its_numbers_whatever_else_is_drawn():
    # The first numbers of Philox-4x64 with the key 7: a counter, and no hidden state.
    bits = np.random.Philox(key=7).random_raw(3)
    assert [generator(7).random()] == [(int(bits[0]) >> 11) / 2**53]
    rng = generator(7)
    assert [rng.random() for _ in range(3)] == [(int(b) >> 11) / 2**53 for b in bits]
    assert generator(8).random() != generator(7).random()
    assert generator(None).random() != generator(None).random()
    generator(MAX_SEED)
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(GenerationError, match="seed must be within"):
            generator(seed)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(min_p=0.2),
        Sampling(
            0.8, 8, 0.9, 0.1, (4, 5, 3), (Sampling(2.0), Sampling(0.4, top_p=0.9), Sampling(1.3))
        ),
    ],
)
def test_draws_follow_the_new_settings_too(sampling):
    test_draws_follow_the_distribution(sampling)


def test_the_new_settings_are_checked():
    for settings, words in (
        ({"min_p": -0.1}, "min_p must be within"),
        ({"min_p": float("nan")}, "min_p"),
    ):
        with pytest.raises(GenerationError, match=words):
            Sampling(**settings)


# --- kinds ----------------------------------------------------------------------------------------


def test_what_is_ruled_out_leaves_its_probability_to_its_kind():
    logits = np.log([0.4, 0.1, 0.2, 0.2, 0.1])
    allowed = np.array([False, True, True, True, False])
    p = Sampling(kinds=(2, 2, 1)).distribution(logits, allowed)
    # Kind one has 0.5, all now in its second id; kind two 0.4; kind three is gone.
    assert_close(p, np.array([0, 0.5, 0.2, 0.2, 0]) / 0.9)
    spread = Sampling().distribution(logits, allowed)
    assert_close(spread, np.array([0, 0.1, 0.2, 0.2, 0]) / 0.5)


def test_nothing_ruled_out_makes_kinds_no_difference():
    for temperature in (0, 0.5, 1.0, 2.0):
        with_kinds = Sampling(temperature, kinds=(1, 3)).distribution(LOGITS, np.ones(4, bool))
        assert_close(with_kinds, Sampling(temperature).distribution(LOGITS))


def test_a_kind_that_cannot_come_gives_way_even_when_it_is_all_but_certain():
    logits = np.array([2000.0, 0.0, 1.0])
    for temperature in (0, 1.0):
        p = Sampling(temperature, kinds=(1, 2)).distribution(logits, np.array([False, True, True]))
        assert p[0] == 0
        assert p[2] > p[1]
        assert p.sum() == pytest.approx(1)


@pytest.mark.parametrize("gap", [600.0, 705.0, 709.0, 720.0, 740.0, 800.0])
def test_a_kind_of_which_next_to_nothing_is_left(gap):
    # exp(-709) and less are no longer whole numbers of the computer's, and then 0.
    logits = np.array([0.0, -gap, -1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p = Sampling(kinds=(2, 1)).distribution(logits, np.array([False, True, True]))
    share = 1 / (1 + math.exp(-1))  # it keeps its kind's share, however little of it is left
    assert_close(p, [0, share, 1 - share])
