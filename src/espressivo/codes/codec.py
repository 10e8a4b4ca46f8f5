"""Codec: performances to ids and back, for any `Layout`.

Times are rounded to the grid once, each from the beginning of the piece (``floor(t * rate +
0.5)``), so an onset is never off by more than half a step however long the piece. Everything is
vectorised: a performance of ten thousand notes takes about a millisecond.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espressivo.codes.layout import (
    DURATION,
    END,
    FINE_DURATION,
    KINDS,
    NOTE_OFF,
    NOTE_ON,
    START,
    SUSTAIN,
    TIME_SHIFT,
    VELOCITY,
    Ids,
    Layout,
)
from espressivo.music import (
    CONTROL_DTYPE,
    NOTE_DTYPE,
    PEDAL_THRESHOLD,
    Performance,
    sustained_notes,
)
from espressivo.music import SUSTAIN as SUSTAIN_PEDAL

__all__ = [
    "COARSE",
    "DEFAULT_VELOCITY",
    "FIELDS",
    "NO_ID",
    "decode",
    "encode",
    "following",
    "grid_steps",
    "insert_rests",
    "insert_shifts",
    "quantise",
    "restore",
    "steps",
]

DEFAULT_VELOCITY = 64
"""Notes before the first velocity event of a list take the velocity of this one's bin."""

FIELDS = ((TIME_SHIFT,), (NOTE_ON, SUSTAIN, END), (VELOCITY,), (DURATION,), (FINE_DURATION,))
"""The kinds of each id of a step in a note-wise vocabulary, in their order."""

COARSE = len(FIELDS) - 1
"""How many fields an event has but for the fine duration, the last."""

NO_ID = -1
"""What stands for an id that a step lacks."""

# Of each kind: the number of its field.
_FIELD = np.argmax([[kind in kinds for kinds in FIELDS] for kind in range(len(KINDS))], axis=1)

_Steps = NDArray[np.int64]


def encode(performance: Performance, vocabulary: Layout) -> Ids:
    """Write a performance as a list of event ids.

    Lost on the way: time between the steps of the grid, velocity within its bin, notes outside
    the range of pitches, every pedal but sustain, and silence after the last event. A note lasts
    at least one step, and in a note-wise vocabulary at most its longest. A velocity event stands
    only before a note whose bin differs from that of the note before, or in a note-wise vocabulary
    with each.

    Parameters
    ----------
    performance : Performance
        Not changed.
    vocabulary : Layout
        The code to write in.

    Returns
    -------
    ids : int32 array, shape (number of events,)

    Notes
    -----
    With the preset ``magenta`` the list equals that of note-seq 0.0.5
    (``apply_sustain_control_changes``, ``quantize_note_sequence_absolute`` at 100 steps per
    second, ``Performance`` with 32 velocity bins) for performances on one instrument.
    """
    v = vocabulary
    notes = _kept_notes(performance, v)
    start, end = _note_steps(notes, v)
    if v.notewise:
        end = _ends_in_turn(notes["pitch"], end)
        moved, down = _pedal_moves(performance, v)
        last = max(int(np.max(moved, initial=0)), int(np.max(end, initial=0)))
        return _notewise(notes, start, end, moved, down, np.array([last]), v)
    pitch, count = notes["pitch"].astype(np.int64), len(notes)
    velocity_bin = v.velocity_bins[notes["velocity"]]
    louder = np.flatnonzero(np.diff(velocity_bin, prepend=-1))
    moved, down = _pedal_moves(performance, v)

    # One number per event, to be sorted: its step, its place within the step, its id. Pedal
    # movements come first, up before down; each note has a place for velocity, on and off.
    first_on, first_off = (v.first[kind] - v.lowest_pitch for kind in (NOTE_ON, NOTE_OFF))
    place = np.arange(2, 3 * count + 2, 3)
    events = (
        (moved, down, down + v.first[SUSTAIN]),
        (start[louder], place[louder], velocity_bin[louder] + v.first[VELOCITY]),
        (start, place + 1, pitch + first_on),
        (end, place + 2, pitch + first_off),
    )
    id_bits, place_bits = v.size.bit_length(), (3 * count + 2).bit_length()
    key = np.concatenate(
        [(((step << place_bits) | place) << id_bits) | id_ for step, place, id_ in events]
    )
    key.sort(kind="stable")  # merges: each part is sorted already, or nearly
    step = key >> (place_bits + id_bits)
    ids = insert_shifts(key & ((1 << id_bits) - 1), np.diff(step, prepend=0), v)
    if v.boundaries:
        ids = np.concatenate(([v.first[START]], ids, [v.first[END]])).astype(np.int32)
    return ids


