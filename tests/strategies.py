"""Hypothesis strategies: performances and lists of ids, dense enough to collide."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from espressivo import Performance, Vocabulary
from espressivo.codes import (
    DURATION,
    FINE_DURATION,
    NOTE_OFF,
    NOTE_ON,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
)
from espressivo.music.performance import CONTROL_DTYPE, NOTE_DTYPE

TIMES_S = st.one_of(
    st.integers(0, 40).map(lambda step: step / 100),  # on the grid, often simultaneous
    st.integers(0, 80).map(lambda half: half / 200),  # half-way between steps
    st.floats(0, 5, allow_subnormal=False),
)
DURATIONS_S = st.one_of(st.just(0.0), st.integers(1, 30).map(lambda n: n / 100), st.floats(0, 3))
PITCHES = st.one_of(st.integers(60, 63), st.integers(0, 127))


@st.composite
def performances(draw: st.DrawFn, max_notes: int = 12, max_controls: int = 8) -> Performance:
    notes = draw(
        st.lists(st.tuples(TIMES_S, DURATIONS_S, PITCHES, st.integers(1, 127)), max_size=max_notes)
    )
    controls = draw(
        st.lists(
            st.tuples(TIMES_S, st.sampled_from([64, 64, 64, 66, 67]), st.integers(0, 127)),
            max_size=max_controls,
        )
    )
    return Performance(
        np.array([(on, on + length, pitch, v) for on, length, pitch, v in notes], NOTE_DTYPE),
        np.array(controls, CONTROL_DTYPE),
    )


def id_lists(vocabulary: Vocabulary, max_size: int = 60) -> st.SearchStrategy[list[int]]:
    """Any ids, but mostly of few pitches, so that they meet; in a code of notes, often whole."""
    v = vocabulary
    first, last = v.first, [f + count - 1 for f, count in zip(v.first, v.counts, strict=True)]
    kinds = (NOTE_ON,) if v.notewise else (NOTE_ON, NOTE_OFF)
    notes = [first[kind] + pitch - v.lowest_pitch for kind in kinds for pitch in (60, 61)]
    near = [*notes, first[TIME_SHIFT], last[TIME_SHIFT], first[VELOCITY] + 3]
    near += list(range(first[SUSTAIN], first[DURATION]))
    if not v.notewise:
        one = st.one_of(st.sampled_from(near), st.integers(0, v.size - 1))
        return st.lists(one, max_size=max_size)
    parts = [
        notes,
        [first[VELOCITY] + 3],
        range(first[DURATION], first[FINE_DURATION]),
        range(first[FINE_DURATION], v.size),
    ]
    written = st.tuples(*map(st.sampled_from, parts))
    places = [*near, first[DURATION] + 17, first[FINE_DURATION] + 1]
    one = st.one_of(st.sampled_from(places), st.integers(0, v.size - 1)).map(lambda id_: (id_,))
    lists = st.lists(st.one_of(one, written), max_size=max_size // 2)
    return lists.map(lambda some: [id_ for ids in some for id_ in ids])
