from __future__ import annotations

import base64
import io
import re
import sys
import wave

import numpy as np
import pytest

from espressivo import Performance


def parts(html: str) -> dict[str, bytes]:
    found = re.findall(r'src="data:([a-z]+/[a-z]+);base64,([^"]+)"', html)
    return {kind: base64.b64decode(encoded, validate=True) for kind, encoded in found}


def test_a_performance_shows_its_roll_and_a_player() -> None:
    shown = parts(
        Performance.from_arrays(
            onset_s=[0.0, 0.5], offset_s=[0.4, 1.0], pitch=[60, 64], velocity=[80, 90]
        )._repr_html_()
    )
    assert shown["image/png"].startswith(b"\x89PNG")
    with wave.open(io.BytesIO(shown["audio/wav"])) as file:
        assert 1.0 < file.getnframes() / file.getframerate() < 4.0


def test_a_long_one_shows_its_beginning() -> None:
    onset_s = np.arange(0, 600, 5.0)
    pitch, velocity = np.full(len(onset_s), 60), np.full(len(onset_s), 80)
    ends_s = np.append(onset_s[:-1] + 1, 5000)  # more than can be rendered
    ends_s[20] = 400  # beyond what is shown
    html = Performance.from_arrays(
        onset_s=onset_s, offset_s=ends_s, pitch=pitch, velocity=velocity
    )._repr_html_()
    assert "first 120 s" in html
    with wave.open(io.BytesIO(parts(html)["audio/wav"])) as file:
        assert 110 < file.getnframes() / file.getframerate() < 130


def test_what_cannot_be_shown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        "nothing to hear"
        in Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[])._repr_html_()
    )
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    html = Performance.from_arrays(
        onset_s=[0.0], offset_s=[0.4], pitch=[60], velocity=[80]
    )._repr_html_()
    assert "espressivo[plot]" in html and list(parts(html)) == ["audio/wav"]