def decode(ids: ArrayLike, vocabulary: Layout) -> Performance:
    """Play a list of event ids: any list, also one that no performance encodes to.

    A note-off ends the oldest sounding note of its pitch; one without such a note is ignored,
    and so is a note that ends in the step where it began. Notes still sounding at the end of the
    list end there, after one step at least. Notes before any velocity event have the velocity of
    the bin of 64. Start and end events, and pedal movements that change nothing, are ignored.
    What comes out is quantised: `quantise` leaves it as it is.

    In a note-wise vocabulary, velocity and length count where they follow a note-on in this order.
    A note without a velocity has that of the bin of 64, and one without a length the longest.

    Parameters
    ----------
    ids : sequence of int
        Each within ``0 .. vocabulary.size - 1``.
    vocabulary : Layout
        The code that the list is written in.

    Returns
    -------
    Performance
        Its times are multiples of a step; pedal movements have the values 127 and 0.

    Raises
    ------
    CodecError
        If an id is out of range; the message gives its position.
    """
    v = vocabulary
    ids = v.check(ids)
    kind, value = v.kinds[ids], v.values[ids]
    step = grid_steps(ids, v)
    final = int(value[kind == TIME_SHIFT].sum())

    latest = np.maximum.accumulate(np.where(kind == VELOCITY, np.arange(len(ids)), -1))
    default = v.velocity_values[v.velocity_bins[DEFAULT_VELOCITY]]
    velocity = np.where(latest >= 0, value[latest], default)

    on, off = np.flatnonzero(kind == NOTE_ON), np.flatnonzero(kind == NOTE_OFF)
    start = step[on]
    end = np.maximum(start + 1, final)
    if v.notewise:
        velocity[on], length = _written_with(on, kind, value, default, ids, v)
        end = _ends_in_turn(value[on], np.minimum(end, start + length))
    else:
        off = off[~_stray(on, off, value)]
        closing = _first_in_first_out(value[on], value[off])
        closed = closing < len(off)
        end[closed] = step[off[closing[closed]]]
    sounded = end > start

    notes = np.empty(int(sounded.sum()), NOTE_DTYPE)
    notes["onset_s"] = start[sounded] / v.steps_per_second
    notes["offset_s"] = end[sounded] / v.steps_per_second
    notes["pitch"] = value[on[sounded]]
    notes["velocity"] = velocity[on[sounded]]

    pedal = kind == SUSTAIN
    return Performance(notes, _controls(*_written_moves(step[pedal], value[pedal]), v))


def quantise(performance: Performance, vocabulary: Layout) -> Performance:
    """Return a performance as a vocabulary keeps it: ``decode(encode(p)) == quantise(p)``.

    Sustain is folded where the vocabulary folds it; times go to the nearest step, velocities to
    the value of their bin; what lies outside the vocabulary is dropped. Where notes of one pitch
    overlap, the first to begin is the first to end. Doing it twice changes nothing.
    """
    v = vocabulary
    notes = _kept_notes(performance, v)
    start, end = _note_steps(notes, v)
    quantised = notes.copy()
    quantised["onset_s"] = start / v.steps_per_second
    quantised["offset_s"] = _ends_in_turn(notes["pitch"], end) / v.steps_per_second
    quantised["velocity"] = np.array(v.velocity_values)[v.velocity_bins[notes["velocity"]]]
    return Performance(quantised, _controls(*_pedal_moves(performance, v), v))


def grid_steps(ids: Ids, vocabulary: Layout) -> _Steps:
    """Return the step at which each event stands; for a time-shift, the step that it leads to."""
    return np.cumsum(np.where(vocabulary.kinds[ids] == TIME_SHIFT, vocabulary.values[ids], 0))


