"""The networks for beats as a model file: one graph that reads a whole passage.

Of ``groups``, (1, groups, NUMBERS), it says ``of_groups``, (1, groups, OUTPUTS), and of ``beats``,
(1, beats, BEAT_NUMBERS), ``of_beats``, (1, beats, BEAT_OUTPUTS); neither depends on the other. Its
card stands in the metadata of the graph, as in other model files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper

from espressivo.export.builder import Arrays, Graph, float_value
from espressivo.export.writing import described, write_model
from espressivo.networks import BeatNetwork

__all__ = ["export_beats"]

_OPSET, _IR_VERSION = 17, 8
_EPSILON = 1e-5  # of torch.nn.LayerNorm


def export_beats(
    groups: Sequence[BeatNetwork],
    beats: Sequence[BeatNetwork],
    path: str | os.PathLike[str],
    *,
    card: dict[str, Any],
) -> None:
    """Write the networks for beats as a model file, their matrices in 16 bits.

    Parameters
    ----------
    groups, beats : sequence of BeatNetwork
        What reads onset groups, and what reads beats; of several the mean is said.
    path : path
        Replaced if it exists; the folder must exist.
    card : dict
        What JSON can hold: name, licence, trained_on, and more.

    Raises
    ------
    ModelError
        If the card lacks a key.
    OSError
        If the file cannot be written.
    """
    g = Graph("fp16")
    inputs, outputs = [], []
    for name, networks in (("groups", groups), ("beats", beats)):
        said = [_said(g, network, name, number) for number, network in enumerate(networks)]
        g.add("Mean", *said, name=f"of_{name}")
        inputs.append(float_value(name, [1, name, networks[0].config.inputs]))
        outputs.append(float_value(f"of_{name}", [1, name, networks[0].config.outputs]))
    graph = helper.make_graph(g.nodes, "espressivo-beats", inputs, outputs, g.stored)
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    write_model(path, model, described(path, {"format": 1, "kind": "beats"}, card))


def _said(g: Graph, network: BeatNetwork, reads: str, number: int) -> str:
    """Add a network, and return the name of what it says of the input that it reads."""
    name, weights = f"{reads}{number}", network.state_dict()
    arrays = {f"{name}.{key}": tensor.float().numpy() for key, tensor in weights.items()}
    x = g.layer(arrays, f"{name}.enter", reads)  # (1, T, W)
    for block, dilation in enumerate(network.config.dilations):
        x = _block(g, arrays, f"{name}.blocks.{block}", x, dilation)
    return g.layer(arrays, f"{name}.leave", _norm(g, arrays, f"{name}.norm", x))


def _norm(g: Graph, arrays: Arrays, name: str, x: str) -> str:
    scale, bias = (g.constant(f"{name}_{n}", arrays[f"{name}.{n}"]) for n in ("weight", "bias"))
    return g.add("LayerNormalization", x, scale, bias, epsilon=_EPSILON)


def _block(g: Graph, arrays: Arrays, name: str, x: str, dilation: int) -> str:
    beside = _norm(g, arrays, f"{name}.norm", x)
    pads = g.constant(f"pads_{dilation}", np.array([0, dilation, 0, 0, dilation, 0]))
    around = g.add("Pad", beside, pads)
    axis, zero = g.constant("axis", np.array([1])), g.constant("zero", np.array([0]))
    twice = g.constant(f"twice_{dilation}", np.array([2 * dilation]))
    but = g.constant(f"but_{dilation}", np.array([-2 * dilation]))
    most = g.constant("most", np.array([np.iinfo(np.int64).max]))
    before = g.add("Slice", around, zero, but, axis)
    after = g.add("Slice", around, twice, most, axis)
    three = g.add("Concat", before, beside, after, axis=2)
    read = g.layer(arrays, f"{name}.read", three)
    what, gate = g.add_many("Split", read, outputs=2, axis=2)
    gated = g.add("Mul", g.add("Tanh", what), g.add("Sigmoid", gate))
    return g.add("Add", x, g.layer(arrays, f"{name}.mix", gated))
