"""Export: a trained network becomes a model file, the one thing that playing needs.

A model file is one ONNX graph that reads events and carries the network's state::

    ids     int64   (T, B)             the size of the vocabulary stands for "no event yet"
    state_0 float32 (layers, B, H)     hidden states; zeros before any event
    state_1 float32 (layers, B, H)     cells, for an LSTM only
    ->
    logits  float32 (T, B, size)
    next_0, next_1                     the state after the last event

One step is T = 1. The input weights of the first layer are a table from which a row is taken; the
later layers project all steps at once; what remains is a loop (``Scan``) per layer around one
matrix product. Everything about the model stands as JSON in the metadata of the graph, under the
key `espressivo.engine.METADATA_KEY`.
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

__all__ = ["CARD", "export"]

CARD = ("name", "licence", "trained_on")
"""What a model card must say; it may say more, such as figures."""

_OPSET, _IR_VERSION = 17, 8
_GATES = {"gru": 3, "lstm": 4}
_Weights = dict[str, NDArray[np.float32]]


def export(
    network: Recurrent,
    vocabulary: Vocabulary,
    path: str | os.PathLike[str],
    *,
    card: dict[str, Any],
    half: bool = True,
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
    half : bool
        Store the weight matrices as 16-bit floats, which halves the file and rounds each weight
        by at most 0.05 %. The arithmetic is in 32 bits either way.

    Raises
    ------
    ModelError
        If the network does not fit the vocabulary, a weight is not finite (in 16 bits, if
        `half`), or the card lacks a key or holds what JSON cannot.
    OSError
        If the file cannot be written.
    """
    config = network.config
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
        "network": {"cell": config.cell, "hidden": config.hidden, "layers": config.layers},
        "card": {"espressivo": __version__, **card},
    }
    try:
        text = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: the card must hold plain JSON values: {error}") from None

    weights = {name: tensor.cpu().float().numpy() for name, tensor in network.state_dict().items()}
    stored = np.float16 if half else np.float32
    with np.errstate(over="ignore"):
        unusable = [
            n for n, array in weights.items() if not np.isfinite(array.astype(stored)).all()
        ]
    if unusable:
        raise ModelError(f"{path}: weights of {unusable[0]} are not finite: export an earlier one")
    model = _model(weights, config.cell, config.layers, half)
    helper.set_model_props(model, {METADATA_KEY: text})
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and weights of a graph under construction; every name begins with its prefix."""

    def __init__(self, prefix: str, half: bool) -> None:
        self.prefix, self.half = prefix, half
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        return self.add_many(kind, *inputs, outputs=1, **attributes)[0]

    def add_many(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [f"{self.prefix}{len(self.nodes)}_{kind.lower()}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def name(self, name: str, value: str) -> str:
        """Give a value a name that is seen from outside."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        return name

    def constant(self, name: str, array: NDArray[Any]) -> str:
        self.stored.append(numpy_helper.from_array(array, name))
        return name

    def matrix(self, name: str, array: NDArray[np.float32]) -> str:
        """Add a weight matrix, in 16 bits if so asked; the cast is folded when it is loaded."""
        if not self.half:
            return self.constant(name, array)
        stored = self.constant(f"{name}_half", array.astype(np.float16))
        self.nodes.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
        return name

    def linear(self, x: str, weight: str, bias: str) -> str:
        return self.add("Add", self.add("MatMul", x, weight), bias)