def insert_shifts(events: Ids, gap: _Steps, vocabulary: Layout) -> Ids:
    """Put time-shifts before events: full ones, then the rest.

    Parameters
    ----------
    events : int32 array, shape (n,)
        Ids that are not time-shifts.
    gap : int array, shape (n,)
        Steps by which each event comes after the one before; the first, after the beginning.
    """
    longest = vocabulary.max_shift_steps
    shifts = (gap + (longest - 1)) // longest
    position = np.cumsum(shifts + 1) - 1
    full_shift = vocabulary.first[TIME_SHIFT] + longest - 1
    ids = np.full(int(position[-1]) + 1 if len(events) else 0, full_shift, np.int32)
    ids[position] = events
    # The last shift before an event is not a full one, mostly.
    missing = shifts * longest - gap
    partial = np.flatnonzero(missing > 0)
    ids[position.take(partial) - 1] = full_shift - missing.take(partial)
    return ids


def restore(ids: Ids, vocabulary: Layout) -> Ids:
    """Return the events that bring an instrument into the state in which a list leaves it.

    Put before a segment that begins in the middle of a piece, they make it whole: the pedal if
    it is down, the sounding notes by ascending pitch, and the loudness then in force. The notes
    are given that loudness, since how loud they were struck no longer matters. In a note-wise
    vocabulary they keep their own, and have the lengths that are left.

    Parameters
    ----------
    ids : int32 array
        All events of the piece before the segment; in a note-wise vocabulary, whole steps.

    Returns
    -------
    ids : int32 array
    """
    v = vocabulary
    if v.notewise:
        return _restore_notewise(ids, v)
    kind, value = v.kinds[ids], v.values[ids]
    on, off = np.flatnonzero(kind == NOTE_ON), np.flatnonzero(kind == NOTE_OFF)
    struck = np.bincount(value[on], minlength=128)
    released = np.bincount(value[off[~_stray(on, off, value)]], minlength=128)
    sounding = np.repeat(np.arange(128), struck - released)
    velocity, pedal = np.flatnonzero(kind == VELOCITY), np.flatnonzero(kind == SUSTAIN)
    down = pedal[-1:][value[pedal[-1:]] == 1]
    state = (ids[down], ids[velocity[-1:]], sounding + (v.first[NOTE_ON] - v.lowest_pitch))
    return np.concatenate(state).astype(np.int32)


def _kept_notes(performance: Performance, v: Layout) -> NDArray[np.void]:
    """Return the notes that a vocabulary can write, in the order of their events."""
    notes = sustained_notes(performance) if v.sustain == "fold" else performance.notes
    pitch = notes["pitch"]
    inside = (pitch >= v.lowest_pitch) & (pitch <= v.highest_pitch)
    if not inside.all():
        notes = notes[inside]
    if v.order == "pitch":
        notes = notes[np.lexsort((notes["pitch"], _to_step(notes["onset_s"], v)))]
    return notes


def _to_step(time_s: NDArray[np.float64], v: Layout) -> _Steps:
    return (time_s * v.steps_per_second + 0.5).astype(np.int64)  # times are not negative


def _note_steps(notes: NDArray[np.void], v: Layout) -> tuple[_Steps, _Steps]:
    """Return the steps at which notes begin and end; each lasts at least one step."""
    start = _to_step(notes["onset_s"], v)
    end = np.maximum(_to_step(notes["offset_s"], v), start + 1)
    return start, np.minimum(end, start + v.longest_note_steps) if v.notewise else end


def _ends_in_turn(pitch: NDArray[Any], end: _Steps) -> _Steps:
    """Let the first note of a pitch to begin be the first to end; notes in the order of time."""
    by_end = np.argsort(end, kind="stable")
    return np.asarray(end[by_end[_first_in_first_out(pitch, pitch[by_end])]])


def _notewise(
    notes: NDArray[np.void],
    start: _Steps,
    end: _Steps,
    moved: _Steps,
    down: _Steps,
    ended: _Steps,
    v: Layout,
) -> Ids:
    """Write notes, movements of the pedal, and the end, note-wise, at one step or none."""
    ids = np.full((len(moved) + len(start) + len(ended), len(FIELDS)), NO_ID)
    pedal, note, last = np.split(ids, [len(moved), len(moved) + len(start)])  # views
    pedal[:, 1] = down + v.first[SUSTAIN]
    note[:, 1] = notes["pitch"].astype(np.int64) + (v.first[NOTE_ON] - v.lowest_pitch)
    note[:, 2] = v.velocity_bins[notes["velocity"]] + v.first[VELOCITY]
    note[:, 3:] = _length_ids(end - start, v)
    last[:, 1] = v.first[END]
    step = np.concatenate((moved, start, ended))
    order = np.argsort(step, kind="stable")  # movements of the pedal come first in a step
    timed = insert_rests(ids[order], np.diff(step[order], prepend=0), v)
    return np.asarray(timed[timed != NO_ID], np.int32)


