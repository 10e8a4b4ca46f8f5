"""Leaning: a stream plays by a point between two passages, and the point moves while it plays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from espressivo import Performance, load
from espressivo.codes import VELOCITY, vocabulary
from espressivo.latent import SUMMARY, passages_of
from espressivo.play import Encoded, Lean, Model, Stream
from espressivo.play.space import BLENDED
from known import Clock
from played import played

V = vocabulary("notes")


class OnALine:
    """Stands for a space: lifts that are the first number of a point."""

    class latent:
        length, vocabulary = 20, V

    def lifts(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.broadcast_to(points[:, :1, None], (len(points), 20, V.size))

    def summaries(self, encoded: Encoded) -> NDArray[np.float32]:
        return np.zeros((len(encoded.means), SUMMARY), np.float32)


def at(place: float) -> Encoded:
    points = np.full((1, 4), place, np.float32)
    return Encoded(passages_of(played(1, notes=10), 48, V), points, points)


def test_the_point_moves_from_the_next_event_on_over_eight() -> None:
    lean = Lean(OnALine(), at(0), at(9), 0.0)  # type: ignore[arg-type]
    event = tuple(V.encode(played(1, notes=10))[:4].tolist())
    control = V.kinds > VELOCITY  # what a passage still wants does not move

    def raised() -> float:
        values = np.unique(lean.raised(np.zeros(V.size, np.float32))[control])
        assert len(values) == 1
        return float(values[0])

    assert raised() == 0
    lean.share = 1.0
    assert raised() == 0
    found = []
    for _ in range(BLENDED + 2):
        lean.play(event)
        found.append(raised())
    assert found == pytest.approx([*range(1, BLENDED + 1), 9, 9], abs=1e-4)


def test_passage_follows_passage() -> None:
    lean = Lean(OnALine(), at(2), at(2), 0.5)  # type: ignore[arg-type]
    event = tuple(V.encode(played(1, notes=10))[:4].tolist())
    for _ in range(50):
        lean.play(event)
        assert np.isfinite(lean.raised(np.zeros(V.size, np.float32))).all()


def opened(model: Model) -> Stream:
    clock = Clock()
    return model.stream(seed=3, clock=clock, sleep=clock.sleep)


def notes_of(model: Model, share: float, moved: float | None = None) -> NDArray[np.int64]:
    """Return pitch and velocity of notes that a stream plays, late ones if the slider moves."""
    low, high = (
        Performance.from_arrays(
            onset_s=piece.notes["onset_s"],
            offset_s=piece.notes["offset_s"],
            pitch=np.clip(piece.notes["pitch"].astype(int) + up, 21, 108),
            velocity=np.full(len(piece.notes), velocity),
        )
        for piece, up, velocity in ((played(1, notes=60), -12, 30), (played(2, notes=60), 12, 100))
    )
    stream, space = opened(model), model.space()
    lean = Lean(space, space.encode(low), space.encode(high), share)
    stream.lean(lean)
    events = list(itertools.islice(stream, 60))
    if moved is not None:
        lean.share = moved
        events = list(itertools.islice(stream, 100))[40:]
    return np.array([(e.pitch, e.velocity) for e in events if e.kind == "note_on"])


def test_a_stream_plays_like_the_one_and_then_like_the_other() -> None:
    model = load()
    low = notes_of(model, 0.0)
    high = notes_of(model, 0.0, moved=1.0)
    assert high[:, 0].mean() > low[:, 0].mean() + 6
    assert high[:, 1].mean() > low[:, 1].mean() + 20


def test_a_stream_that_leans_no_more_plays_as_if_it_never_had() -> None:
    model = load()
    stream, space = opened(model), model.space()
    encoded = space.encode(played(1, notes=60))
    stream.lean(Lean(space, encoded, encoded, 0.5))
    stream.lean(None)
    assert list(itertools.islice(stream, 10)) == list(itertools.islice(opened(model), 10))
