"""The space of passages: what points say, what is played of them, ways between them, similar takes.

On half B of MAESTRO's validation pieces, and for ``similar`` on ASAP; intervals of 95 %, by
bootstrap over pieces.

    ESPRESSIVO_DATA=... python bench/latent.py nats [--pieces N] [--json]
    ESPRESSIVO_DATA=... python bench/latent.py rebuilt [--pieces N] [--half A] [--strength S ...]
    ESPRESSIVO_DATA=... python bench/latent.py ways [--pairs N]
    ESPRESSIVO_DATA=... python bench/latent.py directions [--pieces N]
    ESPRESSIVO_DATA=... python bench/latent.py similar [--files N]
    ESPRESSIVO_DATA=... python bench/latent.py picture
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from espressivo import Performance, load, midi
from espressivo.codes import COARSE, NOTE_ON, TIME_SHIFT
from espressivo.data import annotated, halves, sketch
from espressivo.evaluation.intervals import Estimate, estimate, resamples
from espressivo.latent import DIRECTIONS, bundled_latent, measured_passages, passages_of
from espressivo.play import Space
from espressivo.similar import laid_out, search, update

_STEPS = 11  # of a way, with both ends
_NOTICED = {
    "denser": ("density", np.log(1.1), "10 %"),
    "louder": ("velocity", 4.0, "4"),
    "brighter": ("pitch", 1.0, "a semitone"),
}
"""How far a way may turn back and still count as monotone, in the units of each measure, and in
words: about what is just noticed in tempo, in loudness (1 dB) and in the register of many notes."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "what", choices=("nats", "rebuilt", "ways", "directions", "similar", "picture")
    )
    arguments.add_argument("--pieces", type=int, default=62)
    arguments.add_argument("--each", type=int, default=2, help="passages of a piece")
    arguments.add_argument("--pairs", type=int, default=200)
    arguments.add_argument("--files", type=int, default=1000)
    arguments.add_argument("--half", default="B")
    arguments.add_argument("--candidates", type=int, default=8)
    arguments.add_argument("--strength", type=float)
    arguments.add_argument("--temperature", type=float, default=0.8)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    measure = {
        "nats": nats, "rebuilt": rebuilt, "ways": ways, "directions": moved, "similar": similar,
        "picture": picture,
    }[options.what]  # fmt: skip
    found = measure(options, Path(os.environ["ESPRESSIVO_DATA"]))
    if options.json:
        values = {
            name: [one.value, one.low, one.high] if isinstance(one, Estimate) else one
            for name, one in found.items()
        }
        print(json.dumps(values))
        return
    for name, one in found.items():
        print(f"{name}: {one.text(3) if isinstance(one, Estimate) else one}")