def _model(weights: _Weights, cell: str, layers: int, half: bool) -> onnx.ModelProto:
    size, hidden = weights["output.weight"].shape
    graph = _Graph("", half)
    graph.constant("split_last", np.array([hidden * (_GATES[cell] - 1), hidden]))
    graph.constant("split_all", np.full(_GATES[cell], hidden))
    graph.constant("split_two", np.array([hidden, hidden]))
    graph.constant("layer_axis", np.array([0]))
    states = [f"state_{n}" for n in range({"gru": 1, "lstm": 2}[cell])]

    x, ends = "ids", []
    for layer in range(layers):
        input_weight = weights[f"rnn.weight_ih_l{layer}"].T
        input_bias = weights[f"rnn.bias_ih_l{layer}"]
        if layer == 0:  # a row for each id, the last for "no event yet"
            rows = np.concatenate((input_weight, np.zeros((1, input_weight.shape[1]), np.float32)))
            gates_x = graph.add("Gather", graph.matrix("table", rows + input_bias), x)
        else:
            matrix = graph.matrix(f"weight_ih_{layer}", input_weight)
            gates_x = graph.linear(x, matrix, graph.constant(f"bias_ih_{layer}", input_bias))
        graph.matrix(f"weight_hh_{layer}", weights[f"rnn.weight_hh_l{layer}"].T)
        graph.constant(f"bias_hh_{layer}", weights[f"rnn.bias_hh_l{layer}"])
        index = graph.constant(f"layer_{layer}", np.array(layer))
        starts = [graph.add("Gather", state, index) for state in states]  # (B, H) each
        *end, x = graph.add_many(
            "Scan",
            *starts,
            gates_x,
            outputs=len(states) + 1,
            body=_cell(cell, layer, hidden),
            num_scan_inputs=1,
        )
        ends.append([graph.add("Unsqueeze", part, "layer_axis") for part in end])
    matrix = graph.matrix("output_weight", weights["output.weight"].T)
    graph.name(
        "logits", graph.linear(x, matrix, graph.constant("output_bias", weights["output.bias"]))
    )
    for number, parts in enumerate(zip(*ends, strict=True)):
        graph.name(f"next_{number}", graph.add("Concat", *parts, axis=0))

    state_shape = [layers, "B", hidden]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", "B"])
    built = helper.make_graph(
        graph.nodes,
        "espressivo",
        [ids, *(_float(name, state_shape) for name in states)],
        [
            _float("logits", ["T", "B", size]),
            *(_float(f"next_{n}", state_shape) for n in range(len(states))),
        ],
        graph.stored,
    )
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(built, opset_imports=[opset], ir_version=_IR_VERSION)


def _cell(cell: str, layer: int, hidden: int) -> onnx.GraphProto:
    """Return one step of a layer: its state and the projected input -> its state, twice."""
    body = _Graph(f"layer_{layer}_", half=False)
    gates_x, h, c = (f"layer_{layer}_{name}" for name in ("gates_x", "h", "c"))
    gates_h = body.linear(h, f"weight_hh_{layer}", f"bias_hh_{layer}")
    before = [h] if cell == "gru" else [h, c]
    if cell == "gru":
        after = [_gru(body, gates_x, gates_h, h)]
    else:
        after = _lstm(body, gates_x, gates_h, c)
    after.append(body.add("Identity", after[0]))  # collected over the steps
    return helper.make_graph(
        body.nodes,
        f"layer_{layer}",
        [*(_float(name, ["B", hidden]) for name in before), _float(gates_x, ["B", "G"])],
        [_float(name, ["B", hidden]) for name in after],
    )


def _gru(g: _Graph, gates_x: str, gates_h: str, h: str) -> str:
    """Add a GRU step as `torch.nn.GRU` defines it: gates r, z, n, the reset after the product."""
    x_rz, x_n = g.add_many("Split", gates_x, "split_last", outputs=2, axis=-1)
    h_rz, h_n = g.add_many("Split", gates_h, "split_last", outputs=2, axis=-1)
    rz = g.add("Sigmoid", g.add("Add", x_rz, h_rz))
    r, z = g.add_many("Split", rz, "split_two", outputs=2, axis=-1)
    n = g.add("Tanh", g.add("Add", x_n, g.add("Mul", r, h_n)))
    return g.add("Add", n, g.add("Mul", z, g.add("Sub", h, n)))


def _lstm(g: _Graph, gates_x: str, gates_h: str, c: str) -> list[str]:
    """Add an LSTM step as `torch.nn.LSTM` defines it: gates i, f, g, o."""
    gates = g.add("Add", gates_x, gates_h)
    a_i, a_f, a_g, a_o = g.add_many("Split", gates, "split_all", outputs=4, axis=-1)
    i, f, o = (g.add("Sigmoid", a) for a in (a_i, a_f, a_o))
    cell = g.add("Add", g.add("Mul", f, c), g.add("Mul", i, g.add("Tanh", a_g)))
    return [g.add("Mul", o, g.add("Tanh", cell)), cell]


def _float(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
