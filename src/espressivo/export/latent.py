"""The space of passages as a model file: one graph that reads passages and lifts.

::

    events   int64   (passages, length, COARSE)   -1 for what is not there
    points   float32 (points, size)
    ->
    mean     float32 (passages, size)
    spread   float32 (passages, size)
    lift     float32 (points, length, ids)        of the first four fields, field after field
    summary  float32 (points, SUMMARY)            as `espressivo.latent` measures passages
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from espressivo.codes import COARSE, Vocabulary
from espressivo.engine import FORMAT
from espressivo.export.builder import Arrays, Graph, float_value
from espressivo.export.writing import described, write_model
from espressivo.latent import KIND
from espressivo.networks import LatentNetwork

__all__ = ["export_latent"]

_OPSET, _IR_VERSION = 17, 8
_LEAST_LOG, _MOST_LOG = -8.0, 4.0  # as in the network
_DIGITS = 5


def export_latent(
    network: LatentNetwork,
    vocabulary: Vocabulary,
    path: str | os.PathLike[str],
    *,
    described_by: Mapping[str, NDArray[Any] | Mapping[str, NDArray[Any]]],
    card: Mapping[str, Any],
) -> None:
    """Write a space of passages as a model file, its matrices in 16 bits, whole or not at all.

    Parameters
    ----------
    network : LatentNetwork
    vocabulary : Vocabulary
    path : path
        Replaced if it exists; the folder must exist.
    described_by : mapping
        ``directions`` (DIRECTIONS, size), ``near`` (any, size), ``middle`` (size,) and ``mixture``:
        ``weights`` (n,), ``means`` and ``spreads`` (n, size), as `espressivo.latent.Latent` uses
        them.
    card : mapping
        At least the keys of `CARD`.

    Raises
    ------
    ModelError
        If the card lacks a key.
    OSError
        If the file cannot be written.
    """
    arrays = {name: tensor.float().numpy() for name, tensor in network.state_dict().items()}
    g, c = Graph("fp16"), network.config
    _reader(g, arrays)
    _lift(g, arrays, c.anchors, c.anchor)
    _summary(g, arrays)
    ids = arrays["leave.bias"].size
    graph = helper.make_graph(
        g.nodes,
        "espressivo-latent",
        [
            helper.make_tensor_value_info(
                "events", TensorProto.INT64, ["passages", c.length, COARSE]
            ),
            float_value("points", ["points", c.size]),
        ],
        [
            float_value("mean", ["passages", c.size]),
            float_value("spread", ["passages", c.size]),
            float_value("lift", ["points", c.length, ids]),
            float_value("summary", ["points", c.summary]),
        ],
        g.stored,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    description = {
        "format": FORMAT,
        "kind": KIND,
        "vocabulary": vocabulary.to_dict(),
        "size": c.size,
        "length": c.length,
        **{name: _plain(value) for name, value in described_by.items()},
    }
    onnx.checker.check_model(model)
    write_model(path, model, described(path, description, card))


def _plain(value: Any) -> Any:
    """Return arrays as lists of numbers of a few digits."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return np.vectorize(lambda x: float(f"{x:.{_DIGITS}g}"))(np.asarray(value, float)).tolist()


def _silu(g: Graph, x: str) -> str:
    return g.add("Mul", x, g.add("Sigmoid", x))


