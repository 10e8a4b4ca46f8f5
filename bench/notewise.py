"""Is a code with a step for each note better than events? Both learn for the same time on one core.

The note-wise code writes a performance as steps, one for each note and each movement of the pedal,
in the order of their beginnings. A step has five factors, each predicted from the steps before and
from the factors before it: the time since the last step, the key or what else happens, and for
notes the loudness, and how long the key is held, as a class and the place within it. It says
exactly what the events of a code with pedal say, which is checked. Both networks have the same
stack of blocks, the same pieces in the same order, transposed and stretched alike; nats are counted
over the first minute of each validation piece.

    python bench/notewise.py PREPARED [--seconds 270] [--length 128] [--codes events notes] [--json]

PREPARED is a folder that `espressivo prepare` made with the vocabulary `pedal`. The seconds are of
the processor, so other programs on the same core do not count; compiling does not either.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from espressivo.augment import Augmentation
from espressivo.codec import event_steps
from espressivo.dataset import IGNORED, Dataset
from espressivo.networks import Stack, StackConfig
from espressivo.networks.stack import hidden_matrices
from espressivo.performance import CONTROL_DTYPE, SUSTAIN, Performance
from espressivo.vocabulary import KINDS, NOTE_ON, TIME_SHIFT, Vocabulary

STRETCH_S = 60  # of each validation piece
WARM_UP = 50  # updates in which the rate rises
DECAY = 0.3  # share of the time in which it falls
NOT_TIMED = 3  # updates in which the network is compiled

LONGEST_GAP = 100
KEYS = 88
PEDAL_UP, PEDAL_DOWN, WAIT, END = range(KEYS, KEYS + 4)
# Classes of how long a key is held: 1 .. 16 steps each their own, then 8 to an octave, to 20.48 s.
FLOORS = np.concatenate([np.arange(16), *((8 + np.arange(8)) << n for n in range(1, 8))])
PLACES = np.diff(FLOORS, append=2048)
FACTORS = ("time", "key or pedal", "loudness", "held, class", "held, place")
SIZES = (LONGEST_GAP + 1, END + 1, 32, len(FLOORS), int(PLACES.max()))


def steps_of(ids: np.ndarray, v: Vocabulary) -> np.ndarray:
    """Write events as steps, shape (number of steps, factors); `IGNORED` where there is none."""
    performance = v.decode(ids)
    notes, pedal = performance.notes, performance.controls
    begin, end = (
        np.rint(notes[name] * v.steps_per_second).astype(np.int64)
        for name in ("onset_s", "offset_s")
    )
    moved = np.rint(pedal["time_s"] * v.steps_per_second).astype(np.int64)
    held = np.minimum(end - begin, 2048) - 1
    coarse = np.searchsorted(FLOORS, held, "right") - 1
    steps = np.full((len(moved) + len(begin), len(FACTORS)), IGNORED)
    steps[:, 0] = np.concatenate((moved, begin))
    steps[: len(moved), 1] = np.where(pedal["value"] > 0, PEDAL_DOWN, PEDAL_UP)
    steps[len(moved) :, 1] = notes["pitch"] - v.lowest_pitch
    steps[len(moved) :, 2] = v.velocity_bins[notes["velocity"]]
    steps[len(moved) :, 3] = coarse
    steps[len(moved) :, 4] = held - FLOORS[coarse]
    steps = steps[np.argsort(steps[:, 0], kind="stable")]
    gap = np.diff(steps[:, 0], prepend=0)
    waits = np.maximum(gap - 1, 0) // LONGEST_GAP
    steps[:, 0] = gap - waits * LONGEST_GAP
    wait = np.array([LONGEST_GAP, WAIT, *[IGNORED] * 3])
    steps = np.insert(steps, np.repeat(np.arange(len(steps)), waits), wait, axis=0)
    return np.vstack((steps, [0, END, *[IGNORED] * 3]))


def performance_of(steps: np.ndarray, v: Vocabulary) -> Performance:
    """Read what `steps_of` wrote."""
    now, kind = np.cumsum(steps[:, 0]), steps[:, 1]
    note, pedal = kind < KEYS, (kind == PEDAL_UP) | (kind == PEDAL_DOWN)
    end = now + FLOORS[steps[:, 3]] + steps[:, 4] + 1
    controls = np.zeros(int(pedal.sum()), CONTROL_DTYPE)
    controls["time_s"] = now[pedal] / v.steps_per_second
    controls["number"] = SUSTAIN
    controls["value"] = np.where(kind[pedal] == PEDAL_DOWN, 127, 0)
    return Performance.from_arrays(
        now[note] / v.steps_per_second,
        end[note] / v.steps_per_second,
        kind[note] + v.lowest_pitch,
        np.array(v.velocity_values)[steps[note, 2]],
        controls,
    )


class Events(Stack):
    """The stack as it is: the factor of a step is the id of an event."""

    def __init__(self, v: Vocabulary) -> None:
        super().__init__(StackConfig(), v.size)
        self.vocabulary, self.factors, self.labels = v, 1, KINDS

    def sequence(self, ids: np.ndarray) -> np.ndarray:
        """Return the steps of a piece, (number of steps, factors)."""
        return ids[:, None]

    def times(self, steps: np.ndarray) -> np.ndarray:
        """Return by how many steps of the clock each step moves it."""
        v = self.vocabulary
        return np.where(v.kinds[steps[..., 0]] == TIME_SHIFT, v.values[steps[..., 0]], 0)

    def label(self, targets: np.ndarray) -> np.ndarray:
        """Return the label of each target, as an index."""
        return self.vocabulary.kinds[targets]

    def matrices(self) -> list[Tensor]:
        """Return the matrices between layers, for Muon."""
        return hidden_matrices(self)

    def forward(self, inputs: Tensor, targets: Tensor, state: tuple) -> tuple[Tensor, tuple]:
        """Return the nats of each target, (T, B, factors), and the state after them."""
        inputs = torch.where(inputs < 0, self.size, inputs)[..., 0]
        logits, state = super().forward(inputs, state)
        return nats(logits, targets[..., 0])[..., None], state


class Notes(Stack):
    """The same blocks over sums of embeddings, and a head for each factor of a step.

    A head reads the blocks' output and the embeddings of the factors before its own.
    """

    def __init__(self, v: Vocabulary) -> None:
        super().__init__(StackConfig(), sum(SIZES))
        width = self.config.width
        self.vocabulary, self.factors, self.labels = v, len(SIZES), FACTORS
        self.known = nn.Embedding(self.size + 1, width)
        self.heads = nn.ModuleList(nn.Linear(width, width) for _ in SIZES)
        nn.init.normal_(self.embedding.weight, std=0.7 / len(SIZES) ** 0.5)
        nn.init.normal_(self.known.weight, std=0.5)
        self.register_buffer("first", torch.tensor([0, *np.cumsum(SIZES)[:-1]]))
        self.register_buffer("places", torch.from_numpy(PLACES))

    def sequence(self, ids: np.ndarray) -> np.ndarray:
        """Return the steps of a piece, (number of steps, factors)."""
        return steps_of(ids, self.vocabulary)

    def times(self, steps: np.ndarray) -> np.ndarray:
        """Return by how many steps of the clock each step moves it."""
        return steps[..., 0]

    def label(self, targets: np.ndarray) -> np.ndarray:
        """Return the label of each target, as an index."""
        return np.broadcast_to(np.arange(self.factors), targets.shape)

    def matrices(self) -> list[Tensor]:
        """Return the matrices between layers, for Muon."""
        return [*hidden_matrices(self), *(head.weight for head in self.heads)]

    def forward(self, inputs: Tensor, targets: Tensor, state: tuple) -> tuple[Tensor, tuple]:
        """Return the nats of each target, (T, B, factors), and the state after them."""
        read, say = (
            torch.where(part < 0, self.size, part + self.first).transpose(0, 1)
            for part in (inputs, targets)
        )
        x, after = self.embedding(read).sum(-2), []
        for block, *own in zip(self.blocks, *state, strict=True):
            x, left = block(x, *own)
            after.append(left)
        x, known, found = self.norm(x), 0.0, []
        rows = zip(
            self.output.weight.split(SIZES), self.output.bias.split(SIZES), self.heads, strict=True
        )
        for factor, (weight, bias, head) in enumerate(rows):
            hidden = functional.silu(head(x) + known)
            logits = functional.linear(hidden, weight, bias).transpose(0, 1)
            if factor == 4:  # only the places that the class has
                places = self.places[targets[..., 3].clamp(min=0)]
                inside = torch.arange(SIZES[4]) < places[..., None]
                logits = logits.float().masked_fill(~inside, -torch.inf)
            found.append(nats(logits, targets[..., factor]))
            known = known + self.known(say[..., factor])
        state = tuple(torch.stack(parts) for parts in zip(*after, strict=True))
        return torch.stack(found, -1), state


CODES = {"events": Events, "notes": Notes}


def nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the nats of each target, (T, B); 0 where there is none."""
    each = functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return each.view(targets.shape)


