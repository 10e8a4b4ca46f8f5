"""Export: a trained network becomes a model file, the one thing that playing needs.

A model file is one ONNX graph that reads a single id (`espressivo.export.graphs`), made of standard
operators. Everything about the model stands as JSON in the metadata of the graph, under the key
`espressivo.engine.METADATA_KEY`, and beside it the seal of the file (`espressivo.files.SEAL`).
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from espressivo.codes import Vocabulary
from espressivo.engine import FORMAT
from espressivo.errors import ModelError
from espressivo.export.graphs import step_graph
from espressivo.export.writing import described, write_model
from espressivo.networks import Network, merged

__all__ = ["WEIGHTS", "export"]

WEIGHTS = ("fp32", "fp16", "int8")
"""How weight matrices can be stored; see `export`."""

_LEARNING = ("dropout", "style", "rank")  # of a network's sizes, those that only learning needs


def export(
    network: Network,
    vocabulary: Vocabulary,
    path: str | os.PathLike[str],
    *,
    card: dict[str, Any],
    weights: str = "int8",
) -> None:
    """Write a network as a model file, whole or not at all.

    Parameters
    ----------
    network : one of `espressivo.networks`
        Not changed; its dropout does not matter. Low ranks are merged into its matrices.
    vocabulary : Vocabulary
        The one that the network was trained with.
    path : path
        Replaced if it exists; the folder must exist.
    card : dict
        What JSON can hold, with at least the keys of `CARD`. The version of
        this package is added as ``espressivo``.
    weights : {"fp32", "fp16", "int8"}
        How the weight matrices are stored. In 16 bits each weight is rounded by at most 0.05 %,
        and the arithmetic is in 32 bits either way. "int8" stores whole numbers within -64..64
        and a scale per column, and multiplies whole numbers; tables of ids are in 16 bits.

    Raises
    ------
    ModelError
        If the network does not fit the vocabulary, a weight is not finite (in 16 bits, unless
        `weights` is "fp32"), `weights` is unknown, or the card lacks a key or holds what JSON
        cannot.
    OSError
        If the file cannot be written.
    """
    config = network.config
    if config.style:
        raise ModelError(f"{path}: a model file holds no style: write that with `write_style`")
    if weights not in WEIGHTS:
        raise ModelError(f"{path}: weights must be one of {', '.join(WEIGHTS)}, not {weights!r}")
    if network.size != vocabulary.size:
        raise ModelError(
            f"{path}: the network has {network.size} ids and vocabulary {vocabulary.name!r} "
            f"{vocabulary.size}: export with the vocabulary that it was trained on"
        )
    sizes = {k: v for k, v in dataclasses.asdict(config).items() if k not in _LEARNING}
    description = {
        "format": FORMAT,
        "vocabulary": vocabulary.to_dict(),
        "network": {**sizes, "weights": weights},
    }
    text = described(path, description, card)

    whole = merged(network, vocabulary).state_dict()
    arrays = {name: tensor.cpu().float().numpy() for name, tensor in whole.items()}
    stored = np.float32 if weights == "fp32" else np.float16
    with np.errstate(over="ignore"):
        unusable = [n for n, array in arrays.items() if not np.isfinite(array.astype(stored)).all()]
    if unusable:
        raise ModelError(f"{path}: weights of {unusable[0]} are not finite: export an earlier one")
    model = step_graph(arrays, config, vocabulary, weights)
    write_model(path, model, text)
