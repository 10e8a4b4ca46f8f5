import itertools
import math

import numpy as np
import pytest

from espressivo.codes import END, TIME_SHIFT, Vocabulary, decoder_of, vocabulary
from espressivo.errors import GenerationError
from espressivo.music import Performance
from espressivo.play.model import Model
from espressivo.play.settings import Settings
from known import Mock

TINY = Vocabulary("tiny", 60, 61, max_shift_steps=2, velocity_floors=(1,), velocity_values=(64,))
ENDING = Vocabulary(
    "ending", 60, 60, 100, 1, velocity_floors=(1,), velocity_values=(64,), boundaries=True
)


def probabilities(v, length, primer=(), **settings):
    """Every list that can be generated, with its probability, from the mock's formula."""
    mock, rules = Mock(v), Settings(**settings)
    everything = {}

    def follow(ids, log_p):
        decoder, mixed = decoder_of(v, rules.limits), v.size + 1
        for id_ in (*primer, *ids):
            decoder.feed(id_)
            mixed = mixed % 1009 * 31 + id_ + 1
        allowed = decoder.allowed()
        if not primer and decoder.onset is None:
            allowed = allowed & (v.kinds != END)  # there is no end before the first note
        if len(ids) == length or not allowed.any():
            everything[ids] = log_p
            return
        if decoder.overdue() is not None:
            follow((*ids, decoder.overdue()), log_p)
            return
        logits = mock.logits(mixed % 1009, len(primer) + len(ids) + 1)
        p = rules.sampling(v).distribution(logits, allowed)
        merged = {}
        for id_ in np.flatnonzero(p).tolist():
            merged[decoder.cut(id_)] = merged.get(decoder.cut(id_), 0) + p[id_]
        for id_, part in merged.items():
            follow((*ids, id_), log_p + math.log(part))

    follow((), 0.0)
    assert sum(map(math.exp, everything.values())) == pytest.approx(1)
    return everything


def found(v, **arguments):
    return {
        tuple(f.ids.tolist()): f.log_probability for f in Model(Mock(v)).beam_search(**arguments)
    }


@pytest.mark.parametrize(
    ("v", "settings"),
    [
        (TINY, {}),
        (TINY, {"temperature": 0.6, "top_k": 3, "time_temperature": 2.0}),
        (TINY, {"longest_note_s": 0.01}),
        (ENDING, {}),
    ],
)
@pytest.mark.parametrize("stochastic", [False, True])
def test_a_wide_search_finds_everything_with_its_probability(v, settings, stochastic):
    primer = (v.first[3], 0) if v is TINY else ()
    expected = probabilities(v, 5, primer, **settings)
    assert len(expected) >= 6
    results = found(
        v, events=5, width=2000, primer=primer, stochastic=stochastic, seed=1, **settings
    )
    assert results.keys() == expected.keys()
    for ids, log_p in results.items():
        assert log_p == pytest.approx(expected[ids], abs=1e-5)


def test_the_best_come_first_by_the_mean_of_an_event_or_by_the_sum():
    expected = probabilities(ENDING, 9)
    assert len({len(ids) for ids in expected}) > 2
    for penalty in (0.0, 0.7, 1.0):
        best = Model(Mock(ENDING)).beam_search(events=9, width=2000, length_penalty=penalty)
        scores = [f.score for f in best]
        assert scores == sorted(scores, reverse=True)
        for f in best:
            assert f.score == pytest.approx(f.log_probability / len(f.ids) ** penalty)
    firsts = {
        tuple(
            Model(Mock(ENDING)).beam_search(events=9, width=2000, length_penalty=a)[0].ids.tolist()
        )
        for a in (0.0, 1.0)
    }
    assert max(expected, key=expected.__getitem__) in firsts


def test_one_beam_is_greedy_and_more_are_no_worse():
    model = Model(Mock(TINY))
    (greedy,) = model.beam_search(events=8, width=1)
    assert greedy.ids.tolist() == list(model.generate_ids(events=8, temperature=0))
    scores = [model.beam_search(events=8, width=width)[0].score for width in (1, 4, 4000)]
    assert scores[0] <= scores[-1] and scores[1] <= scores[-1]
    exact = max(probabilities(TINY, 6).values())
    assert model.beam_search(events=6, width=4000)[0].log_probability == pytest.approx(
        exact, abs=1e-5
    )


def test_a_narrow_beam_keeps_the_best_of_each_length():
    """By hand: of all continuations of the lists kept, the best are kept."""
    kept = {(): 0.0}
    for length in range(1, 7):
        everything = probabilities(TINY, length)
        children = {ids: p for ids, p in everything.items() if ids[:-1] in kept}
        kept = dict(itertools.islice(sorted(children.items(), key=lambda item: -item[1]), 3))
    assert list(found(TINY, events=6, width=3)) == list(kept)


def test_stochastic_beams_are_drawn_without_replacement_in_proportion():
    expected = probabilities(TINY, 3)
    lists, p = list(expected), np.exp(list(expected.values()))
    count = 800
    firsts, seconds = np.zeros(len(p)), np.zeros(len(p))
    model = Model(Mock(TINY))
    for seed in range(count):
        first, second = model.beam_search(events=3, width=2, stochastic=True, seed=seed)
        firsts[lists.index(tuple(first.ids.tolist()))] += 1
        seconds[lists.index(tuple(second.ids.tolist()))] += 1
    second_p = np.array([p[j] * sum(p / (1 - p)) - p[j] * p[j] / (1 - p[j]) for j in range(len(p))])
    assert second_p.sum() == pytest.approx(1)
    for observed, share in ((firsts, p), (seconds, second_p)):
        common = share * count > 5
        chi_square = ((observed - count * share)[common] ** 2 / (count * share[common])).sum()
        freedom = common.sum()
        assert freedom >= 3
        assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_the_same_seed_finds_the_same():
    def results(seed):
        return list(found(TINY, events=10, width=4, stochastic=True, seed=seed))

    assert results(3) == results(3) != results(4)
    assert len(set(results(3))) == 4


def test_arguments_are_checked():
    for wrong in ({"events": 0}, {"events": 3, "width": 0}):
        with pytest.raises(GenerationError, match="at least 1"):
            Model(Mock(TINY)).beam_search(**wrong)


def test_nothing_of_a_search_begins_before_the_notes_of_its_primer_have_ended():
    v = vocabulary("notes")
    note = Performance.from_arrays(onset_s=[0.0], offset_s=[0.5], pitch=[60], velocity=[64])
    for result in Model(Mock(v)).beam_search(events=3, width=8, primer=note):
        kinds = v.kinds[result.ids]
        first = int(np.argmax(kinds != TIME_SHIFT))
        assert v.values[result.ids[:first]].sum() >= 50
