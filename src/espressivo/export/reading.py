"""Reading back: a model file becomes a network again, from which training goes on.

A graph holds all of a network's weights, most of them transposed, under names of its own (those in
the branch of a note-wise network after ``then_``). With ``W`` for a name below, a weight is stored
as ``W`` in 32 bits, as ``W_half`` in 16, and a matrix in 8 bits as the whole numbers ``W`` times
the scale of each column, ``W`` with ``_scale`` instead of ``_weight``, times 127.

==================  ================================================================================
in the graph        in the network
==================  ================================================================================
table               ``rnn.weight_ih_l0`` with ``rnn.bias_ih_l0`` added, which alone is the last row
hidden_0, input_1   ``rnn.weight_hh_l0``, ``rnn.weight_ih_l1`` and their biases
embedding, output   the same; ``norm``, ``controls_weight`` and ``fill_weight`` too
block_0_...         ``blocks.0.`` with ``norm_memory``, ``norm``, ``widen``, ``narrow``, and of its
                    memory ``taps``, ``project``, ``rates``, ``output`` and, as ``norm_heads``, norm
heads               all of ``heads``, one after another
prefix              ``known``, but for ids that complete an event, whose rows nothing reads
code, inward        ``pointers.code``, but for the rows of nothing, which are never read, and
                    ``pointers.inward``
heads_beside        ``pointers.heads``
gates, steps        the same, with zeros for the fields that are not pointed at; of steps those that
                    are not known yet are zeros, as they are never read
kernels             for each field, number and id the kernel's value at the distance of the two
==================  ================================================================================

What nothing reads is zero in the network. So a network that is read back predicts what its file
does, and exporting it again gives the same numbers but for the last digits of scales.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from espressivo.codes import FIELDS, VIEWS, Vocabulary
from espressivo.engine import Engine
from espressivo.errors import CodecError, ModelError, TrainingError
from espressivo.export.builder import Arrays
from espressivo.networks import (
    POINTED,
    Notewise,
    Pointing,
    Pretrained,
    RecurrentConfig,
    StackConfig,
    build,
    config_from_dict,
)

__all__ = ["read_back"]

_HIDDEN_SCALE = np.float32(127)  # by which the scales of columns are stored too small


def read_back(engine: Engine) -> Pretrained:
    """Read the network of a model file.

    Parameters
    ----------
    engine : Engine
        The model file, loaded. Its weights in 8 bits are within half a step of those that it was
        made from.

    Returns
    -------
    Pretrained
        In eval mode; its network has no dropout.

    Raises
    ------
    ModelError
        If it is of an earlier format, in which weights have other names.
    """
    graph = onnx.load_from_string(engine.content).graph
    sizes = {name: size for name, size in engine.network.items() if name != "weights"}
    try:
        config = config_from_dict(sizes)
        network = build(config, engine.vocabulary)
        weights = _Weights(graph)
        if isinstance(config, RecurrentConfig):
            arrays = _recurrent(weights, config)
        else:
            arrays = _stack(weights, config)
        if isinstance(network, Notewise):
            arrays |= _notewise(weights, engine.vocabulary.size)
            if network.config.pointers:
                arrays |= _pointers(weights, network.pointers, engine.vocabulary)
        tensors = {name: torch.from_numpy(np.array(a, np.float32)) for name, a in arrays.items()}
        network.load_state_dict(tensors)
    except (CodecError, KeyError, RuntimeError, TrainingError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the weights of model {engine.card.get('name')!r} cannot be read back ({reason}): "
            "export the run that it was made from again"
        ) from None
    return Pretrained(network.eval(), engine.vocabulary, dict(engine.card))


class _Weights:
    """The weights of a graph and of the branch in it, by name."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        stored = list(graph.initializer)
        for node in graph.node:
            stored += [
                tensor
                for attribute in node.attribute
                if attribute.name == "then_branch"
                for tensor in attribute.g.initializer
            ]
        self._stored = {tensor.name.removeprefix("then_"): tensor for tensor in stored}

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Return a weight as the graph has it; `KeyError` if it is missing."""
        half = f"{name}_half"
        tensor = self._stored[half if half in self._stored else name]
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.int8:
            scale = self[f"{name.removesuffix('_weight')}_scale"]
            return np.asarray(array.astype(np.float32) * (scale * _HIDDEN_SCALE))
        return array.astype(np.float32)


def _recurrent(weights: _Weights, config: RecurrentConfig) -> Arrays:
    table = weights["table"]
    arrays = {"rnn.weight_ih_l0": (table[:-1] - table[-1]).T, "rnn.bias_ih_l0": table[-1]}
    for layer in range(config.layers):
        arrays[f"rnn.weight_hh_l{layer}"] = weights[f"hidden_{layer}_weight"].T
        arrays[f"rnn.bias_hh_l{layer}"] = weights[f"hidden_{layer}_bias"]
        if layer:
            arrays[f"rnn.weight_ih_l{layer}"] = weights[f"input_{layer}_weight"].T
            arrays[f"rnn.bias_ih_l{layer}"] = weights[f"input_{layer}_bias"]
    return arrays | _output(weights)


def _output(weights: _Weights) -> Arrays:
    return {"output.weight": weights["output_weight"].T, "output.bias": weights["output_bias"]}


def _stack(weights: _Weights, config: StackConfig) -> Arrays:
    arrays = {"embedding.weight": weights["embedding"], "norm.weight": weights["norm"]}
    if config.controls:
        arrays["controls.weight"] = weights["controls_weight"].T
    if config.fill:
        arrays["fill.weight"] = weights["fill_weight"].T
    for number, kind in enumerate(config.pattern):
        inside, block = f"blocks.{number}.", f"block_{number}_"
        for name in ("norm_memory", "norm"):
            arrays[f"{inside}{name}.weight"] = weights[block + name]
        for name in ("widen", "narrow", "memory.project", "memory.output"):
            stored = f"{block}{name.removeprefix('memory.')}_weight"
            arrays[f"{inside}{name}.weight"] = weights[stored].T
        if kind == "d":
            arrays[f"{inside}memory.taps"] = weights[f"{block}taps"]
            arrays[f"{inside}memory.rates.weight"] = weights[f"{block}rates"].T
            arrays[f"{inside}memory.rates.bias"] = weights[f"{block}rates_bias"]
            arrays[f"{inside}memory.norm.weight"] = weights[f"{block}norm_heads"]
    return arrays | _output(weights)


def _notewise(weights: _Weights, size: int) -> Arrays:
    arrays = {"known.weight": weights["prefix"][:size]}
    parts = (("weight", weights["heads_weight"].T), ("bias", weights["heads_bias"]))
    for part, every in parts:
        for number, one in enumerate(np.split(every, len(FIELDS))):
            arrays[f"heads.{number}.{part}"] = one
    return arrays


def _pointers(weights: _Weights, part: Pointing, vocabulary: Vocabulary) -> Arrays:
    fields, views = len(FIELDS), len(VIEWS)
    gates = weights["gates"].T
    steps = weights["steps"].reshape(fields, views, -1)
    return {
        "pointers.code.weight": weights["code"],
        "pointers.inward.weight": weights["inward"].T,
        "pointers.heads.weight": weights["heads_beside"].T,
        "pointers.gates": gates.reshape(fields, views, -1)[: len(POINTED)],
        "pointers.gate_steps": steps[: len(POINTED)],
        "pointers.kernels": _kernels(weights["kernels"], part, vocabulary).numpy(),
    }


def _kernels(stored: NDArray[np.float32], part: Pointing, v: Vocabulary) -> torch.Tensor:
    """Take the tables of all fields, one below another, among all ids, apart."""
    tables, begin = [], 0
    for kind in POINTED:
        end, first = begin + v.counts[kind] + 1, v.first[kind]
        table = stored[begin:end, first : first + v.counts[kind]]
        tables.append(torch.from_numpy(table.copy()))
        begin = end
    return part.kernels_of(tables)