def insert_rests(events: Ids, gap: _Steps, v: Layout) -> Ids:
    """Let events of a note-wise vocabulary, (n, `FIELDS`), come so many steps after one another."""
    rests, left = np.divmod(gap, v.max_shift_steps)
    timed = np.column_stack((left + v.first[TIME_SHIFT], events[:, 1:]))
    rest = [v.first[TIME_SHIFT] + v.max_shift_steps, *[NO_ID] * COARSE]
    return np.insert(timed, np.repeat(np.arange(len(timed)), rests), rest, axis=0)


def _length_ids(length: _Steps, v: Layout) -> _Steps:
    """Return the ids of lengths in steps, shape (n, 2): a class, and a place if it has several."""
    number = np.searchsorted(v.shortest_durations, length, "right") - 1
    place = length - v.shortest_durations[number] + v.first[FINE_DURATION]
    alone = v.durations_in_class[number] == 1
    return np.stack((number + v.first[DURATION], np.where(alone, NO_ID, place)), axis=1)


def _written_with(
    on: NDArray[np.int64],
    kind: NDArray[np.int8],
    value: NDArray[np.int32],
    velocity: int,
    ids: Ids,
    v: Layout,
) -> tuple[NDArray[np.int32], _Steps]:
    """Return velocity and length of each note-on of a note-wise vocabulary, as written after it."""
    kinds = np.append(kind, [-1] * 3)
    loud = kinds[on + 1] == VELOCITY
    velocities = np.full(len(on), velocity, np.int32)
    velocities[loud] = value[on[loud] + 1]
    lengths = np.full(len(on), v.longest_note_steps, np.int64)
    known = loud & (kinds[on + 2] == DURATION)
    at = on[known] + 2
    most = v.durations_in_class[ids[at] - v.first[DURATION]]
    fine = np.where(
        kinds[at + 1] == FINE_DURATION, np.append(value, 0)[np.minimum(at + 1, len(value))], 0
    )
    lengths[known] = value[at] + np.minimum(fine, most - 1)
    return velocities, lengths


def steps(ids: Ids, vocabulary: Layout) -> Ids:
    """Lay out the ids of a note-wise vocabulary in steps.

    Parameters
    ----------
    ids : int32 array, shape (n,)
        As `encode` writes them, from a beginning of a step on.

    Returns
    -------
    int32 array, shape (number of steps, number of `FIELDS`)
        `NO_ID` where a step has no id of that kind.
    """
    v = vocabulary
    kind = v.kinds[ids]
    row = np.cumsum(kind == TIME_SHIFT) - 1
    laid = np.full((int(row[-1]) + 1 if len(ids) else 0, len(FIELDS)), NO_ID, np.int32)
    laid[row, _FIELD[kind]] = ids
    return laid


def following(vocabulary: Layout) -> tuple[_Steps, NDArray[np.bool_]]:
    """Tell what follows each id of a note-wise vocabulary in a step.

    Returns
    -------
    factors : int64 array, shape (size + 1,)
        Number of the factor of the next id, 0 where the id completes a step; so does the last,
        which stands for "nothing yet".
    followers : bool array, shape (size + 1, size)
        Which ids can be next: those of this factor, and of the places in a class of lengths those
        that it has.
    """
    v = vocabulary
    own, value, rest = _FIELD[v.kinds], v.values, v.first[TIME_SHIFT] + v.max_shift_steps
    places = np.ones(v.size, np.int64)
    places[v.kinds == DURATION] = v.durations_in_class
    goes_on = np.isin(v.kinds, (TIME_SHIFT, NOTE_ON, VELOCITY)) | (places > 1)
    goes_on[rest] = False
    factors = np.append(np.where(goes_on, own + 1, 0), 0)
    followers = factors[:, None] == own
    followers[:-1] &= (v.kinds != FINE_DURATION) | (value < places[:, None])
    return factors, followers


def _pedal_moves(performance: Performance, v: Layout) -> tuple[_Steps, _Steps]:
    """Return step and state (1 down, 0 up) of the sustain pedal's movements that are written."""
    if v.sustain == "fold":
        return np.empty(0, np.int64), np.empty(0, np.int64)
    pedal = performance.controls[performance.controls["number"] == SUSTAIN_PEDAL]
    return _written_moves(_to_step(pedal["time_s"], v), pedal["value"] >= PEDAL_THRESHOLD)