def shuffled(dataset: Dataset) -> Iterator[np.ndarray]:
    """Yield the ids of training pieces without end, augmented."""
    pieces, augmentation = dataset.split("train"), Augmentation()
    rng = np.random.default_rng(0)
    while True:
        for index in rng.permutation(len(pieces)):
            yield augmentation(dataset.ids(pieces[index]), dataset.vocabulary, rng)


def windows(
    sequences: Iterable[np.ndarray], factors: int, rows: int, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Follow a sequence in each row; yield inputs, targets and which rows begin anew."""
    source = iter(sequences)
    nothing = np.full((1, factors), IGNORED)
    left = [nothing] * rows  # each with the step before it
    while True:
        targets = np.full((length, rows, factors), IGNORED)
        inputs, fresh = targets.copy(), np.zeros(rows, bool)
        for row in range(rows):
            if len(left[row]) == 1:
                left[row] = np.concatenate((nothing, next(source, nothing[:0])))
                fresh[row] = True
            part, left[row] = left[row][: length + 1], left[row][length:]
            if not len(left[row]):
                left[row] = nothing
            targets[: len(part) - 1, row], inputs[: len(part) - 1, row] = part[1:], part[:-1]
        if (targets == IGNORED).all():
            return
        yield inputs, targets, fresh


def cleared(state: tuple, fresh: np.ndarray) -> tuple:
    """Detach a state from the past, and clear the rows that begin anew."""
    kept = torch.from_numpy(~fresh)
    return tuple(part.detach() * kept.view(-1, *[1] * (part.ndim - 2)) for part in state)


def train(
    network: Events | Notes, dataset: Dataset, seconds: float, rows: int, length: int
) -> dict[str, float]:
    """Train for so many seconds of the processor."""
    matrices = network.matrices()
    taken = {id(p) for p in matrices}
    rest = [p for p in network.parameters() if id(p) not in taken]
    optimizers = [
        torch.optim.Muon(matrices, 0.02, weight_decay=0.01),
        torch.optim.AdamW(rest, 3e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]
    rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    compiled, state = torch.compile(network), network.initial_state(rows)
    busy_s = updates = steps = heard = wall_s = 0
    source = windows(map(network.sequence, shuffled(dataset)), network.factors, rows, length)
    while busy_s < seconds:
        begin, begin_wall = time.process_time(), time.perf_counter()
        rate = min(1, (updates + 1) / WARM_UP, (1 - busy_s / seconds) / DECAY)
        for optimizer, most in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = most * rate
        inputs, targets, fresh = next(source)
        with torch.autocast("cpu", torch.bfloat16):
            lost, state = compiled(
                torch.from_numpy(inputs), torch.from_numpy(targets), cleared(state, fresh)
            )
        loss = lost.sum() / (rows * length)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        updates += 1
        if updates > NOT_TIMED:
            busy_s += time.process_time() - begin
            wall_s += time.perf_counter() - begin_wall
            real = targets[targets[..., 0] != IGNORED]
            steps += len(real)
            heard += network.times(real).sum() / network.vocabulary.steps_per_second
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "updates": updates,
        "steps": steps,
        "steps_per_s": steps / busy_s,
        "minutes_of_music": heard / 60,
        "minutes_of_music_per_s": heard / 60 / busy_s,
        "wall_s": wall_s,
        "last_loss": loss.item(),
    }


def first_stretch(sequence: np.ndarray, network: Events | Notes) -> np.ndarray:
    """Return the steps before the end of the stretch that is scored."""
    now = np.cumsum(network.times(sequence))
    until = STRETCH_S * network.vocabulary.steps_per_second
    return sequence[: np.searchsorted(now, until)]


@torch.inference_mode()
def score(network: Events | Notes, pieces: list[np.ndarray]) -> dict[str, object]:
    """Count the nats of the first stretch of each piece, by label."""
    v, network = network.vocabulary, network.eval()
    sequences = [first_stretch(network.sequence(ids), network) for ids in pieces]
    sequences.sort(key=len, reverse=True)
    sums, counts = np.zeros(len(network.labels)), np.zeros(len(network.labels), int)
    state = network.initial_state(32)
    for inputs, targets, fresh in windows(sequences, network.factors, 32, 128):
        with torch.autocast("cpu", torch.bfloat16):
            lost, state = network(
                torch.from_numpy(inputs), torch.from_numpy(targets), cleared(state, fresh)
            )
        real = targets != IGNORED
        label = network.label(targets)[real]
        sums += np.bincount(label, lost.double().numpy()[real], len(sums))
        counts += np.bincount(label, minlength=len(sums))
    notes, length_s = 0, 0.0
    for ids in pieces:
        now = event_steps(ids, v) / v.steps_per_second
        notes += int((v.kinds[ids[now < STRETCH_S]] == NOTE_ON).sum())
        length_s += min(float(now[-1]), STRETCH_S)
    return {
        "notes": notes,
        "seconds": length_s,
        "steps_in_stretch": sum(map(len, sequences)),
        "nats_per_second": sums.sum() / length_s,
        "nats_per_note": sums.sum() / notes,
        "nats_per_note_by_label": dict(zip(network.labels, sums / notes, strict=True)),
        "count_by_label": dict(zip(network.labels, counts.tolist(), strict=True)),
    }


def equal_pieces(pieces: list[np.ndarray], v: Vocabulary) -> int:
    """Count the pieces whose events come back from their steps, id for id."""
    return sum(np.array_equal(v.encode(performance_of(steps_of(ids, v), v)), ids) for ids in pieces)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("prepared", type=Path)
    arguments.add_argument("--seconds", type=float, default=270)
    arguments.add_argument("--rows", type=int, default=32)
    arguments.add_argument("--length", type=int, default=128, help="steps of a window")
    arguments.add_argument("--pieces", type=int, help="score only so many validation pieces")
    arguments.add_argument("--codes", nargs="+", choices=CODES, default=list(CODES))
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    dataset = Dataset(options.prepared)
    v = dataset.vocabulary
    pieces = [dataset.ids(piece) for piece in islice(dataset.split("validation"), options.pieces)]
    result: dict[str, object] = {
        "pieces": len(pieces),
        "pieces_that_come_back": equal_pieces(pieces, v),
    }
    for code in options.codes:
        torch.manual_seed(0)
        network = CODES[code](v)
        learned = train(network, dataset, options.seconds, options.rows, options.length)
        result[code] = learned | score(network, pieces)
    print(json.dumps(result, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