def _reader(g: Graph, arrays: Arrays) -> None:
    """Add what `LatentNetwork.encode` does."""
    zero, one = g.constant("zero", np.int64(0)), g.constant("one", np.float32(1))
    missing = g.add("Less", "events", zero)
    there = g.add("Sub", one, g.add("Cast", missing, to=TensorProto.FLOAT))  # (B, T, fields)
    row = g.add("Max", "events", zero)
    rows = g.add("Gather", g.floats("embedding", arrays["embedding.weight"]), row)
    last, third = g.constant("last", np.array([-1])), g.constant("third", np.array([2]))
    second, first = g.constant("second", np.array([1])), g.constant("first", np.array([0]))
    seen = g.add("Mul", rows, g.add("Unsqueeze", there, last))
    x = g.add("ReduceSum", seen, third, keepdims=0)  # (B, T, width)
    real = g.add("ReduceMax", there, axes=[2], keepdims=1)  # (B, T, 1)
    count = g.add("Max", g.add("ReduceSum", real, second, keepdims=0), one)
    outputs, ends = _gru(g, arrays, g.add("Transpose", x, perm=[1, 0, 2]))
    mean_x = g.add("Div", g.add("ReduceSum", x, second, keepdims=0), count)
    apart = g.add("Mul", g.add("Sub", x, g.add("Unsqueeze", mean_x, second)), real)
    squares = g.add("ReduceSum", g.add("Mul", apart, apart), second, keepdims=0)
    some = g.constant("some", np.float32(1e-4))
    spread_x = g.add("Sqrt", g.add("Add", g.add("Div", squares, count), some))
    heard = g.add("ReduceSum", g.add("Mul", outputs, real), second, keepdims=0)
    both = [
        g.add("Squeeze", one_end, first) for one_end in g.add_many("Split", ends, outputs=2, axis=0)
    ]
    everything = g.add("Concat", mean_x, spread_x, g.add("Div", heard, count), *both, axis=-1)
    hidden = _silu(g, g.layer(arrays, "gather", everything))
    mean, log_variance = g.add_many("Split", g.layer(arrays, "point", hidden), outputs=2, axis=-1)
    g.add("Identity", mean, name="mean")
    low, high = g.constant("low", np.float32(_LEAST_LOG)), g.constant("high", np.float32(_MOST_LOG))
    half = g.add("Mul", g.add("Clip", log_variance, low, high), g.constant("half", np.float32(0.5)))
    g.add("Exp", half, name="spread")


def _gru(g: Graph, arrays: Arrays, x: str) -> tuple[str, str]:
    """Add a GRU that reads both ways, (T, B, width) -> (B, T, 2 hidden) and (2, B, hidden)."""
    sides = ("_l0", "_l0_reverse")
    hidden = arrays["read.weight_hh_l0"].shape[1]

    def stacked(kind: str) -> NDArray[np.float32]:
        return np.stack([_zrh(arrays[f"read.{kind}{side}"]) for side in sides])

    biases = np.concatenate((stacked("bias_ih"), stacked("bias_hh")), axis=1)
    out, ends = g.add_many(
        "GRU",
        x,
        g.floats("gru_w", stacked("weight_ih")),
        g.floats("gru_r", stacked("weight_hh")),
        g.constant("gru_b", biases),
        outputs=2,
        direction="bidirectional",
        hidden_size=hidden,
        linear_before_reset=1,
    )  # (T, 2, B, hidden)
    turned = g.add("Transpose", out, perm=[2, 0, 1, 3])
    shape = g.constant("merged", np.array([0, 0, 2 * hidden]))
    return g.add("Reshape", turned, shape), ends


def _zrh(gates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the gates of torch, which are r, z, h, into the order of ONNX."""
    r, z, h = np.split(gates, 3)
    return np.concatenate((z, r, h))


def _lift(g: Graph, arrays: Arrays, anchors: int, anchor: int) -> None:
    """Add what `LatentNetwork.lift` does."""
    hidden = _silu(g, g.layer(arrays, "spread_out", "points"))
    at = g.reshape(g.layer(arrays, "place", hidden), -1, anchors, anchor)
    along = g.add("MatMul", g.floats("between", arrays["between"]), at)  # (points, length, anchor)
    inner = _silu(g, g.layer(arrays, "enter", along))
    g.add("Identity", g.layer(arrays, "leave", inner), name="lift")


def _summary(g: Graph, arrays: Arrays) -> None:
    """Add what `LatentNetwork.summary` does, and shares of its scores."""
    hidden = _silu(g, g.layer(arrays, "sum_in", "points"))
    count = arrays["sum_out.bias"].size
    sizes = g.constant("summed", np.array([count - 12, 12]))
    numbers, scores = g.add_many(
        "Split", g.layer(arrays, "sum_out", hidden), sizes, outputs=2, axis=-1
    )
    g.add("Concat", numbers, g.add("Softmax", scores, axis=-1), name="summary", axis=-1)