def _written_moves(step: _Steps, down: NDArray[Any]) -> tuple[_Steps, _Steps]:
    """Reduce the states of a pedal to the movements that count.

    Of many movements within one step the state after the last counts, and that a pedal which is
    down before and after went up in between: the strings were damped.
    """
    down = down.astype(np.int64)
    moved = np.flatnonzero(np.diff(down, prepend=0))
    step, down = step[moved], down[moved]
    # Movements alternate, so those of one step undo each other in pairs. The last of a step is
    # written if their number is odd; the last two, "up, down", if it is even and ends down.
    first = np.flatnonzero(np.diff(step, prepend=-1))
    number = np.diff(np.append(first, len(step)))
    last = first + number - 1
    changed = number % 2 == 1
    damped = ~changed & (down[last] == 1)
    written = np.sort(np.concatenate((last[changed | damped], last[damped] - 1)))
    return step[written], down[written]


def _controls(step: _Steps, down: _Steps, v: Layout) -> NDArray[np.void]:
    controls = np.empty(len(step), CONTROL_DTYPE)
    controls["time_s"] = step / v.steps_per_second
    controls["number"] = SUSTAIN_PEDAL
    controls["value"] = down * 127
    return controls


def _first_in_first_out(opened: NDArray[Any], closed: NDArray[Any]) -> NDArray[np.int64]:
    """Pair the k-th opening of each pitch with the k-th closing of it.

    Parameters
    ----------
    opened, closed : arrays of pitches, each in the order of time

    Returns
    -------
    array like `opened`: the index into `closed`, or its length where there is none.
    """
    by_opened, by_closed = np.argsort(opened, kind="stable"), np.argsort(closed, kind="stable")
    begin_opened = np.searchsorted(opened[by_opened], np.arange(129))
    begin_closed = np.searchsorted(closed[by_closed], np.arange(129))
    pitch = opened[by_opened]
    rank = begin_closed[pitch] + np.arange(len(opened)) - begin_opened[pitch]
    pairs = np.full(len(opened), len(closed))
    inside = rank < begin_closed[pitch.astype(np.int64) + 1]
    pairs[by_opened[inside]] = by_closed[rank[inside]]
    return pairs


def _stray(
    on: NDArray[np.int64], off: NDArray[np.int64], pitch: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Tell for each note-off (index into `pitch`) whether no note of its pitch is sounding."""
    where = np.concatenate((on, off))
    order = np.lexsort((where, pitch[where]))
    change = np.where(order < len(on), 1, -1)  # events sorted by pitch, then time
    height = np.cumsum(change)
    # The number of sounding notes is the height above the lowest point so far, so a note-off
    # that reaches a new low is stray. Shifting each pitch far below the one before starts anew.
    far = 2 * len(where) + 2
    level = height - far * pitch[where][order]
    begin = np.diff(pitch[where][order], prepend=-1) != 0
    before = np.where(begin, level - change, np.iinfo(np.int64).max)
    lowest = np.minimum.accumulate(np.minimum(before, level))
    previous = np.concatenate(([np.iinfo(np.int64).max], lowest[:-1]))
    new_low = level < np.where(begin, level - change, previous)
    stray = np.zeros(len(where), bool)
    stray[order] = new_low & (change < 0)
    return stray[len(on) :]


def _restore_notewise(ids: Ids, v: Layout) -> Ids:
    """Do what `restore` says in a note-wise vocabulary."""
    now = int(grid_steps(ids, v)[-1]) if len(ids) else 0
    rest = v.first[TIME_SHIFT] + v.max_shift_steps
    rests = [rest] * (v.longest_note_steps // v.max_shift_steps + 1)  # until every note has ended
    played = decode(np.concatenate((ids, rests)), v)
    notes = played.notes[np.argsort(played.notes["pitch"], kind="stable")]
    start, end = _note_steps(notes, v)
    left = (start <= now) & (end > now)
    down = np.ones(int(played.controls["value"][-1:].sum() > 0), np.int64)  # one movement, or none
    start, end, nothing = np.zeros_like(end[left]), end[left] - now, np.zeros(0, np.int64)
    return _notewise(notes[left], start, end, 0 * down, down, nothing, v)
