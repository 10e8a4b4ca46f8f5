"""A graph under construction: nodes and weights, in standard ONNX operators.

Weights in 8 bits are whole numbers within -64..64 with a scale for each column, and what they
multiply is rounded to 8 bits too, so sums are of whole numbers, exact in any order. The hidden
states of a GRU and of an LSTM lie within -1..1 and are rounded by one fixed scale; what runs
through a stack is rounded by the largest number of its row. So no row changes another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Arrays", "Graph", "Shapes", "float_value"]

Arrays = dict[str, NDArray[np.float32]]
"""Weights under their names in the network."""

Shapes = list[list[int | str]]
"""Of what a network remembers."""

_LARGEST = 64
"""Largest weight in 8 bits. Processors without 8-bit dot products (AVX2 before VNNI) add two
products in 16 signed bits, and 2 x 64 x 255 still fits."""
_HIDDEN_SCALE = np.float32(1 / 127)


class Graph:
    """Nodes and weights of a graph under construction, or of a branch of one.

    Parameters
    ----------
    weights : str
    prefix : str, optional
        What names begin with in a branch, so that they differ from those outside. A branch has
        its own constants: ONNX Runtime hands what it takes from outside over at every run.
    """

    def __init__(self, weights: str, prefix: str = "") -> None:
        self.weights, self.prefix = weights, prefix
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self.names: set[str] = set()

    @property
    def waits(self) -> bool:
        """Whether some rows wait, as in a branch: their states then stay as they are.

        Then there are ``waits`` and ``reads``, (B, 1), each 1 or 0, and ``reading``, bool.
        """
        return bool(self.prefix)

    def next_state(self, number: int) -> str:
        """Return the name of what a state is after this id."""
        return f"{self.prefix or 'next_'}{number}"

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        name = name or f"{self.prefix}{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def add_many(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; return their names."""
        name = f"{self.prefix}{kind.lower()}_{len(self.nodes)}"
        names = [f"{name}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def choose(self, condition: str, yes: Graph, no: Graph, shapes: Shapes) -> None:
        """Make the next states, of these shapes, those of one branch or the other."""
        chosen = {}
        for name, branch in (("then_branch", yes), ("else_branch", no)):
            outputs = [float_value(branch.next_state(n), shape) for n, shape in enumerate(shapes)]
            chosen[name] = helper.make_graph(branch.nodes, name, [], outputs, branch.stored)
        names = [self.next_state(n) for n in range(len(shapes))]
        self.nodes.append(helper.make_node("If", [condition], names, **chosen))

    def constant(self, name: str, array: NDArray[Any] | np.generic) -> str:
        """Store an array, once under each name; return the name in the graph."""
        name = self.prefix + name
        if name not in self.names:
            self.names.add(name)
            self.stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def reshape(self, x: str, *shape: int) -> str:
        """Give an array another shape, with one -1 for what is left."""
        return self.add("Reshape", x, self.shape(*shape))

    def shape(self, *sizes: int) -> str:
        """Store the shape that an array is given."""
        return self.constant("shape_" + "_".join(map(str, sizes)), np.array(sizes))

    def floats(self, name: str, array: NDArray[np.float32]) -> str:
        """Add weights, in 16 bits unless all are in 32; loading folds the cast."""
        if self.weights == "fp32":
            return self.constant(name, array)
        stored = self.constant(f"{name}_half", array.astype(np.float16))
        return self.add("Cast", stored, name=self.prefix + name, to=TensorProto.FLOAT)

    def linear(
        self,
        name: str,
        x: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
        *,
        bounded: bool = False,
    ) -> str:
        """Multiply rows of numbers by (inputs, outputs) and add a bias.

        `bounded` says that the numbers lie within -1..1.
        """
        if self.weights != "int8":
            product = self.add("MatMul", x, self.floats(f"{name}_weight", weight))
        else:
            product = self._whole_product(name, x, weight, bounded)
        return (
            product
            if bias is None
            else self.add("Add", product, self.constant(f"{name}_bias", bias))
        )

    def layer(self, arrays: Arrays, name: str, x: str) -> str:
        """Multiply and add as `torch.nn.Linear` does, whose weights stand under its name."""
        weight = np.ascontiguousarray(arrays[f"{name}.weight"].T)
        return self.linear(name, x, weight, arrays[f"{name}.bias"])

    def _whole_product(self, name: str, x: str, weight: NDArray[np.float32], bounded: bool) -> str:
        row_scale = None
        if not bounded:
            largest = self.add("ReduceMax", self.add("Abs", x), axes=[-1], keepdims=1)
            some = self.add("Max", largest, self.constant("tiny", np.float32(1e-20)))
            x, row_scale = self.add("Div", x, some), some
        zero = self.constant("whole_zero", np.uint8(128))
        whole = self.add("QuantizeLinear", x, self.constant("whole_scale", _HIDDEN_SCALE), zero)
        largest_weight = np.abs(weight).max(axis=0)
        scale = np.where(largest_weight > 0, largest_weight / _LARGEST, 1).astype(np.float32)
        stored = self.constant(f"{name}_weight", np.rint(weight / scale).astype(np.int8))
        sums = self.add("MatMulInteger", whole, stored, zero)
        product = self.add(
            "Mul",
            self.add("Cast", sums, to=TensorProto.FLOAT),
            self.constant(f"{name}_scale", scale * _HIDDEN_SCALE),
        )
        return product if row_scale is None else self.add("Mul", product, row_scale)


def float_value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    """Describe an input or output of floats."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
