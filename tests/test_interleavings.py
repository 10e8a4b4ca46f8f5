"""Law 4: a stream may be steered, heard, panicked and stopped from any thread at any moment."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from espressivo.codes import vocabulary
from espressivo.errors import GenerationError
from espressivo.play import Model, load
from known import Clock, Mock

VOCABULARIES = {name: vocabulary(name) for name in ("seed", "pedal", "notes")}


def check(events):
    """Every note that began has ended, once, in order of time, and the pedal is up."""
    sounding, pedal, latest_s = set(), False, 0.0
    for event in events:
        assert event.time_s >= latest_s
        latest_s = event.time_s
        if event.kind == "note_on":
            assert event.pitch not in sounding
            sounding.add(event.pitch)
        elif event.kind == "note_off":
            sounding.remove(event.pitch)  # KeyError if it does not sound
        else:
            assert (event.velocity > 0) != pedal
            pedal = event.velocity > 0
    assert not sounding and not pedal


class Cheap(Mock):
    """A mock whose scores cost nothing: rows of a table that depend on what was read."""

    def __init__(self, v):
        super().__init__(v)
        ids, rows = np.arange(v.size), np.arange(64)[:, None]
        self.table = 3 * np.sin(ids * (rows + 2.0)).astype(np.float32)

    def step(self, id_, state, controls=None, pointers=None):
        (memory,) = state
        mixed = (memory[0, 0, 0] * 31 + id_ + 1) % 1009
        return self.table[int(mixed) % 64], (np.full((1, 1, 2), mixed, np.float32),)


def act(stream, chance):
    """Do one of the things that other threads do."""
    what = chance.choice(["hear", "hear", "release", "steer", "steer", "wrong"])
    if what == "hear":
        stream.hear(chance.randrange(48, 72), chance.randrange(128))
    elif what == "release":
        stream.release(chance.randrange(48, 72))
    elif what == "steer":
        low = chance.choice([21, 40, 60])
        stream.steer(
            temperature=chance.choice([0.5, 1.0, 2.0]),
            lowest_pitch=low,
            highest_pitch=low + chance.choice([0, 5, 48]),
            polyphony=chance.choice([None, 1, 4]),
            longest_rest_s=chance.choice([None, 0.2, 3.0]),
        )
    else:
        with pytest.raises(GenerationError):
            stream.steer(temperature=-1.0)


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 16))]
)
def test_whatever_is_done_between_two_events_every_note_ends_once(part):
    models = {name: Model(Cheap(v)) for name, v in VOCABULARIES.items()}
    for number in range(part, 10_000, 16):
        chance = random.Random(number)  # noqa: S311 - a schedule, and no secret
        clock = Clock()
        stream = models[chance.choice(list(models))].stream(
            seed=number, clock=clock, sleep=clock.sleep, lead_s=chance.choice([0.0, 0.3])
        )
        events, until = [], chance.randrange(1, 12)
        for event in stream:
            events.append(event)
            for _ in range(chance.randrange(3)):
                act(stream, chance)
            if chance.random() < 0.02:
                clock.now_s += 100  # the machine slept
            if len(events) == until:
                chance.choice([stream.stop, stream.panic])()
        check(events)


@pytest.mark.parametrize("streams", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_eight_threads_at_once_on_the_real_engine(streams):
    model = load("seed")
    for number in range(streams):
        stream = model.stream(seed=number, lead_s=1e9, clock=lambda: 0.0)
        begun, failures = threading.Barrier(9), []

        def disturb(seed, stream=stream, begun=begun, failures=failures):
            chance = random.Random(seed)  # noqa: S311
            try:
                begun.wait()
                for _ in range(6):
                    act(stream, chance)
                if seed % 8 == 0:
                    chance.choice([stream.stop, stream.panic])()
            except Exception as error:
                failures.append(error)

        threads = [
            threading.Thread(target=disturb, args=(8 * number + n,), daemon=True) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        begun.wait()
        events = list(stream)
        for thread in threads:
            thread.join()
        check(events)
        assert not failures


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_model_that_fails_is_heard_of_after_the_notes_have_ended(name):
    class Failing(Cheap):
        left = 300

        def step(self, id_, state, controls=None, pointers=None):
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("out of memory")
            return super().step(id_, state, controls)

    clock, events = Clock(), []
    stream = Model(Failing(VOCABULARIES[name])).stream(seed=1, clock=clock, sleep=clock.sleep)
    with pytest.raises(RuntimeError, match="out of memory"):
        for event in stream:
            events.append(event)
    check(events)
    assert len(events) > 20
    assert not list(stream)
