"""Graphs: each network, one read of an id at a time, in standard ONNX operators.

A graph reads an id in each row and carries the network's state::

    ids       int64   (B)              the size of the vocabulary stands for "nothing yet"
    controls  float32 (B, controls)    what is requested, for a network that can be steered; then,
                                       for one that can fill, what `espressivo.codes.fill_numbers`
                                       makes of the event read
    pointers  float32 (B, 3 * 9 + 1)   what pointers say (`espressivo.codes`), and how strongly they
                                       lift logits (1: as learned), for a network that reads them
    state_0   float32 (layers, B, ...) what the network remembers; zeros before any id
    state_1   ...                      as many as the network has
    ->
    logits    float32 (B, size)        of the next id
    next_0, next_1, ...                the state after this one

A note-wise network reads whole events, yet its graph reads their ids one by one: the blocks run
only where an id completes an event in some row, and the other rows keep what they remember.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from espressivo.codes import FIELDS, FILL_NUMBERS, POINTER_NUMBERS, Vocabulary, following
from espressivo.engine import TAPE_ROOM
from espressivo.export.builder import Arrays, Graph, Shapes, float_value
from espressivo.export.pointing import add_code, add_lift, pointing_of
from espressivo.networks import EPSILON, NEVER, TAPS, NetworkConfig, StackConfig, rotation

__all__ = ["step_graph"]

_BOOL = TensorProto.BOOL
_OPSET, _IR_VERSION = 17, 8


def step_graph(
    arrays: Arrays, config: NetworkConfig, vocabulary: Vocabulary, weights: str
) -> onnx.ModelProto:
    """Return the graph of a network, its weights stored as `espressivo.export.export` says."""
    g = Graph(weights)
    if not isinstance(config, StackConfig):
        states = _recurrent(g, arrays, config.cell, config.layers)
    elif config.notewise:
        states = _notewise(g, arrays, config, vocabulary)
    else:
        states = _stack(g, arrays, config)
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["B"])]
    beside = config.controls + FILL_NUMBERS * ("fill" in config.sides)
    if beside:
        inputs.append(float_value("controls", ["B", beside]))
    if "pointers" in config.sides:
        inputs.append(float_value("pointers", ["B", POINTER_NUMBERS + 1]))
    inputs += [float_value(f"state_{n}", shape) for n, shape in enumerate(states)]
    outputs = [float_value("logits", ["B", vocabulary.size])]
    gains = _gains(config, states) if isinstance(config, StackConfig) else states
    outputs += [float_value(f"next_{n}", shape) for n, shape in enumerate(gains)]
    built = helper.make_graph(g.nodes, "espressivo", inputs, outputs, g.stored)
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(built, opset_imports=[opset], ir_version=_IR_VERSION)


# --- GRU and LSTM ---------------------------------------------------------------------------------


def _recurrent(g: Graph, arrays: Arrays, cell: str, layers: int) -> Shapes:
    """Add a `Recurrent`, reading one id; return the shapes of its states."""
    hidden = arrays["output.weight"].shape[1]
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
            gates_x = g.linear(f"input_{layer}", x, weight, bias, bounded=True)  # (1, B, gates)
        weight = arrays[f"rnn.weight_hh_l{layer}"].T
        bias = arrays[f"rnn.bias_hh_l{layer}"]
        gates_h = g.linear(f"hidden_{layer}", before[0], weight, bias, bounded=True)
        add_cell = {"gru": _gru, "lstm": _lstm}[cell]
        ends.append(add_cell(g, gates_x, gates_h, before[-1]))
        x = ends[-1][0]
    logits = g.linear("output", x, arrays["output.weight"].T, arrays["output.bias"], bounded=True)
    g.add("Squeeze", logits, g.constant("first_axis", np.array([0])), name="logits")
    for number, end in enumerate(zip(*ends, strict=True)):
        g.add("Concat", *end, name=f"next_{number}", axis=0)
    return [[layers, "B", hidden] for _ in states]


def _gru(g: Graph, gates_x: str, gates_h: str, h: str) -> list[str]:
    """Add a GRU cell as `torch.nn.GRU` defines it: gates r, z, n, the reset after the product."""
    x_rz, x_n = g.add_many("Split", gates_x, "split_last", outputs=2, axis=-1)
    h_rz, h_n = g.add_many("Split", gates_h, "split_last", outputs=2, axis=-1)
    rz = g.add("Sigmoid", g.add("Add", x_rz, h_rz))
    r, z = g.add_many("Split", rz, outputs=2, axis=-1)
    n = g.add("Tanh", g.add("Add", x_n, g.add("Mul", r, h_n)))
    return [g.add("Add", n, g.add("Mul", z, g.add("Sub", h, n)))]


def _lstm(g: Graph, gates_x: str, gates_h: str, c: str) -> list[str]:
    """Add an LSTM cell as `torch.nn.LSTM` defines it: gates i, f, g, o."""
    gates = g.add("Add", gates_x, gates_h)
    a_i, a_f, a_g, a_o = g.add_many("Split", gates, outputs=4, axis=-1)
    i, f, o = (g.add("Sigmoid", a) for a in (a_i, a_f, a_o))
    cell = g.add("Add", g.add("Mul", f, c), g.add("Mul", i, g.add("Tanh", a_g)))
    return [g.add("Mul", o, g.add("Tanh", cell)), cell]


# --- stack ----------------------------------------------------------------------------------------


def _stack(g: Graph, arrays: Arrays, c: StackConfig) -> Shapes:
    """Add a `Stack`, reading one id; return the shapes of its states."""
    x = g.add("Gather", g.floats("embedding", arrays["embedding.weight"]), "ids")  # (B, width)
    made = _blocks(g, arrays, x, c)
    logits = g.linear("output", made, arrays["output.weight"].T, arrays["output.bias"])
    g.add("Identity", logits, name="logits")
    return _block_states(c)


def _block_states(c: StackConfig) -> Shapes:
    """Return the shapes of what the blocks remember.

    Each block has states of its own, two of them, so that nothing need be cut or put together.
    After them come how many positions of the tapes of attention are written, and the angles of the
    present place, if there is any.
    """
    each = c.width // c.heads
    memory: list[int | str] = [1, "B", c.heads, each, each]
    cache: list[int | str] = [1, "B", c.heads, c.window + TAPE_ROOM, each]
    taps: list[int | str] = [1, "B", TAPS - 1, c.width]
    kinds = {"d": [memory, taps], "a": [cache, cache]}
    shapes = [shape for kind in c.pattern for shape in kinds[kind]]
    return [*shapes, [1, "B", 1], [1, "B", each]] if "a" in c.pattern else shapes


def _gains(c: StackConfig, shapes: Shapes) -> Shapes:
    """Return the shapes of what a graph gives of states: of a cache the position that it gains."""
    caches = {2 * n + part for n, kind in enumerate(c.pattern) if kind == "a" for part in (0, 1)}
    gained: list[int | str] = [1, "B", c.heads, 1, c.width // c.heads]
    return [gained if n in caches else shape for n, shape in enumerate(shapes)]


def _blocks(g: Graph, arrays: Arrays, x: str, c: StackConfig) -> str:
    """Add the blocks, which read embeddings, (B, width); return what they make of them, alike."""
    requested, filling = "controls", "controls"
    if c.controls and c.fill:
        sizes = g.constant("controls_and_fill", np.array([c.controls, FILL_NUMBERS]))
        requested, filling = g.add_many("Split", "controls", sizes, outputs=2, axis=-1)
    if c.controls:
        weight = g.floats("controls_weight", arrays["controls.weight"].T)
        x = g.add("Add", x, g.add("MatMul", requested, weight))
    told = []
    if c.fill:
        weight = g.floats("fill_weight", arrays["fill.weight"].T)
        every = g.add("MatMul", filling, weight)
        told = g.add_many("Split", every, outputs=len(c.pattern), axis=-1)
    count = 2 * len(c.pattern)
    seen = _place(g, count, count + 1, c) if "a" in c.pattern else ""
    for number, kind in enumerate(c.pattern):
        w = {
            name.removeprefix(f"blocks.{number}."): array
            for name, array in arrays.items()
            if name.startswith(f"blocks.{number}.")
        }
        name = f"block_{number}"
        x = g.add("Add", x, told[number]) if told else x
        normed = _norm(g, f"{name}_norm_memory", x, w["norm_memory.weight"])
        own = [2 * number, 2 * number + 1]
        if kind == "d":
            recalled = _delta(g, name, normed, own, w, c)
        else:
            recalled = _attention(g, name, normed, own, seen, w, c)
        x = g.add("Add", x, recalled)
        wide = g.linear(
            f"{name}_widen", _norm(g, f"{name}_norm", x, w["norm.weight"]), w["widen.weight"].T
        )
        gate, up = g.add_many("Split", wide, outputs=2, axis=-1)
        made = g.add("Mul", _silu(g, gate), up)
        x = g.add("Add", x, g.linear(f"{name}_narrow", made, w["narrow.weight"].T))
    return _norm(g, "norm", x, arrays["norm.weight"])


def _delta(g: Graph, name: str, x: str, states: list[int], w: Arrays, c: StackConfig) -> str:
    """Add a memory by the gated delta rule, (B, width), with states of these numbers.

    The memory is by far the largest array, so it is read as seldom as can be: query and key are
    recalled from it together, and what the query recalls of the change is added to that.
    """
    heads, each = c.heads, c.width // c.heads
    memory, before = (f"state_{n}" for n in states)  # (1, B, ...)
    seen = g.add("Concat", before, g.reshape(x, 1, -1, 1, c.width), axis=2)  # (1, B, 4, width)
    tapped = g.add("Mul", seen, g.constant(f"{name}_taps", w["memory.taps"]))
    mixed = g.reshape(
        g.add("ReduceSum", tapped, g.constant("third_axis", np.array([2])), keepdims=0),
        -1,
        c.width,
    )
    projected = g.linear(f"{name}_project", _silu(g, mixed), w["memory.project.weight"].T)
    q, k, v, gate = g.add_many("Split", projected, outputs=4, axis=-1)
    rates = g.add(
        "Add",
        g.add("MatMul", mixed, g.floats(f"{name}_rates", w["memory.rates.weight"].T)),
        g.constant(f"{name}_rates_bias", w["memory.rates.bias"]),
    )
    fading, rate = g.add_many("Split", rates, outputs=2, axis=-1)
    kept = g.add("Sigmoid", g.add("Neg", fading))
    rate = g.add("Sigmoid", rate)
    if g.waits:  # as it was, and nothing new: so is the product exactly
        kept, rate = g.add("Max", kept, "waits"), g.add("Mul", rate, "reads")
    kept, rate = (g.reshape(part, 1, -1, heads, 1, 1) for part in (kept, rate))
    q, k = (
        g.add("LpNormalization", g.reshape(part, 1, -1, heads, 1, each), axis=-1, p=2)
        for part in (q, k)
    )
    old = g.add("Mul", g.add("MatMul", g.add("Concat", k, q, axis=-2), memory), kept)
    k_old, q_old = g.add_many("Split", old, outputs=2, axis=-2)
    change = g.add("Mul", rate, g.add("Sub", g.reshape(v, 1, -1, heads, 1, each), k_old))
    outer = g.add("MatMul", g.reshape(k, 1, -1, heads, each, 1), change)
    g.add("Add", g.add("Mul", memory, kept), outer, name=g.next_state(states[0]))
    alike = g.add(
        "ReduceSum", g.add("Mul", q, k), g.constant("last_axis", np.array([-1])), keepdims=1
    )
    q_new = g.add("Add", q_old, g.add("Mul", alike, change))
    recalled = _norm(g, f"{name}_norm_heads", q_new, w["memory.norm.weight"])
    y = g.add("Mul", g.reshape(recalled, -1, c.width), _silu(g, gate))
    _forget_first(g, seen, states[1])
    return g.linear(f"{name}_output", y, w["memory.output.weight"].T)


def _attention(
    g: Graph, name: str, x: str, states: list[int], seen: str, w: Arrays, c: StackConfig
) -> str:
    """Add attention over the window, (B, width), with states of these numbers.

    Keys are kept turned by their place in the music (`_place`), so only their places from one
    another count. The states are tapes, longer than the window: a graph gives the position that a
    tape gains, (1, B, heads, 1, each), and whoever runs it writes that behind the others, in place.
    A head stands apart from the others, so that products with it are of a single row or column.

    `seen` tells which positions of a tape are in the window, (B, 1, 1, positions).
    """
    heads, each, length = c.heads, c.width // c.heads, c.window + TAPE_ROOM
    projected = g.linear(f"{name}_project", x, w["memory.project.weight"].T)
    q, k, v = g.add_many("Split", projected, outputs=3, axis=-1)
    q, k = (_turned(g, g.reshape(part, -1, heads, each), "cos", "sin") for part in (q, k))
    for state, part in zip(states, (k, v), strict=True):
        g.add("Reshape", part, g.shape(1, -1, heads, 1, each), name=g.next_state(state))
    keys, values = (g.reshape(f"state_{n}", -1, heads, length, each) for n in states)
    scaled = g.add("Mul", q, g.constant("scale", np.float32(1 / np.sqrt(each))))
    q, k, v = (
        g.reshape(part, -1, heads, *size)
        for part, size in ((scaled, (each, 1)), (k, (1, each)), (v, (1, each)))
    )
    before = g.reshape(g.add("MatMul", keys, q), -1, heads, 1, length)
    before = g.add("Where", seen, before, g.constant("never", np.float32(-np.inf)))
    scores = g.add("Concat", before, g.add("MatMul", k, q), axis=-1)
    sizes = g.constant("length_and_one", np.array([length, 1]))
    before, now = g.add_many("Split", g.add("Softmax", scores, axis=-1), sizes, outputs=2, axis=-1)
    recalled = g.add("Add", g.add("MatMul", before, values), g.add("Mul", now, v))
    return g.linear(f"{name}_output", g.reshape(recalled, -1, c.width), w["memory.output.weight"].T)


def _place(g: Graph, real: int, place: int, c: StackConfig) -> str:
    """Add what all attention shares, with states of these numbers; return what is in the window.

    The states are how many positions of each tape are written, and the angles of the present
    place, as what their cosines and sines have above 1 and 0: each event turns them on, so that
    only the angles between places matter, however long the music is.
    """
    one = g.constant("one", np.float32(1))
    window = g.constant("window", np.float32(c.window))
    g.add("Add", f"state_{real}", "reads" if g.waits else one, name=g.next_state(real))
    half = c.width // c.heads // 2
    last = g.reshape(f"state_{place}", -1, 1, 2 * half)
    cos, sin = g.add_many("Split", last, outputs=2, axis=-1)
    cos = g.add("Add", cos, one)
    turn_cos, turn_sin = (part.numpy()[1] for part in rotation(2, 2 * half))
    by = g.constant("turn_cos", turn_cos), g.constant("turn_sin", turn_sin)
    cos, sin = _turn(g, cos, sin, *by)
    size = g.add("Sqrt", g.add("Add", g.add("Mul", cos, cos), g.add("Mul", sin, sin)))
    cos = g.add("Div", cos, size, name=f"{g.prefix}cos")
    sin = g.add("Div", sin, size, name=f"{g.prefix}sin")
    after = g.reshape(g.add("Concat", g.add("Sub", cos, one), sin, axis=-1), 1, -1, 2 * half)
    if g.waits:
        g.add("Where", "reading", after, f"state_{place}", name=g.next_state(place))
    else:
        g.add("Identity", after, name=g.next_state(place))
    every = np.arange(c.window + TAPE_ROOM, dtype=np.float32)
    position, end = g.constant("positions", every), g.reshape(f"state_{real}", -1, 1, 1, 1)
    begun = g.add("GreaterOrEqual", position, g.add("Sub", end, window))
    return g.add("And", begun, g.add("Less", position, end))


def _forget_first(g: Graph, positions: str, state: int) -> None:
    """Leave the oldest position, of the third axis, out of what a state is next."""
    begin, end = np.array([1]), np.array([np.iinfo(np.int64).max])
    moved = g.add(
        "Slice",
        positions,
        g.constant("from_second", begin),
        g.constant("to_end", end),
        g.constant("third_axis", np.array([2])),
        name=None if g.waits else g.next_state(state),
    )
    if g.waits:
        where = g.reshape("reading", 1, -1, 1, 1)
        g.add("Where", where, moved, f"state_{state}", name=g.next_state(state))


def _turned(g: Graph, x: str, cos: str, sin: str) -> str:
    """Turn the pairs of (B, heads, D) by the angles of the present place."""
    one, two = g.add_many("Split", x, outputs=2, axis=-1)
    return g.add("Concat", *_turn(g, one, two, f"{g.prefix}{cos}", f"{g.prefix}{sin}"), axis=-1)


def _turn(g: Graph, one: str, two: str, cos: str, sin: str) -> tuple[str, str]:
    return (
        g.add("Sub", g.add("Mul", one, cos), g.add("Mul", two, sin)),
        g.add("Add", g.add("Mul", one, sin), g.add("Mul", two, cos)),
    )


def _norm(g: Graph, name: str, x: str, weight: NDArray[np.float32]) -> str:
    """Divide rows by the root of their mean square and multiply by weights."""
    mean = g.add("ReduceMean", g.add("Mul", x, x), axes=[-1], keepdims=1)
    root = g.add("Sqrt", g.add("Add", mean, g.constant("epsilon", np.float32(EPSILON))))
    return g.add("Mul", g.add("Div", x, root), g.constant(name, weight))


def _silu(g: Graph, x: str) -> str:
    return g.add("Mul", x, g.add("Sigmoid", x))


# --- note-wise ------------------------------------------------------------------------------------


def _notewise(g: Graph, arrays: Arrays, c: StackConfig, v: Vocabulary) -> Shapes:
    """Add a `Notewise`, reading one id; return the shapes of its states.

    After those of the blocks come what the heads make of the past, (1, B, fields * width), and
    the sums of the rows that the ids of the present event have in the tables of the prefix and of
    the embedding, each (1, B, width). An id that completes an event renews the first and clears
    the others.
    """
    shapes = _block_states(c)
    count = len(shapes)
    pointing = pointing_of(arrays, c.width, v) if c.pointers else None
    field, follower = following(v)
    incomplete = (field > 0).astype(np.float32)[:, None]  # after which an event is not complete
    waits = g.add("Gather", g.constant("incomplete", incomplete), "ids", name="waits")  # (B, 1)

    row = g.add("Gather", g.floats("embedding", arrays["embedding.weight"]), "ids")
    read = g.add("Add", f"state_{count + 2}", row)  # (1, B, width)
    g.add("Mul", read, waits, name=f"next_{count + 2}")
    rows = np.pad(arrays["known.weight"], ((0, 1), (0, 0))) * incomplete
    row = g.add("Gather", g.floats("prefix", rows), "ids")
    prefix = g.add("Mul", f"state_{count + 1}", waits)
    g.add("Add", prefix, row, name=f"next_{count + 1}")

    reading, waiting = Graph(g.weights, "then_"), Graph(g.weights, "else_")
    one = reading.constant("one", np.float32(1))
    reading.add("Cast", reading.add("Sub", one, waits, name="reads"), name="reading", to=_BOOL)
    x = reading.reshape(read, -1, c.width)
    if pointing is not None:
        code = add_code(reading, pointing)
        inward = reading.floats("inward", arrays["pointers.inward.weight"].T)
        x = reading.add("Add", x, reading.add("MatMul", code, inward))
    recalled = _blocks(reading, arrays, x, c)
    weight, bias = (
        np.concatenate([arrays[f"heads.{n}.{part}"] for n in range(len(FIELDS))])
        for part in ("weight", "bias")
    )
    new = reading.linear("heads", recalled, weight.T, bias)
    if pointing is not None:
        beside = reading.floats("heads_beside", arrays["pointers.heads.weight"].T)
        new = reading.add("Add", new, reading.add("MatMul", code, beside))
    reading.add("Where", "reading", new, f"state_{count}", name=reading.next_state(count))
    gains = _gains(c, shapes)
    for n, shape in enumerate(gains):  # which gives no rows, as none has changed
        none = np.zeros([0 if size == "B" else int(size) for size in shape], np.float32)
        waiting.add("Identity", waiting.constant(f"none_{n}", none), name=waiting.next_state(n))
    waiting.add("Identity", f"state_{count}", name=waiting.next_state(count))
    shapes.append([1, "B", len(FIELDS) * c.width])
    least = g.add("ReduceMin", waits, keepdims=0)
    some = g.add("Less", least, g.constant("one", np.float32(1)))
    g.choose(some, reading, waiting, [*gains, shapes[count]])
    shapes += [[1, "B", c.width]] * 2

    heads = g.reshape(f"next_{count}", -1, len(FIELDS), c.width)
    number = g.add("Gather", g.constant("field", field[:, None]), "ids")  # (B, 1)
    head = g.add("GatherND", heads, number, batch_dims=1)  # (B, width)
    prefix = g.reshape(f"next_{count + 1}", -1, c.width)
    hidden = _silu(g, g.add("Add", head, prefix))
    logits = g.linear("output", hidden, arrays["output.weight"].T, arrays["output.bias"])
    if pointing is not None:
        logits = g.add("Add", logits, add_lift(g, pointing, hidden, number, v))
    masks, number_of_mask = np.unique(follower, axis=0, return_inverse=True)
    mask = g.add("Gather", g.constant("mask_number", number_of_mask), "ids")
    can = g.add("Gather", g.constant("masks", masks), mask)  # (B, size)
    g.add("Where", can, logits, g.constant("impossible", np.float32(NEVER)), name="logits")
    return shapes
