"""On forced ids, the engine of the page predicts what Python's does, in a real browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import espressivo
from browsing import browser
from espressivo.codes import Controls, vocabulary
from espressivo.engine import METADATA_KEY, Engine, State
from espressivo.export import export
from played import played
from test_page_alone import host, site
from test_quotes import CARD, tiny

__all__ = ["browser", "host", "site"]  # fixtures

pytestmark = pytest.mark.slow

BUNDLED = Path(espressivo.__file__).parent / "models" / "espressivo.onnx"
PASSAGES, IDS = 20, 80
READ = """
  const [file, cases, done] = arguments;
  const read = async () => {
    const { Network } = await import("/engine/network.js");
    const runtime = await import("/onnxruntime/ort.js");
    const zipped = (await fetch("/onnxruntime/ort.wasm.gz")).body;
    const plain = new Response(zipped.pipeThrough(new DecompressionStream("gzip")));
    Object.assign(runtime.env.wasm, { numThreads: 1, wasmBinary: await plain.arrayBuffer() });
    const content = new Uint8Array(await (await fetch(file)).arrayBuffer());
    const network = await Network.open(content, file, runtime), found = [];
    for (const [ids, controls] of cases) {
      const state = await network.state(controls && Float32Array.from(controls));
      for (const id of ids) {
        await state.feed(id);
        found.push(btoa(String.fromCharCode(...new Uint8Array(state.logits.slice().buffer))));
      }
    }
    return found;
  };
  read().then(done, (error) => done(String(error)));"""


def unrounded(content: bytes) -> bytes:
    """Return a model that does not round what its layers pass on to whole numbers in 8 bits.

    Where two engines add in another order, a number that lies between two of those may be rounded
    to another one; then logits differ by tenths, as they do in Python on another processor.
    """
    model = onnx.load_from_string(content)
    graphs, stored = [model.graph], {}
    for graph in graphs:
        graphs += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
        stored |= {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for graph in graphs for node in graph.node]:
        if node.op_type in ("QuantizeLinear", "MatMulInteger"):
            del node.input[2:]
        if node.op_type == "QuantizeLinear":
            node.op_type = "Div"
        elif node.op_type == "MatMulInteger":
            node.op_type = "MatMul"
            weight = stored[node.input[1]]
            whole = numpy_helper.to_array(weight).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(whole, weight.name))
    description = json.loads({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
    del model.metadata_props[:]
    earlier = {**description, "format": 4}  # which need not be sealed
    helper.set_model_props(model, {METADATA_KEY: json.dumps(earlier)})
    return bytes(model.SerializeToString())


def passages(engine: Engine) -> list[tuple[list[int], list[float] | None]]:
    """Return ids and controls: made-up pieces that come back, half of them steered."""
    found: list[tuple[list[int], list[float] | None]] = []
    for number in range(PASSAGES):
        piece = played(number, notes=8)
        ids = engine.vocabulary.encode(espressivo.Performance.join([piece] * 3))[:IDS]
        steered = Controls(density=1.0 + number, loudness=30 + 3 * number, onset_rate=4.0)
        found.append((ids.tolist(), steered.numbers().tolist() if number % 2 else None))
    return found


def differences(engine: Engine, browser, file: str) -> list[float]:
    """Return the greatest difference of a possible id's logit, in each passage."""
    cases, found = passages(engine), []
    read = browser.execute_async_script(READ, file, cases)
    assert isinstance(read, list), read
    theirs = iter([np.frombuffer(base64.b64decode(each), np.float32) for each in read])
    for ids, controls in cases:
        asked = None
        if controls is not None:  # the last numbers of a model that fills say nothing of gaps
            asked = np.pad(np.array(controls, np.float32), (0, engine.controls - len(controls)))
        state = State(engine, asked)
        away = 0.0
        for id_ in ids:
            state.feed(id_)
            mine = state.logits()
            away = max(away, np.abs(mine - next(theirs))[mine > -1000].max())
        found.append(float(away))
    return found


def test_logits_are_those_of_python(browser, host, site):
    (site / "unrounded.onnx").write_bytes(unrounded(BUNDLED.read_bytes()))
    browser.get(host.url)
    engine = Engine(site / "unrounded.onnx")
    assert max(differences(engine, browser, "/unrounded.onnx")) < 1e-4


def test_logits_of_the_bundled_model_differ_only_where_it_rounds_to_another_number(
    browser, host, site
):
    (site / "rounded.onnx").write_bytes(BUNDLED.read_bytes())
    browser.get(host.url)
    away = differences(Engine(BUNDLED), browser, "/rounded.onnx")
    assert np.quantile(away, 0.25) < 1e-4
    assert max(away) < 0.5


def test_a_model_that_fills_is_read_too(browser, host, site):
    export(tiny(), vocabulary("notes"), site / "fills.onnx", card=CARD, weights="fp32")
    browser.get(host.url)
    engine = Engine(site / "fills.onnx")
    assert engine.fills
    assert max(differences(engine, browser, "/fills.onnx")) < 1e-3
