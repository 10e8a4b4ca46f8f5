"""Styles of several people, learned together, each in what the heads of a network add.

What the blocks make of the past is the same in every style, so that it is read once and kept. A
style learns to predict its own passages, and that these are likelier in it than in the others of
its kind (a softmax over some of them): else styles hold what all of the music has in common, and
which style it is says little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from espressivo.codes import NOTE_ON, Ids, Vocabulary
from espressivo.data import Material, Passage, passages
from espressivo.networks import Notewise
from espressivo.training.loss import nats_of_rows, tensors

__all__ = ["Past", "StyleNetwork", "learn_styles", "nats_in", "read_past"]

_AT_ONCE = 8  # passages
_OTHERS = 3  # styles that each passage is compared with
_WARMUP = 20  # updates
_KEPT_EVERY = 50  # updates


@dataclass(frozen=True, eq=False)
class Past:
    """Passages, and what the blocks of a network made of what was before each event.

    Parameters
    ----------
    made : float16 tensor, (T, B, width)
    targets : int64 tensor, (T, B, fields)
    pointers : tensor or None
        What pointers say, for a network that reads them.
    notes : float32 tensor, (B,)
        Of each passage.
    """

    made: Tensor
    targets: Tensor
    pointers: Tensor | None
    notes: Tensor


def read_past(network: Notewise, pieces: Sequence[Ids], v: Vocabulary) -> Iterator[Past]:
    """Let the blocks of a network read passages, some at a time."""
    sides = ("pointers",) if network.config.pointers else ()
    for begin in range(0, len(pieces), _AT_ONCE):
        group = [Material(ids, v, True) for ids in pieces[begin : begin + _AT_ONCE]]
        longest = max(piece.count for piece in group)
        (batch,) = passages([Passage(piece) for piece in group], len(group), longest, sides)
        inputs, targets, beside = tensors(batch, None)
        with torch.no_grad():
            made, _ = network.past(inputs, None, beside)
        notes = [float((v.kinds[piece.ids] == NOTE_ON).sum()) for piece in group]
        yield Past(made.half(), targets, beside.get("pointers"), torch.tensor(notes))


class StyleNetwork(nn.Module):
    """The heads of a network, and the shifts of their vectors in each style.

    Parameters
    ----------
    network : Notewise
        Its weights stay.
    vocabulary : Vocabulary
    styles : int
    """

    def __init__(self, network: Notewise, vocabulary: Vocabulary, styles: int) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._heads = (_Heads(network.requires_grad_(False)),)  # a tuple, so that it is no part
        self.names = [f"heads.{n}.bias" for n in range(len(network.heads))] + ["output.bias"]
        sizes = [len(network.get_parameter(name)) for name in self.names]
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(styles, n)) for n in sizes)

    def forward(self, past: Past, style: int | None) -> Tensor:
        """Return the nats of each passage in a style, or without one, (B,)."""
        (heads,) = self._heads
        changed = {}
        if style is not None:
            for name, shift in zip(self.names, self.shifts, strict=True):
                changed[f"network.{name}"] = heads.network.get_parameter(name) + shift[style]
        sides = {} if past.pointers is None else {"pointers": past.pointers}
        given = past.made.float(), sides, past.targets
        logits = functional_call(heads, changed, given)
        return nats_of_rows(logits, past.targets, self._vocabulary)

    def of(self, style: int) -> dict[str, NDArray[np.float32]]:
        """Return the shifts of a style by the names of vectors in the network."""
        pairs = zip(self.names, self.shifts, strict=True)
        return {name: shift[style].detach().numpy().copy() for name, shift in pairs}


class _Heads(nn.Module):
    def __init__(self, network: Notewise) -> None:
        super().__init__()
        self.network = network

    def forward(self, made: Tensor, sides: dict[str, Tensor], targets: Tensor) -> Tensor:
        return self.network.predicted(made, sides, targets)


def learn_styles(
    styles: StyleNetwork,
    own: Sequence[Sequence[Past]],
    kinds: Sequence[str],
    kept: Path,
    *,
    rounds: int,
    rate: float = 2e-3,
    apart: float = 0.01,
    seed: int = 0,
    tell: Callable[[str], object] = print,
) -> None:
    """Learn styles from passages of each; a call that was stopped goes on when it is made again.

    Parameters
    ----------
    own : sequence of sequences of Past
        The passages of each style.
    kinds : sequence of str
        Of each style; only styles of one kind are told from one another.
    kept : path
        A file for what was learned so far.
    rounds : int
        Passes over all passages.
    rate : float
        Of learning, at its highest.
    apart : float
        How much it counts that a passage is likelier in its own style than in others, against how
        likely a note of it is.
    seed : int
        Of orders, and of which others passages are compared with.
    tell : function
        Is told of progress in lines.
    """
    optimizer = torch.optim.Adam(styles.parameters(), rate)
    updates, done = rounds * sum(map(len, own)), 0
    if kept.exists():
        saved = torch.load(kept, weights_only=True)
        styles.load_state_dict(saved["styles"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]
    every = [(style, past) for style, pasts in enumerate(own) for past in pasts]
    sums = np.zeros(3)
    for update in range(done, updates):
        round_, at = divmod(update, len(every))
        style, past = every[np.random.default_rng([seed, round_]).permutation(len(every))[at]]
        alike = [n for n, kind in enumerate(kinds) if kind == kinds[style] and n != style]
        rng = np.random.default_rng([seed, round_, at])
        others = rng.choice(alike, min(_OTHERS, len(alike)), replace=False).tolist()
        nats = torch.stack([styles(past, number) for number in (style, *others)], 1)  # (B, styles)
        right = torch.zeros(len(nats), dtype=torch.int64)
        missed = functional.cross_entropy(-nats, right)
        per_note = nats[:, 0].sum() / past.notes.sum()
        for group in optimizer.param_groups:
            group["lr"] = rate * min((update + 1) / _WARMUP, 2 * (1 - update / updates), 1)
        optimizer.zero_grad()
        (per_note + apart * missed).backward()
        optimizer.step()
        sums += float(per_note.detach()), float(missed.detach()), 1
        if (update + 1) % _KEPT_EVERY == 0 or update + 1 == updates:
            state = {"styles": styles.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**state, "done": update + 1}, kept.with_suffix(".part"))
            kept.with_suffix(".part").replace(kept)
            said = f"{sums[0] / sums[2]:.4f} nats a note, {sums[1] / sums[2]:.3f} apart"
            tell(f"update {update + 1} of {updates}: {said}")
            sums[:] = 0


def nats_in(styles: StyleNetwork, pasts: Sequence[Past], count: int) -> NDArray[np.float64]:
    """Return nats a note of each passage without a style and in each, (passages, 1 + count)."""
    with torch.no_grad():
        found = [
            torch.stack([styles(past, style) for style in (None, *range(count))], 1)
            / past.notes[:, None]
            for past in pasts
        ]
    return torch.cat(found).double().numpy()
