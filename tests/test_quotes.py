"""Quotes: what comes after a gap is known before it is filled, and nothing else changes."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from espressivo.codes import (
    FILL_NUMBERS,
    IN_GAP,
    KEPT,
    NO_ID,
    NOTE_ON,
    ORDINARY,
    QUOTED,
    SUSTAIN,
    TIME_SHIFT,
    fill_numbers,
    pointed,
    quote,
    steps,
    vocabulary,
)
from espressivo.data.gaps import arranged
from espressivo.engine import Engine
from espressivo.export import export, read_back
from espressivo.music import CONTROL_DTYPE, Performance
from espressivo.networks import Network, Notewise, StackConfig, adopt, build
from espressivo.play import Model, expected_inside
from espressivo.play.batch import begun
from espressivo.play.gap import Candidate
from espressivo.play.quoting import Quote, begun_with

V = vocabulary("notes")
CARD = {"name": "tiny", "licence": "CC0", "trained_on": "nothing"}
BEGIN, END = 12.0, 15.0


def music(seed: int = 0, seconds: float = 60) -> Performance:
    """Chords, a tune with rests of more than a second, and pedal."""
    rng = np.random.default_rng(seed)
    onset_s = np.cumsum(rng.choice([0.0, 0.1, 0.25, 1.4], int(seconds * 3), p=[0.3, 0.3, 0.3, 0.1]))
    moves = [(t, 64, value) for t in onset_s[::7] for value in (0, 127)]
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + rng.choice([0.1, 0.5, 2.0], len(onset_s)),
        pitch=60 + rng.integers(-20, 20, len(onset_s)),
        velocity=rng.integers(30, 100, len(onset_s)),
        controls=np.array(moves, CONTROL_DTYPE),
    )


def tiny(**sizes: object) -> Notewise:
    """A random network that fills, whose weights are large enough for errors to show."""
    torch.manual_seed(3)
    config = StackConfig(
        "da", width=32, heads=2, window=40, controls=50, notewise=True, pointers=True, fill=True
    )
    made = build(dataclasses.replace(config, **sizes), V)
    assert isinstance(made, Notewise)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.startswith(("pointers", "fill")):
                weight.normal_(std=0.1)
        made.output.weight.mul_(10)
    return made.eval()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    export(tiny(), V, path, card=CARD, weights="fp32")
    return Engine(path)


def said(network: Network, events: np.ndarray, sides: dict[str, np.ndarray]) -> np.ndarray:
    """Return the logits of each event, by the network."""
    targets = torch.from_numpy(events).long()[:, None]
    first = torch.full_like(targets[:1], NO_ID)
    first[..., 0] = V.size
    beside = {name: torch.from_numpy(numbers)[:, None] for name, numbers in sides.items()}
    with torch.no_grad():
        logits, _ = network(torch.cat((first, targets[:-1])), None, beside, targets)
    return np.asarray(logits[:, 0])


def test_a_quote_takes_no_time_and_hides_when_the_gap_ends() -> None:
    kept = steps(V.encode(music(1, 3)), V)[:-1]
    after = steps(V.encode(music(2, 3)), V)
    at_kept, at_after = (np.cumsum(V.values[events[:, 0]]) for events in (kept, after))
    events, marks = quote(True, kept, at_kept + 130, after, at_after + 5000, V)
    assert events[0].tolist() == [V.first[TIME_SHIFT], V.first[SUSTAIN] + 1, *[NO_ID] * 3]
    assert marks.tolist() == sorted(marks[:1]) + sorted(marks[1:].tolist(), reverse=True)
    assert set(marks.tolist()) == {QUOTED, KEPT}
    for part, (its, at) in {KEPT: (kept, at_kept + 130), QUOTED: (after, at_after)}.items():
        mine = events[marks == part][1 if part == QUOTED else 0 :]
        happens = np.isin(V.kinds[its[:, 1]], (NOTE_ON, SUSTAIN)) & (its[:, 1] != NO_ID)
        there = mine[:, 1] != NO_ID
        assert (mine[there, 1:] == its[happens, 1:]).all()
        times = np.cumsum(V.values[mine[:, 0]])[there]
        first = 0 if part == QUOTED else at[happens][0]
        assert (times - first == at[happens] - at[happens][0]).all()
    again, _ = quote(True, kept, at_kept + 130, after, at_after + 77, V)
    assert (again == events).all()
    assert quote(False, kept[:0], at_kept[:0], after[:0], at_after[:0], V)[0].shape == (1, 5)


def test_numbers_say_where_the_music_stands() -> None:
    marks = np.array([ORDINARY, QUOTED, IN_GAP, KEPT])
    numbers = fill_numbers(marks, np.array([np.nan, np.nan, 0.3, 40.0]))
    assert numbers.shape == (4, FILL_NUMBERS)
    assert not numbers[0].any()
    assert (numbers[:, :3] > 0).tolist() == [[False] * 3, *np.eye(3, dtype=bool).tolist()]
    left = numbers[:, 3:]
    assert not left[:2].any()
    assert left[2].nonzero()[0].tolist() == [2, 3]  # 0.2 and 0.4 s
    assert left[3].nonzero()[0].tolist() == [9]
    assert left[2].sum() == pytest.approx(left[3].sum())


@pytest.mark.parametrize("seed", range(6))
def test_rows_with_gaps(seed: int) -> None:
    events = steps(V.encode(music(seed, 300)), V)
    at = np.cumsum(V.values[events[:, 0]]) / V.steps_per_second
    found = arranged(events, V, np.random.default_rng(seed))
    played, quoted = found.source >= 0, found.source < 0
    assert found.source[played].tolist() == list(range(len(events))), "all of the piece, in order"
    assert (found.events[played] == events).all()
    begins = np.flatnonzero(quoted & ~np.append(False, quoted[:-1]))
    assert len(begins) > 3
    told = found.numbers[:, 3:].any(axis=1)
    assert not told[quoted].any()
    marks = np.where(found.numbers[:, :3].any(axis=1), found.numbers[:, :3].argmax(axis=1) + 1, 0)
    assert (marks[1:][quoted[:-1]] != ORDINARY).all(), "each is marked when it is read"
    for begin, end in zip(begins, [*begins[1:], len(played)], strict=True):
        row = np.arange(begin, end)
        near = row[played[row] & ~told[row]]
        gap = row[told[row]]
        if not len(gap):
            continue
        near = near[near < gap[0]]
        assert len(near) <= 128
        joint = at[found.source[gap[-1]]]  # the first event after it is decided in it
        first = at[found.source[gap[0] - 1]] if len(near) else at[found.source[gap[0]] - 1]
        assert joint - first >= 1 - 0.011
        last_inside = at[found.source[gap[-2]]] if len(gap) > 1 else first
        assert last_inside - first <= 20.011
        assert not found.scored[begin], "nothing announces a quote"
        assert not found.scored[near[:1]].any(), "nor its end"
        assert found.scored[gap].all()
        quote_of = row[quoted[row]]
        after = found.source[gap[-1]]
        known = found.events[quote_of][marks[quote_of + 1] == QUOTED][1:]
        known = known[known[:, 1] != NO_ID]
        what = events[after:, 1]
        what = what[(what != NO_ID) & np.isin(V.kinds[what], (NOTE_ON, SUSTAIN))]
        assert known[:, 1].tolist() == what[: len(known)].tolist(), "what follows is quoted"
        down = events[:after, 1]
        down = down[(down != NO_ID) & (V.kinds[down] == SUSTAIN)]
        if len(down):
            assert found.events[begin, 1] == down[-1], "and the pedal there"
        voice = found.events[quote_of][marks[quote_of + 1] == KEPT]
        inside = found.source[gap[:-1]]
        stays = inside[marks[gap[1:]] == KEPT]
        assert voice[voice[:, 1] != NO_ID, 1:].tolist() == events[stays, 1:].tolist()
    unscored = played & ~found.scored
    assert unscored.sum() > len(begins)


def test_a_third_of_gaps_keeps_a_voice() -> None:
    kept, gaps = 0, 0
    for seed in range(12):
        events = steps(V.encode(music(seed, 300)), V)
        found = arranged(events, V, np.random.default_rng(100 + seed))
        quoted = found.source < 0
        begins = np.flatnonzero(quoted & ~np.append(False, quoted[:-1]))
        is_kept = found.numbers[:, KEPT - 1] > 0
        gaps += len(begins)
        kept += sum(is_kept[a:b].any() for a, b in pairwise(begins))
    assert gaps > 60
    assert 0.2 < kept / gaps < 0.45


@torch.no_grad()
def test_what_is_added_begins_at_nothing() -> None:
    started = tiny(fill=False)
    network = build(dataclasses.replace(started.config, fill=True), V)
    adopt(network, started)
    network.eval()
    ids = V.encode(music(3, 20))
    events, sides = steps(ids, V)[:60], {"pointers": pointed(ids, V)[:60]}
    assert len(events) == 60
    before = said(started, events, sides)
    for numbers in (np.zeros((60, FILL_NUMBERS)), np.ones((60, FILL_NUMBERS))):
        after = said(network, events, {**sides, "fill": numbers.astype(np.float32)})
        assert (after == before).all()


def test_a_file_that_fills_is_its_network(engine: Engine, tmp_path: Path) -> None:
    network = tiny()
    assert engine.fills and engine.controls == 50 + FILL_NUMBERS
    assert engine.network["fill"] is True
    piece = V.encode(music(4, 90))
    found = arranged(steps(piece, V), V, np.random.default_rng(2))
    events, source = found.events[:200], found.source[:200]
    assert (source < 0).any() and (found.numbers[:200, 3:] > 0).any()
    pointers = pointed(piece, V)[source]
    pointers[source < 0] = 0
    rng = np.random.default_rng(0)
    asked = rng.random((200, 50)).astype(np.float32)
    sides = {"controls": asked, "fill": found.numbers[:200], "pointers": pointers}
    expected = said(network, events, sides)
    ids = events[events != NO_ID]
    event_of = np.repeat(np.arange(200), (events != NO_ID).sum(axis=1))
    read = np.append(V.size, ids[:-1])[:, None].astype(np.int64)
    beside = np.concatenate((asked, found.numbers[:200]), axis=1)[event_of][:, None]
    saying = np.ones((len(ids), 1, engine.pointers), np.float32)
    saying[:, 0, :-1] = pointers[event_of].reshape(len(ids), -1)
    logits, _ = engine.run(read, engine.initial_state(), beside, saying)
    possible = logits[:, 0] > -1000
    difference = np.abs(logits[:, 0] - expected[event_of])[possible]
    # What pointers say of an event's own time and pitch is known within it: compare the rest.
    assert np.quantile(difference, 0.5) < 1e-4
    first = np.flatnonzero(np.append(-1, event_of[:-1]) != event_of)
    shifts = slice(V.first[TIME_SHIFT], V.first[TIME_SHIFT] + V.counts[TIME_SHIFT])
    assert np.abs(logits[first, 0, shifts] - expected[:, shifts]).max() < 1e-3
    back = read_back(engine)
    for name, weight in back.network.state_dict().items():
        if name.startswith("fill"):
            assert torch.equal(weight, network.state_dict()[name].half().float()) or torch.equal(
                weight, network.state_dict()[name]
            )


def memory_of(engine: Engine, told: Quote | None, context: np.ndarray, wait: int) -> np.ndarray:
    none = context[:0]
    return begun_with(
        engine, context, told, wait, controls=None, returns=1.0, earlier=none
    ).expected


def test_playing_reads_a_quote_as_training_does(engine: Engine) -> None:
    piece = V.encode(Performance.join([music(5, 4)] * 10))  # so that pointers say something
    events = steps(piece, V)
    network, compared = tiny(), 0
    for seed in range(16):
        found = arranged(events, V, np.random.default_rng(seed))
        told = found.numbers[:, 3:].any(axis=1)
        gap = int(np.flatnonzero(told)[0])
        source = found.source[:gap]
        quoted = source < 0
        before = events[: found.source[gap]]
        marks = np.full(quoted.sum(), QUOTED)
        kept = found.numbers[1 : gap + 1][quoted][:, KEPT - 1] > 0
        marks[kept] = KEPT
        own = found.events[:gap][quoted]
        there = own != NO_ID
        left_s = _left_s(found.numbers[gap])
        left = round(left_s * V.steps_per_second)
        mine = Quote(own[there], np.repeat(marks, there.sum(axis=1)), left)
        near = int((~quoted[int(np.flatnonzero(quoted)[-1]) :]).sum())
        if near > 48:
            continue  # playing reads no more than that after a quote
        context = before[before != NO_ID]
        if len(before) > near:  # playing reads the quote earlier
            continue
        compared += 1
        pointers = pointed(piece, V)[found.source[: gap + 1]]
        pointers[found.source[: gap + 1] < 0] = 0
        sides = {"fill": found.numbers[: gap + 1], "pointers": pointers}
        expected = said(network, found.events[: gap + 1], sides)[-1]
        shifts = slice(V.first[TIME_SHIFT], V.first[TIME_SHIFT] + V.counts[TIME_SHIFT])
        got = memory_of(engine, mine, context, 0)
        assert np.abs(got[shifts] - expected[shifts]).max() < 0.01, seed
        unlike = memory_of(engine, None, context, 0)
        assert np.abs(unlike[shifts] - expected[shifts]).max() > 0.1
    assert compared > 2


def test_pointers_do_not_know_of_a_quote(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = V.encode(Performance.join([music(5, 4)] * 4))
    cut = int(np.flatnonzero(V.kinds[piece] == TIME_SHIFT)[-10])
    ids, said_ = np.concatenate((piece[:cut], piece[:50], piece[cut:])), []
    aside = np.zeros(len(ids), bool)
    aside[cut : cut + 50] = True
    run = engine.run
    monkeypatch.setattr(engine, "run", lambda *given: said_.append(given[3][:, 0]) or run(*given))
    begun(engine, ids, aside=aside)
    expected = engine.pointed(piece)
    assert expected is not None and expected[cut, :-1].any()
    assert not said_[0][cut : cut + 50].any()
    assert (said_[0][:cut] == expected[:cut]).all()
    assert (said_[0][cut + 50 :] == expected[cut:]).all()


def _left_s(numbers: np.ndarray) -> float:
    knots = np.array([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6])
    return float((numbers[3:] * knots).sum() / numbers[3:].sum())


@pytest.fixture(scope="module")
def model(engine: Engine) -> Model:
    return Model(engine)


@pytest.mark.parametrize("keep", [None, "below C4", "rhythm"])
def test_a_fill_that_knows_what_follows(keep: str | None, model: Model) -> None:
    piece = music(6, 40)
    filled, other = model.fill(piece, BEGIN, END, keep=keep, count=2, candidates=2, seed=3)
    assert filled != other
    (again,) = model.fill(piece, BEGIN, END, keep=keep, candidates=2, seed=3)
    assert again == filled

    def outside(performance: Performance) -> list[tuple]:
        return [n for n in performance.notes.tolist() if not BEGIN <= n[0] < END]

    assert outside(filled) == outside(piece)
    if keep == "below C4":
        low = {n for n in piece.notes.tolist() if BEGIN <= n[0] < END and n[2] < 60}
        assert low and low <= set(filled.notes.tolist())


def test_what_follows_changes_what_is_invented(model: Model) -> None:
    piece = music(6, 40)
    notes = piece.notes.copy()
    notes["pitch"][notes["onset_s"] >= END] += 5
    other = Performance(notes, piece.controls)
    fills = [model.fill(p, BEGIN, END, candidates=1, seed=1)[0] for p in (piece, other)]
    inside = [[n for n in p.notes.tolist() if BEGIN <= n[0] < END] for p in fills]
    assert inside[0] != inside[1]


def test_the_model_is_told_of_each_event_of_a_gap(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, float]] = []
    happens, of_gap = [], Candidate._tell

    def tell(self: Candidate, mark: int) -> None:
        of_gap(self, mark)
        if self.gap.quote is not None and not self._listens:
            assert self.row.controls is not None
            numbers = self.row.controls[-FILL_NUMBERS:]
            told.append((int(numbers[:3].argmax()) + 1, _left_s(numbers)))
            happens.append((mark, self._start + self.gap.quote.left - self._decoder.now))

    monkeypatch.setattr(Candidate, "_tell", tell)
    piece = music(6, 40)
    model.fill(piece, BEGIN, END + 7, keep="below C4", candidates=1, seed=3)
    assert {mark for mark, _ in told} == {IN_GAP, KEPT}
    assert told[0][1] > 8, "the countdown is to the end of the last part"
    assert [mark for mark, _ in told] == [mark for mark, _ in happens]
    assert [left for _, left in told] == pytest.approx(
        [left / 100 for _, left in happens], abs=1e-3
    )


def test_a_quote_makes_what_people_play_in_a_gap_more_or_less_likely(engine: Engine) -> None:
    ids = V.encode(music(7, 20))
    at = np.cumsum(np.where(V.kinds[ids] == TIME_SHIFT, V.values[ids], 0))
    first, last = np.searchsorted(at, (800, 1200)).tolist()
    parts = ids[:first], ids[first:last], ids[last:]
    left = 1200 - int(at[first - 1])
    without, with_quote = (
        expected_inside(engine, *parts, left, quote=quote) for quote in (False, True)
    )
    said_, state = engine.pointed(ids), engine.initial_state()
    read = np.append(V.size, ids[:-1])[:, None].astype(np.int64)
    assert said_ is not None
    logits, _ = engine.run(read, state, None, said_[:-1, None])
    x = logits[:, 0].astype(np.float64)
    log_p = x[np.arange(len(ids)), ids] - np.log(np.exp(x).sum(axis=1))
    assert without == pytest.approx(log_p[first:last].sum(), rel=1e-4)
    assert abs(with_quote - without) > 0.1
