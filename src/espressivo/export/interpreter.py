"""Export of an interpreter: boosted trees and score readers become one graph, in a model file.

The graph reads the features of a score and gives the standardised mean of each field::

    onsets, notes, beats, cells   float32 (rows, features)
    ->
    beat, interval, ...           float32 (rows, 1)
    beat_trees, ...               float32 (rows, 1), what the trees alone say

A field is a weighted sum of trees (`TreeEnsembleRegressor` of ONNX's ai.onnx.ml) and of the mean of
some score readers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from espressivo.engine import FORMAT
from espressivo.errors import ModelError
from espressivo.export.builder import Arrays, Graph, float_value
from espressivo.export.writing import described, write_model
from espressivo.interpreter import FIELDS, KIND, ROWS

__all__ = ["FieldParts", "ReaderPart", "export_interpreter"]

_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 8
_LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class ReaderPart:
    """A trained score reader: its weights by name, and the fields that it gives."""

    arrays: Arrays
    fields: tuple[str, ...]


@dataclass(frozen=True)
class FieldParts:
    """What a field's mean is made of.

    Parameters
    ----------
    trees : list of dict
        Each as LightGBM's ``dump_model()["tree_info"]`` has it.
    trees_weight, readers_weight : float
    """

    trees: Sequence[Mapping[str, Any]]
    trees_weight: float
    readers_weight: float


def export_interpreter(
    path: str | os.PathLike[str],
    *,
    fields: Mapping[str, FieldParts],
    readers: Sequence[ReaderPart],
    features: Mapping[str, Sequence[str]],
    description: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    """Write an interpreter as a model file, whole or not at all.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    fields : mapping of str to FieldParts
        Of all `espressivo.interpreter.FIELDS`.
    readers : sequence of ReaderPart
        Several that give a field are averaged. All fields of one are of the same rows.
    features : mapping of str to sequence of str
        Names of the columns of each of the inputs.
    description : mapping
        ``spreads``, ``draws`` and ``levels``, as `espressivo.interpreter.Interpreter` reads them.
    card : mapping
        At least ``name``, ``licence`` and ``trained_on``.

    Raises
    ------
    ModelError
        If the card lacks a key, or a field its parts.
    OSError
        If the file cannot be written.
    """
    if missing := [name for name in FIELDS if name not in fields]:
        raise ModelError(f"{path}: nothing gives {', '.join(missing)}")
    g = Graph("fp16")
    given: dict[str, list[str]] = {}
    for number, reader in enumerate(readers):
        out = _reader(g, f"reader{number}_", reader.arrays, ROWS[reader.fields[0]])
        columns = g.add_many("Split", out, outputs=len(reader.fields), axis=1)
        for name, column in zip(reader.fields, columns, strict=True):
            given.setdefault(name, []).append(column)
    for name in FIELDS:
        parts, terms = fields[name], []
        alone = _trees(g, name, parts.trees)
        weight = np.float32(parts.trees_weight)
        terms.append(g.add("Mul", alone, g.constant(f"{name}_trees_weight", weight)))
        if parts.readers_weight and name in given:
            total = g.add("Sum", *given[name])
            weight = np.float32(parts.readers_weight / len(given[name]))
            terms.append(g.add("Mul", total, g.constant(f"{name}_readers_weight", weight)))
        g.add("Sum", *terms, name=name)
    inputs = [float_value(rows, ["_" + rows, len(names)]) for rows, names in features.items()]
    outputs = [
        float_value(given_name, ["_" + ROWS[name], 1])
        for name in FIELDS
        for given_name in (name, f"{name}_trees")
    ]
    graph = helper.make_graph(g.nodes, "interpreter", inputs, outputs, g.stored)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    about = {
        "format": FORMAT,
        "kind": KIND,
        "features": {rows: list(names) for rows, names in features.items()},
        **description,
    }
    onnx.checker.check_model(model)
    write_model(path, model, described(path, about, card))


def _trees(g: Graph, name: str, trees: Sequence[Mapping[str, Any]]) -> str:
    """Add boosted trees that read the rows of a field; return their sum, (rows, 1)."""
    columns: dict[str, list[Any]] = {
        key: []
        for key in (
            "nodes_treeids nodes_nodeids nodes_featureids nodes_modes nodes_values "
            "nodes_truenodeids nodes_falsenodeids "
            "target_treeids target_nodeids target_ids target_weights"
        ).split()
    }
    for tree, info in enumerate(trees):
        _add_tree(columns, tree, info["tree_structure"])
    return g.add(
        "TreeEnsembleRegressor",
        ROWS[name],
        name=f"{name}_trees",
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        **columns,
    )


def _add_tree(columns: dict[str, list[Any]], tree: int, root: Mapping[str, Any]) -> None:
    waiting = [root]
    placed = 1
    for node_id, node in enumerate(waiting):  # which grows as it is walked: breadth first
        columns["nodes_treeids"].append(tree)
        columns["nodes_nodeids"].append(node_id)
        if "leaf_value" in node:
            values = (0, "LEAF", 0.0, 0, 0)
            columns["target_treeids"].append(tree)
            columns["target_nodeids"].append(node_id)
            columns["target_ids"].append(0)
            columns["target_weights"].append(float(node["leaf_value"]))
        else:
            if node["decision_type"] != "<=":
                raise ModelError("trees must only ask whether a feature is at most a threshold")
            waiting += [node["left_child"], node["right_child"]]
            threshold = _rounded_down(float(node["threshold"]))
            values = (node["split_feature"], "BRANCH_LEQ", threshold, placed, placed + 1)
            placed += 2
        for key, value in zip(
            ("featureids", "modes", "values", "truenodeids", "falsenodeids"), values, strict=True
        ):
            columns[f"nodes_{key}"].append(value)


def _rounded_down(threshold: float) -> float:
    """Return the largest 32-bit number that is no larger: 32-bit features compare the same."""
    near = np.float32(threshold)
    return float(near if near <= threshold else np.nextafter(near, np.float32(-np.inf)))


def _reader(g: Graph, prefix: str, arrays: Arrays, rows: str) -> str:
    """Add an `espressivo.networks.ScoreReader`; return its fields, (rows, fields)."""

    def weight(name: str) -> str:
        return g.floats(prefix + name, arrays[name].T)

    def bias(name: str) -> str:
        return g.constant(prefix + name, arrays[name])

    x = g.add("Sub", rows, bias("centre"))
    x = g.add("Div", x, bias("scale"))
    low, high = g.constant("lowest", np.float32(-4)), g.constant("highest", np.float32(4))
    x = g.add("Clip", x, low, high)
    x = g.add("Add", g.add("MatMul", x, weight("enter.weight")), bias("enter.bias"))
    x = g.add(
        "LayerNormalization",
        x,
        bias("norm.weight"),
        bias("norm.bias"),
        axis=-1,
        epsilon=_LAYER_NORM_EPSILON,
    )
    entered = g.add("Relu", x)
    axis = g.constant("axis_1", np.array([1]))
    h = g.add("Unsqueeze", entered, axis)  # (T, 1, width): time first
    layer = 0
    while f"read.weight_ih_l{layer}" in arrays:
        h = _gru(g, prefix, arrays, layer, h)
        layer += 1
    h = g.add("Squeeze", h, axis)
    x = g.add("Concat", h, entered, axis=1)
    x = g.add("Add", g.add("MatMul", x, weight("combine.weight")), bias("combine.bias"))
    x = g.add("Relu", x)
    return g.add("Add", g.add("MatMul", x, weight("leave.weight")), bias("leave.bias"))


def _gru(g: Graph, prefix: str, arrays: Arrays, layer: int, x: str) -> str:
    """Add a GRU that reads both ways, (T, 1, inputs) -> (T, 1, 2 hidden)."""
    sides = [f"_l{layer}", f"_l{layer}_reverse"]
    hidden = arrays[f"read.weight_hh_l{layer}"].shape[1]

    def stacked(kind: str) -> NDArray[np.float32]:
        return np.stack([_zrh(arrays[f"read.{kind}{side}"]) for side in sides])

    name = f"{prefix}gru{layer}"
    biases = np.concatenate((stacked("bias_ih"), stacked("bias_hh")), axis=1)
    out, _ = g.add_many(
        "GRU",
        x,
        g.floats(f"{name}_w", stacked("weight_ih")),
        g.floats(f"{name}_r", stacked("weight_hh")),
        g.constant(f"{name}_b", biases),
        outputs=2,
        direction="bidirectional",
        hidden_size=hidden,
        linear_before_reset=1,
    )  # (T, 2, 1, hidden)
    return g.reshape(g.add("Transpose", out, perm=[0, 2, 1, 3]), -1, 1, 2 * hidden)


def _zrh(gates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the gates of torch, which are r, z, h, into the order of ONNX."""
    r, z, h = np.split(gates, 3)
    return np.concatenate((z, r, h))
