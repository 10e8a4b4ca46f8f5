"""Learning from one's own playing: recordings become a model that plays like them."""

from __future__ import annotations

from espressivo.learn.figures import Gain
from espressivo.learn.learning import WAYS, Learned, Way, learn

__all__ = ["WAYS", "Gain", "Learned", "Way", "learn"]
