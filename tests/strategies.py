"""Hypothesis strategies: performances and lists of ids, dense enough to collide."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from espressivo import Performance, Vocabulary
from espressivo.performance import CONTROL_DTYPE, NOTE_DTYPE

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
    """Any ids, but mostly of few pitches, so that they meet."""
    v = vocabulary
    near = [first + pitch - v.lowest_pitch for first in v.first[:2] for pitch in (60, 61)]
    near += [v.first[2], v.first[2] + v.max_shift_steps - 1, v.first[3] + 3]
    near += list(range(v.first[4], v.size))
    return st.lists(st.one_of(st.sampled_from(near), st.integers(0, v.size - 1)), max_size=max_size)
