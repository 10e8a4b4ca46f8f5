"""A score is followed in a performance in which nothing is marked."""

from __future__ import annotations

import numpy as np
import pytest

from espressivo.data import followed, following, take_of
from espressivo.music import NOTE_DTYPE, Performance, Score
from espressivo.play import perform
from interpreters import Rules


def score_of(count: int, seed: int = 0) -> Score:
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.choice([0, 0.5, 1], count))
    return Score.from_arrays(
        onset=onset, duration=np.full(count, 0.5), pitch=rng.integers(40, 80, count)
    )


def test_each_note_is_found_that_was_played() -> None:
    score = score_of(300)
    performance = perform(score, model=Rules(), freedom=1, seed=1, tempo=40).performance
    found = followed(score, performance)
    pitches = performance.notes["pitch"][found]
    assert (found >= 0).mean() > 0.95
    assert (pitches[found >= 0] == score.notes["pitch"][found >= 0]).all()
    assert len(set(found[found >= 0].tolist())) == np.count_nonzero(found >= 0)


def test_what_was_left_out_or_added_does_not_lead_astray() -> None:
    score = score_of(300, 1)
    rendition = perform(score, model=Rules(), freedom=1, seed=2)
    notes = rendition.performance.notes
    rng = np.random.default_rng(3)
    left = notes[rng.random(len(notes)) < 0.9]
    wrong = np.zeros(30, NOTE_DTYPE)
    wrong["onset_s"] = rng.uniform(0, rendition.performance.seconds, 30)
    wrong["offset_s"], wrong["pitch"], wrong["velocity"] = wrong["onset_s"] + 0.1, 30, 50
    take = take_of(score, Performance(np.concatenate((left, wrong))))
    assert take.found > 0.85
    known = np.isfinite(take.beats_s)
    assert known[:-1].mean() > 0.95
    off_s = np.abs(take.beats_s - rendition.beats_s)[known]
    assert np.median(off_s) < 0.03
    assert np.quantile(off_s, 0.9) < 0.15
    assert (np.diff(take.beats_s[known]) > 0).all()
    assert not (take.velocity == 50).all()


def test_another_piece_is_not_found() -> None:
    other = perform(score_of(300, 5), model=Rules(), seed=1).performance
    assert take_of(score_of(300, 4), other).found < 0.5


def test_nothing_is_found_in_nothing() -> None:
    empty = Performance(np.empty(0, NOTE_DTYPE))
    take = take_of(score_of(5), empty)
    assert (take.found, take.velocity.tolist()) == (0, [0] * 5)
    assert np.isnan(take.beats_s).all()


def test_what_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_CELLS", 99)
    score = score_of(50)
    with pytest.raises(ValueError, match="too long to be followed"):
        followed(score, score.performance())
