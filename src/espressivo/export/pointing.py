"""Pointers in a graph: the tables and operations of `espressivo.networks.Pointing`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from onnx import TensorProto

from espressivo.codes import FIELDS, POINTER_FIELDS, POINTER_NUMBERS, VIEWS, Vocabulary
from espressivo.export.builder import Arrays, Graph
from espressivo.networks import POINTED, Pointing

__all__ = ["add_code", "add_lift", "pointing_of"]


def pointing_of(arrays: Arrays, width: int, v: Vocabulary) -> Pointing:
    """Return the part of a network that reads pointers, by which its tables are laid out."""
    part = Pointing(width, v)
    part.load_state_dict(
        {
            name.removeprefix("pointers."): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith("pointers.")
        }
    )
    return part.requires_grad_(False)


def _said(g: Graph, name: str, columns: Iterable[int]) -> str:
    """Return what all views say in some columns, (B, views * columns), as whole numbers."""
    places = [
        view * len(POINTER_FIELDS) + column for view in range(len(VIEWS)) for column in columns
    ]
    said = g.add("Gather", "pointers", g.constant(name, np.array(places)), axis=1)
    return g.add("Cast", said, to=TensorProto.INT64)


def add_code(g: Graph, pointing: Pointing) -> str:
    """Add `Pointing.embedded`, (B, numbers of the code)."""
    rows = pointing.code_rows.numpy()
    said = _said(g, "code_columns", range(rows.shape[1]))
    place = g.add("Add", said, g.constant("code_rows", rows.reshape(-1)))
    table = g.floats("code", pointing.table().numpy())
    axis = g.constant("second_axis", np.array([1]))
    return g.add("ReduceSum", g.add("Gather", table, place), axis, keepdims=0)


def add_lift(g: Graph, pointing: Pointing, hidden: str, field: str, v: Vocabulary) -> str:
    """Add `Pointing.lifted` for the field of each row, (B, 1), among all ids, (B, size).

    All fields are in each table; those that are not pointed at have zeros there.
    """
    views, fields, none = len(VIEWS), len(FIELDS), len(FIELDS) - len(POINTED)
    gates = np.pad(pointing.gates.numpy(), ((0, none), (0, 0), (0, 0)))
    open_ = g.add("MatMul", hidden, g.floats("gates", gates.reshape(fields * views, -1).T))
    gate = g.add("GatherND", g.reshape(open_, -1, fields, views), field, batch_dims=1)
    steps = np.pad(pointing.steps().numpy(), ((0, none), (0, 0), (0, 0)))
    rows = np.arange(views)[:, None] * steps.shape[-1] + pointing.gate_rows.numpy()
    first = g.add("Mul", field, g.constant("steps_of_field", np.int64(views * steps.shape[-1])))
    columns = range(len(POINTER_FIELDS) - rows.shape[1], len(POINTER_FIELDS))
    said = g.add("Add", _said(g, "gate_columns", columns), first)
    place = g.add("Add", said, g.constant("gate_rows", rows.reshape(-1)))
    each = g.add("Gather", g.floats("steps", steps.reshape(-1)), place)
    axis = g.constant("third_axis", np.array([2]))
    each = g.add("ReduceSum", g.reshape(each, -1, views, rows.shape[1]), axis, keepdims=0)
    strength = g.add("Gather", "pointers", g.constant("last", np.array([POINTER_NUMBERS])), axis=1)
    gate = g.add("Mul", g.add("Add", gate, each), strength)  # (B, views)

    kernels = [pointing.kernel(number).numpy() for number in range(len(POINTED))]
    begin = np.cumsum([0, *map(len, kernels)])
    table = [
        np.pad(kernel, ((0, 0), (v.first[kind], v.size - v.first[kind] - kernel.shape[1])))
        for kind, kernel in zip(POINTED, kernels, strict=True)
    ] + [np.zeros((max(map(len, kernels)), v.size), np.float32)]
    begin = np.pad(begin, (0, none - 1), mode="edge")
    said = _said(g, "pointed_columns", range(fields))  # (B, views * fields)
    of_field = g.add("Transpose", g.reshape(said, -1, views, fields), perm=[0, 2, 1])
    pointed = g.add("GatherND", of_field, field, batch_dims=1)  # (B, views)
    pointed = g.add("Add", pointed, g.add("Gather", g.constant("kernel_begin", begin), field))
    lift = g.add("Gather", g.floats("kernels", np.concatenate(table)), pointed)
    product = g.add("MatMul", g.reshape(gate, -1, 1, views), lift)
    return g.reshape(product, -1, v.size)
