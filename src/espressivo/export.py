"""Export: a trained network becomes a model file, the one thing that playing needs.

A model file is one ONNX graph that reads an event in each row and carries the network's state::

    ids     int64   (B)                the size of the vocabulary stands for "no event yet"
    state_0 float32 (layers, B, H)     hidden states; zeros before any event
    state_1 float32 (layers, B, H)     cells, for an LSTM only
    ->
    logits  float32 (B, size)          of the next event
    next_0, next_1                     the state after this one

It is a plain chain of standard operators. The input weights of the first layer are a table from
which a row is taken. Everything about the model stands as JSON in the metadata of the graph, under
the key `espressivo.engine.METADATA_KEY`.

Every matrix product multiplies hidden states, and these lie within -1..1 in a GRU and in an LSTM.
So with weights in 8 bits the states are rounded to 8 bits by one fixed scale, and no row changes
how another is rounded; the sums are of whole numbers, exact in any order.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from espressivo import __version__
from espressivo.engine import FORMAT, METADATA_KEY
from espressivo.errors import ModelError
from espressivo.files import replacing
from espressivo.vocabulary import Vocabulary

if TYPE_CHECKING:
    from espressivo.networks import Recurrent

__all__ = ["CARD", "WEIGHTS", "export"]

CARD = ("name", "licence", "trained_on")
"""What a model card must say; it may say more, such as figures."""

WEIGHTS = ("fp32", "fp16", "int8")
"""How weight matrices can be stored; see `export`."""

_OPSET, _IR_VERSION = 17, 8
_LARGEST = 64
"""Largest weight in 8 bits. Processors without 8-bit dot products (AVX2 before VNNI) add two
products in 16 signed bits, and 2 x 64 x 255 still fits."""
_HIDDEN_SCALE = np.float32(1 / 127)
_Arrays = dict[str, NDArray[np.float32]]


def export(
    network: Recurrent,
    vocabulary: Vocabulary,
    path: str | os.PathLike[str],
    *,
    card: dict[str, Any],
    weights: str = "int8",
) -> None:
    """Write a network as a model file, whole or not at all.

    Parameters
    ----------
    network : Recurrent
        Not changed; its dropout does not matter.
    vocabulary : Vocabulary
        The code that the network was trained on.
    path : path
        Replaced if it exists; the folder must exist.
    card : dict
        What JSON can hold, with at least the keys of `CARD`. The version of
        this package is added as ``espressivo``.
    weights : {"fp32", "fp16", "int8"}
        How the weight matrices are stored. In 16 bits each weight is rounded by at most 0.05 %,
        and the arithmetic is in 32 bits either way. "int8" stores whole numbers within -64..64
        and a scale per column, and multiplies whole numbers; its input table is in 16 bits.

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
    if weights not in WEIGHTS:
        raise ModelError(f"{path}: weights must be one of {', '.join(WEIGHTS)}, not {weights!r}")
    if network.size != vocabulary.size:
        raise ModelError(
            f"{path}: the network has {network.size} ids and vocabulary {vocabulary.name!r} "
            f"{vocabulary.size}: export with the vocabulary that it was trained on"
        )
    if missing := [key for key in CARD if key not in card]:
        raise ModelError(f"{path}: the card lacks {', '.join(missing)}: add them")
    description = {
        "format": FORMAT,
        "vocabulary": vocabulary.to_dict(),
        "network": {
            "cell": config.cell,
            "hidden": config.hidden,
            "layers": config.layers,
            "weights": weights,
        },
        "card": {"espressivo": __version__, **card},
    }
    try:
        text = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: the card must hold plain JSON values: {error}") from None

    arrays = {name: tensor.cpu().float().numpy() for name, tensor in network.state_dict().items()}
    stored = np.float32 if weights == "fp32" else np.float16
    with np.errstate(over="ignore"):
        unusable = [n for n, array in arrays.items() if not np.isfinite(array.astype(stored)).all()]
    if unusable:
        raise ModelError(f"{path}: weights of {unusable[0]} are not finite: export an earlier one")
    model = _model(arrays, config.cell, config.layers, weights)
    helper.set_model_props(model, {METADATA_KEY: text})
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and weights of a graph under construction."""

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def add_many(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [f"{kind.lower()}_{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def constant(self, name: str, array: NDArray[Any] | np.generic) -> str:
        self.stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def floats(self, name: str, array: NDArray[np.float32]) -> str:
        """Add weights, in 16 bits unless told; the cast is folded when the file is loaded."""
        if self.weights == "fp32":
            return self.constant(name, array)
        stored = self.constant(f"{name}_half", array.astype(np.float16))
        return self.add("Cast", stored, name=name, to=TensorProto.FLOAT)

    def linear(
        self, name: str, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> str:
        """Multiply hidden states, (1, B, inputs), by (inputs, outputs) and add a bias."""
        if self.weights != "int8":
            product = self.add("MatMul", x, self.floats(f"{name}_weight", weight))
        else:
            largest = np.abs(weight).max(axis=0)
            scale = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
            whole_weight = np.rint(weight / scale).astype(np.int8)
            whole_x = self.add("QuantizeLinear", x, "hidden_scale", "hidden_zero")
            sums = self.add(
                "MatMulInteger",
                whole_x,
                self.constant(f"{name}_weight", whole_weight),
                "hidden_zero",
            )
            product = self.add(
                "Mul",
                self.add("Cast", sums, to=TensorProto.FLOAT),
                self.constant(f"{name}_scale", scale * _HIDDEN_SCALE),
            )
        return self.add("Add", product, self.constant(f"{name}_bias", bias))


def _model(arrays: _Arrays, cell: str, layers: int, weights: str) -> onnx.ModelProto:
    size, hidden = arrays["output.weight"].shape
    g = _Graph(weights)
    if weights == "int8":
        g.constant("hidden_scale", _HIDDEN_SCALE)
        g.constant("hidden_zero", np.uint8(128))
    if cell == "gru":
        g.constant("split_last", np.array([2 * hidden, hidden]))
    states = [f"state_{n}" for n in range({"gru": 1, "lstm": 2}[cell])]
    parts = [g.add_many("Split", state, outputs=layers, axis=0) for state in states]

    x, ends = "ids", []
    for layer, before in enumerate(zip(*parts, strict=True)):  # (1, B, H) each
        weight = arrays[f"rnn.weight_ih_l{layer}"].T
        bias = arrays[f"rnn.bias_ih_l{layer}"]
        if layer == 0:  # a row for each id, the last for "no event yet"
            rows = np.concatenate((weight, np.zeros((1, weight.shape[1]), np.float32))) + bias
            gates_x = g.add("Gather", g.floats("table", rows), x)  # (B, gates)
        else:
            gates_x = g.linear(f"input_{layer}", x, weight, bias)  # (1, B, gates)
        weight = arrays[f"rnn.weight_hh_l{layer}"].T
        bias = arrays[f"rnn.bias_hh_l{layer}"]
        gates_h = g.linear(f"hidden_{layer}", before[0], weight, bias)
        cell_step = {"gru": _gru, "lstm": _lstm}[cell]
        ends.append(cell_step(g, gates_x, gates_h, before[-1]))
        x = ends[-1][0]
    logits = g.linear("output", x, arrays["output.weight"].T, arrays["output.bias"])
    g.add("Squeeze", logits, g.constant("first_axis", np.array([0])), name="logits")
    for number, end in enumerate(zip(*ends, strict=True)):
        g.add("Concat", *end, name=f"next_{number}", axis=0)

    state_shape = [layers, "B", hidden]
    built = helper.make_graph(
        g.nodes,
        "espressivo",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B"]),
            *(_float(name, state_shape) for name in states),
        ],
        [
            _float("logits", ["B", size]),
            *(_float(f"next_{n}", state_shape) for n in range(len(states))),
        ],
        g.stored,
    )
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(built, opset_imports=[opset], ir_version=_IR_VERSION)


def _gru(g: _Graph, gates_x: str, gates_h: str, h: str) -> list[str]:
    """Add a GRU step as `torch.nn.GRU` defines it: gates r, z, n, the reset after the product."""
    x_rz, x_n = g.add_many("Split", gates_x, "split_last", outputs=2, axis=-1)
    h_rz, h_n = g.add_many("Split", gates_h, "split_last", outputs=2, axis=-1)
    rz = g.add("Sigmoid", g.add("Add", x_rz, h_rz))
    r, z = g.add_many("Split", rz, outputs=2, axis=-1)
    n = g.add("Tanh", g.add("Add", x_n, g.add("Mul", r, h_n)))
    return [g.add("Add", n, g.add("Mul", z, g.add("Sub", h, n)))]


def _lstm(g: _Graph, gates_x: str, gates_h: str, c: str) -> list[str]:
    """Add an LSTM step as `torch.nn.LSTM` defines it: gates i, f, g, o."""
    gates = g.add("Add", gates_x, gates_h)
    a_i, a_f, a_g, a_o = g.add_many("Split", gates, outputs=4, axis=-1)
    i, f, o = (g.add("Sigmoid", a) for a in (a_i, a_f, a_o))
    cell = g.add("Add", g.add("Mul", f, c), g.add("Mul", i, g.add("Tanh", a_g)))
    return [g.add("Mul", o, g.add("Tanh", cell)), cell]


def _float(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