def people(data: Path, half: str, count: int) -> Iterator[Performance]:
    """Yield pieces of a half of MAESTRO's validation split."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if row["split"] == "validation" and row["dataset"] == "maestro" and row["core"] == "1"
        ]
    played = [midi.read(data / row["path"]) for row in rows]
    of = halves([row["composition"] for row in rows], [sketch(one) for one in played])
    mine = [one for one, its in zip(played, of, strict=True) if its == half]
    yield from (mine[n] for n in np.random.default_rng(0).permutation(len(mine))[:count])


def drawn(space: Space, options: argparse.Namespace, data: Path) -> Iterator[tuple[int, object]]:
    """Yield piece and events, means, of some passages of each."""
    rng = np.random.default_rng(1)
    for piece, one in enumerate(people(data, options.half, options.pieces)):
        encoded = space.encode(one)
        whole = np.flatnonzero(encoded.passages.end - encoded.passages.begin >= 40)
        some = np.sort(rng.choice(whole, min(options.each, len(whole)), replace=False))
        for number in some.tolist():
            yield piece, (encoded, number)


def nats(options: argparse.Namespace, data: Path) -> dict[str, object]:
    """Return nats a note of passages without a past: alone, with its own point, with another's."""
    space = load().space()
    chosen = list(drawn(space, options, data))
    points = np.stack([encoded.means[number] for _, (encoded, number) in chosen])
    rows = []
    for at, (piece, (encoded, number)) in enumerate(chosen):
        other = points[(at + len(points) // 2) % len(points)]
        ids = encoded.passages.ids(number)
        lifts = space.latent.lift(np.stack((points[at], other)))
        rows.append((piece, *scored(space, ids, lifts), noted(space, ids)))
    table = np.array(rows)
    by = np.stack([table[table[:, 0] == piece, 1:].sum(0) for piece in np.unique(table[:, 0])])
    drawing = resamples(len(by))
    ways = {"alone": 0, "with its own point": 1, "with another's": 2}
    found: dict[str, object] = {
        f"nats a note, {name}": ratio(by[:, column], by[:, 3], drawing)
        for name, column in ways.items()
    }
    found["another's less its own"] = ratio(by[:, 2] - by[:, 1], by[:, 3], drawing)
    found["alone less its own"] = ratio(by[:, 0] - by[:, 1], by[:, 3], drawing)
    return found


def noted(space: Space, ids: np.ndarray) -> int:
    return int((space.latent.vocabulary.kinds[ids] == NOTE_ON).sum())


def scored(space: Space, ids: np.ndarray, lifts: np.ndarray) -> list[float]:
    """Return the nats of ids without a lift and with each of some."""
    engine = space._engine
    inputs = np.concatenate(([engine.vocabulary.size], ids[:-1])).astype(np.int64)
    logits, _ = engine.run(
        inputs[:, None], engine.initial_state(), pointers=engine.pointed(ids)[:-1, None]
    )
    event = np.cumsum(engine.vocabulary.kinds[ids] == TIME_SHIFT) - 1
    sums = []
    for lift in (np.zeros_like(lifts[0]), *lifts):
        x = logits[:, 0].astype(np.float64) + lift[event]
        # Only ids of the field in question compete: the others cannot follow.
        total = np.log(np.where(logits[:, 0] > -5e3, np.exp(x - x.max(1, keepdims=True)), 0).sum(1))
        sums.append(float((total - (x - x.max(1, keepdims=True))[np.arange(len(ids)), ids]).sum()))
    return sums


def alone(space: Space, ids: np.ndarray) -> tuple[float, int]:
    """Return the nats of ids without a past or a lift, and how many notes they are."""
    length = int((space.latent.vocabulary.kinds[ids] == TIME_SHIFT).sum())
    nothing = np.zeros((1, length, space.latent.vocabulary.size), np.float32)
    return scored(space, ids, nothing)[0], noted(space, ids)


def ratio(above: np.ndarray, below: np.ndarray, drawing: np.ndarray) -> Estimate:
    return estimate(above.sum() / below.sum(), (drawing @ above) / (drawing @ below))


def rebuilt(options: argparse.Namespace, data: Path) -> dict[str, object]:
    """Return how alike passages are and what is played of their points."""
    space = load().space()
    if options.strength is not None:
        space.strength = options.strength
    chosen = list(drawn(space, options, data))
    pieces, before, after, overlap, likely = [], [], [], [], []
    for seed, (piece, (encoded, number)) in enumerate(chosen):
        played = space.decode(
            encoded.means[number],
            seconds=None,
            seed=seed,
            candidates=options.candidates,
            temperature=options.temperature,
        )
        own = encoded.passages.padded(space.latent.length, COARSE)[number]
        made = passages_of(played, space.latent.length, space.latent.vocabulary)
        pieces.append(piece)
        before.append(own)
        after.append(made.padded(space.latent.length, COARSE)[0])
        overlap.append(shared(space, before[-1], after[-1]))
        likely.append(alone(space, made.ids(0)) + alone(space, encoded.passages.ids(number)))
    v = space.latent.vocabulary
    one, other = (measured_passages(np.stack(each), v) for each in (before, after))
    groups = np.array(pieces)
    found: dict[str, object] = {"passages": len(groups)}
    names = {"denser": "density", "louder": "velocity", "brighter": "pitch"}
    for name, title in names.items():
        column = DIRECTIONS.index(name)
        x, y = one[:, column], other[:, column]
        if name == "denser":
            x, y = np.exp(x), np.exp(y)
        found[f"{title}, r"] = estimate(
            float(np.corrcoef(x, y)[0, 1]),
            np.array([np.corrcoef(x[s], y[s])[0, 1] for s in again(groups)]),
        )
    found["pitch classes shared"] = estimate(
        float(np.mean(overlap)), np.array([np.mean(np.array(overlap)[s]) for s in again(groups)])
    )
    by = np.stack([np.array(likely)[groups == piece].sum(0) for piece in np.unique(groups)])
    return found | compared(by)


def compared(by: np.ndarray) -> dict[str, object]:
    """Return nats a note of what was played and of people's passages, from their sums in groups.

    Both are without a past or a lift; columns are nats and notes, played and people's.
    """
    drawing = resamples(len(by))
    played, people_s = (ratio(by[:, n], by[:, n + 1], drawing) for n in (0, 2))
    less = by[:, 0].sum() / by[:, 1].sum() - by[:, 2].sum() / by[:, 3].sum()
    sums = drawing @ by
    return {
        "nats a note, played": played,
        "nats a note, people's": people_s,
        "played less people's": estimate(less, sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]),
    }


def again(groups: np.ndarray) -> Iterator[np.ndarray]:
    """Yield indices of passages, whose pieces are drawn again."""
    rng = np.random.default_rng(5)
    of = [np.flatnonzero(groups == piece) for piece in np.unique(groups)]
    for _ in range(1000):
        yield np.concatenate([of[n] for n in rng.integers(len(of), size=len(of))])


def shared(space: Space, one: np.ndarray, other: np.ndarray) -> float:
    """Return how much of their shares of the twelve pitch classes two passages have in common."""
    v = space.latent.vocabulary
    parts = []
    for events in (one, other):
        note = events[:, 1]
        note = note[(note >= v.first[NOTE_ON]) & (note < v.first[NOTE_ON] + v.counts[NOTE_ON])]
        count = np.bincount((note - v.first[NOTE_ON] + v.lowest_pitch) % 12, minlength=12)
        parts.append(count / max(count.sum(), 1))
    return float(np.minimum(*parts).sum())


def ways(options: argparse.Namespace, data: Path) -> dict[str, object]:
    """Return how steadily measures go from one passage to another, and how likely the steps are.

    A way is monotone if it never turns back, from the highest that it has reached in the direction
    in which its ends differ, by more than `_NOTICED`.
    """
    space = load().space()
    each = -(-2 * options.pairs // 62)
    options.pieces, options.each = min(62, 2 * options.pairs), each
    chosen = list(drawn(space, options, data))
    order = np.random.default_rng(2).permutation(len(chosen))
    v, length = space.latent.vocabulary, space.latent.length
    back: dict[str, list[float]] = {name: [] for name in _NOTICED}
    likely = []
    for pair in range(min(options.pairs, len(chosen) // 2)):
        ends = [chosen[order[2 * pair + k]][1] for k in (0, 1)]
        points, summaries = space.between(*ends, np.linspace(0, 1, _STEPS))
        rows, nats_of = [], []
        for point, summary in zip(points[1:-1], summaries[1:-1], strict=True):
            one = space.decode(
                point,
                summaries=summary,
                seed=pair,
                candidates=options.candidates,
                temperature=options.temperature,
            )
            made = passages_of(one, length, v)
            rows.append(made.padded(length, COARSE)[:1])
            nats_of.append(alone(space, made.ids(0)))
        edges = [e.passages.padded(length, COARSE)[n : n + 1] for e, n in ends]
        every = measured_passages(np.concatenate((edges[0], *rows, edges[1])), v)
        for name, values in back.items():
            x = every[:, DIRECTIONS.index(name)]
            x = x * np.sign(x[-1] - x[0])
            values.append(float((np.maximum.accumulate(x) - x).max()))
        likely.append((nats_of, [alone(space, e.passages.ids(n)) for e, n in ends]))
    found: dict[str, object] = {"pairs": len(likely)}
    drawing, ones = resamples(len(likely)), np.ones(len(likely))
    for name, (title, noticed, words) in _NOTICED.items():
        turned = np.array(back[name])
        found[f"{title}: never turns back by more than {words}"] = ratio(
            (turned <= noticed) * 1.0, ones, drawing
        )
        found[f"{title}: never turns back"] = ratio((turned <= 0) * 1.0, ones, drawing)
    steps_of, ends_of = (np.array([one[k] for one in likely]) for k in (0, 1))
    found |= compared(np.concatenate((steps_of.sum(1), ends_of.sum(1)), 1))
    worst = int(np.argmax(steps_of[..., 0].sum(0) / steps_of[..., 1].sum(0)))
    found[f"the least likely step, {worst + 1}"] = ratio(*steps_of[:, worst].T, drawing)
    return found


def moved(options: argparse.Namespace, data: Path) -> dict[str, object]:
    """Return by how much each direction, at 1, moves each measure, in people's deviations."""
    space = load().space()
    chosen = list(drawn(space, options, data))
    v, length = space.latent.vocabulary, space.latent.length
    own = np.concatenate([e.passages.padded(length, COARSE)[n : n + 1] for _, (e, n) in chosen])
    spread = measured_passages(own, v).std(0)

    def played(amount: dict[str, float]) -> np.ndarray:
        rows = []
        for seed, (_, (encoded, number)) in enumerate(chosen):
            point = encoded.means[number] + space.latent.towards(**amount)
            one = space.decode(point, seed=seed, candidates=options.candidates)
            rows.append(passages_of(one, length, v).padded(length, COARSE)[:1])
        return measured_passages(np.concatenate(rows), v)

    usual = played({})
    groups = np.array([piece for piece, _ in chosen])
    found: dict[str, object] = {}
    for name in DIRECTIONS:
        apart = (played({name: 1.0}) - usual) / spread
        for column, other in enumerate(DIRECTIONS):
            values = apart[:, column]
            found[f"{name} moves {other}"] = estimate(
                float(values.mean()), np.array([values[s].mean() for s in again(groups)])
            )
    return found


def similar(options: argparse.Namespace, data: Path) -> dict[str, object]:
    """Return how often another take of the same piece comes first, and how long a query takes."""
    takes = [one for one in annotated(data / "asap") if one.path.exists()]
    held = [one for one in takes if one.split == "validation"]
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        same = {row["path"] for row in csv.DictReader(lines) if row["same_performance_as"]}
    others = sorted((data / "maestro").rglob("*.midi"))
    rng = np.random.default_rng(3)
    rest = [one.path for one in takes if one.split != "validation"]
    free = [path for path in others if path.relative_to(data).as_posix() not in same]
    some = [free[n] for n in rng.permutation(len(free))]
    chosen = [*[one.path for one in held], *rest, *some][: options.files]
    piece = {one.path: one.path.parent for one in takes}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, path in enumerate(chosen):
            (root / f"{number}.mid").symlink_to(path)
        space = bundled_latent()
        began = time.process_time()
        index = update(root, space)
        took = time.process_time() - began
        count = Counter(piece.get(path) for path in chosen)
        first: dict[str, list[tuple[str, float]]] = {"held out": [], "learned from": []}
        seconds: list[tuple[float, float]] = []
        for number, path in enumerate(chosen):
            if path not in piece or count[piece[path]] < 2:
                continue
            asked = passages_of(midi.read(path), space.length, space.vocabulary)
            began = time.perf_counter(), time.process_time()
            found = search(index, space, asked, without=f"{number}.mid", top=1)
            seconds.append((time.perf_counter() - began[0], time.process_time() - began[1]))
            right = piece.get(chosen[int(found[0].name.removesuffix(".mid"))]) == piece[path]
            group = "held out" if number < len(held) else "learned from"
            first[group].append((str(piece[path]), float(right)))
    told: dict[str, object] = {
        "files": len(index),
        "passages": len(index.of),
        "seconds of the processor to index": round(took, 1),
        "seconds a query, median, and of the processor": np.median(seconds, 0).round(3).tolist(),
    }
    for group, rows in first.items():
        if not rows:
            continue
        groups = np.array([name for name, _ in rows])
        values = np.array([right for _, right in rows])
        by = np.array(
            [(values[groups == g].mean(), 1.0) for g in np.unique(groups)]
        )  # each piece counts as one
        told[f"another take first, {group}, {len(rows)} takes of {len(by)} pieces"] = ratio(
            by[:, 0], by[:, 1], resamples(len(by))
        )
    return told


def picture(_: argparse.Namespace, data: Path) -> dict[str, object]:
    """Draw the map of MAESTRO's validation pieces, ``docs/images/map.png``."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    with (data / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if row["split"] == "validation" and row["dataset"] == "maestro"
        ]
    by = {f"{n}.mid": row["composition"].split(" | ")[0] for n, row in enumerate(rows)}
    with tempfile.TemporaryDirectory() as folder:
        for name, row in zip(by, rows, strict=True):
            (Path(folder) / name).symlink_to(data / row["path"])
        index = update(Path(folder), bundled_latent())
        points = laid_out(index)
    figure, axes = plt.subplots(figsize=(9, 7), layout="constrained")
    composer = [by[index.names[index.of[point.number]]].split()[-1] for point in points]
    most = [name for name, _ in Counter(composer).most_common(9)]
    for name in [*most, "others"]:
        own = [n for n, one in enumerate(composer) if (one if one in most else "others") == name]
        x, y = ([getattr(points[n], axis) for n in own] for axis in "xy")
        colour = "0.8" if name == "others" else None
        axes.scatter(x, y, s=9, label=name, color=colour, zorder=1 if name == "others" else 2)
    axes.legend(markerscale=2, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_axis_off()
    figure.savefig(Path(__file__).parents[1] / "docs" / "images" / "map.png", dpi=110)
    return {"passages": len(points), "pieces": len(index)}


if __name__ == "__main__":
    main()
