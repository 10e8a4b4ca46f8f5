"""Recordings of a piano, heard: sound becomes a performance. It needs the extra `transcribe`."""

from __future__ import annotations

from espressivo.transcribe.decoding import Recording, opened
from espressivo.transcribe.ear import Ear, Heard
from espressivo.transcribe.hearing import transcribe
from espressivo.transcribe.transkun import Transkun

__all__ = ["Ear", "Heard", "Recording", "Transkun", "opened", "transcribe"]
