"""Training of score readers, networks that predict the fields of performances from scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from espressivo.interpreter import ROWS, Floats
from espressivo.networks import ScoreReader
from espressivo.progress import Progress, Silent
from espressivo.training.score_data import ReadPiece

__all__ = ["Reading", "read_by", "train_reader"]

_HIDDEN_FEATURES = 0.15  # of each row of a batch


@dataclass(frozen=True)
class Reading:
    """Settings of a score reader and its training.

    Parameters
    ----------
    width, hidden, layers : int
        Sizes of the network.
    dropout : float
    window, batch, updates : int
        Rows of a window, windows of an update, and number of updates.
    learning_rate, weight_decay : float
        The rate is the highest of one cycle.
    seed : int
    """

    width: int = 64
    hidden: int = 96
    layers: int = 1
    dropout: float = 0.3
    window: int = 192
    batch: int = 32
    updates: int = 600
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    seed: int = 0


def train_reader(
    pieces: Sequence[ReadPiece],
    fields: Sequence[str],
    settings: Reading,
    progress: Progress | None = None,
) -> ScoreReader:
    """Return a network that predicts fields of the same rows.

    Each window is drawn at random from a variant of a piece; a part of the features is hidden in
    it. The loss is the mean square, weighted as `ReadPiece.target` says.
    """
    rows = ROWS[fields[0]]
    torch.manual_seed(settings.seed)
    generator = np.random.default_rng(settings.seed)
    every = np.concatenate([piece.tables[0][rows].values for piece in pieces])
    network = ScoreReader(
        every.shape[1],
        len(fields),
        width=settings.width,
        hidden=settings.hidden,
        layers=settings.layers,
        dropout=settings.dropout,
    )
    network.centre.copy_(torch.from_numpy(every.mean(axis=0)))
    network.scale.copy_(torch.from_numpy(every.std(axis=0) + 1e-3))
    features = [
        [network.standardised(torch.from_numpy(table[rows].values)) for table in piece.tables]
        for piece in pieces
    ]
    targets, weights = _targets(pieces, fields)
    starts = [
        (number, start)
        for number, piece in enumerate(features)
        for start in range(0, max(len(piece[0]) - settings.window // 2, 1), settings.window // 2)
    ]
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.updates, pct_start=0.1
    )
    progress = progress or Silent()
    progress.start(settings.updates, "updates", f"Reading {rows}")
    network.train()
    try:
        for _ in range(settings.updates):
            drawn = [starts[i] for i in generator.choice(len(starts), settings.batch)]
            x, y, w = _batch(drawn, features, targets, weights, settings.window, generator)
            x = x * (torch.rand(len(x), 1, x.shape[2]) > _HIDDEN_FEATURES)
            loss = (w * (network(x) - y) ** 2).sum() / w.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.advance(1, f"{loss.item():.3f}")
    finally:
        progress.close()
    return network.eval()


def read_by(network: ScoreReader, piece: ReadPiece, rows: str, variant: int = 0) -> Floats:
    """Return what a network predicts of a piece, shape (rows, fields)."""
    table = torch.from_numpy(piece.tables[variant][rows].values)
    with torch.no_grad():
        return np.asarray(network(network.standardised(table)[None])[0].double())


def _targets(
    pieces: Sequence[ReadPiece], fields: Sequence[str]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return targets and weights of each piece, (rows, fields), a field's weights 1 on average."""
    targets, weights = [], []
    for piece in pieces:
        both = [piece.target(field) for field in fields]
        targets.append(torch.from_numpy(np.stack([t for t, _ in both], 1).astype(np.float32)))
        weights.append(torch.from_numpy(np.stack([w for _, w in both], 1).astype(np.float32)))
    mean = torch.cat(weights).mean(dim=0)
    return targets, [weight / mean for weight in weights]


def _batch(
    drawn: Sequence[tuple[int, int]],
    features: Sequence[Sequence[Tensor]],
    targets: Sequence[Tensor],
    weights: Sequence[Tensor],
    window: int,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, targets and weights of windows, moved a little; 0 beyond a piece's end."""
    count, fields = features[0][0].shape[1], targets[0].shape[1]
    x = torch.zeros(len(drawn), window, count)
    y, w = torch.zeros(len(drawn), window, fields), torch.zeros(len(drawn), window, fields)
    for row, (number, start) in enumerate(drawn):
        variant = features[number][int(generator.integers(len(features[number])))]
        moved = start + int(generator.integers(-window // 4, window // 4 + 1))
        begin = max(0, min(moved, len(variant) - window))
        end = min(begin + window, len(variant))
        x[row, : end - begin] = variant[begin:end]
        y[row, : end - begin] = targets[number][begin:end]
        w[row, : end - begin] = weights[number][begin:end]
    return x, y, w
