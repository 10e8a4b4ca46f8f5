"""Judge: how well clips of a model can be told from clips of people, by all that is measured.

A forest of trees (Breiman 2001; scikit-learn) sees the measures of a clip that need no beginning
or end, and mean and spread of each feature. It is taught on four fifths of the pieces and judges
the rest, so that it never judges a piece or sample that it was taught on.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espressivo import midi
from espressivo.errors import EspressivoError
from espressivo.evaluation.intervals import Estimate
from espressivo.evaluation.kept import Kept
from espressivo.evaluation.likelihood import loaded
from espressivo.evaluation.music import CLOSE_S, play
from espressivo.evaluation.pieces import Piece
from espressivo.music import (
    FEATURES,
    MEASURES,
    Features,
    Performance,
    Take,
    measure,
    measured,
    window,
    windows,
)
from espressivo.progress import Progress

__all__ = ["Verdict", "described", "judge", "tried"]

_JUDGED, _JUDGED_S = 200, 30.0  # clips of each side that are judged, and how long they are
_APART = 1000  # seeds of the samples that are judged begin so much later
_FOLDS = 5
_TREES = 300
_TOP = 10
_SEED = 0
_T = 2.776  # of Student's distribution: 97.5 % with four degrees of freedom

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What the judge found.

    Parameters
    ----------
    auc : Estimate
        How often it holds a clip of the model for likelier the model's than a clip of a person:
        0.5 is chance, 1 is always. Mean over folds, with its 95 % interval over them.
    clips : tuple of int
        Of the model and of people.
    gives_away : tuple of (str, float)
        The ten numbers that it went by most, with the share of each.
    """

    auc: Estimate
    clips: tuple[int, int]
    gives_away: tuple[tuple[str, float], ...]


def described(clip: Performance, seconds: float) -> dict[str, float]:
    """Return the numbers by which a clip is judged; those that it has none of are -1."""
    found = {}
    for name, (above, below) in measured(Take(clip, seconds)).items():
        if MEASURES[name].group != "start and end":
            found[name] = above / below if below else -1.0
    features: Features = measure(clip, seconds)
    for name in FEATURES:
        values = features.values[name]
        found[f"{name} mean"] = float(values.mean()) if len(values) else -1.0
        found[f"{name} spread"] = float(values.std()) if len(values) else -1.0
    return found


def tried(
    source: str,
    pieces: Sequence[Piece],
    *,
    seed: int = 0,
    executor: Executor | None = None,
    kept: Kept | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Let the judge tell 200 clips of 30 s of a model from as many of people, at random places."""
    v = loaded(source).vocabulary
    played = play(
        source,
        _JUDGED // 2,
        2 * _JUDGED_S + CLOSE_S,
        seed=seed + _APART,
        executor=executor,
        kept=kept,
        progress=progress,
    )
    rng = np.random.default_rng(seed)
    ours = windows([window(one, 0.0, 2 * _JUDGED_S) for one in played], _JUDGED_S, rng, each=2)
    each = -(-_JUDGED // len(pieces))
    human = windows((v.quantise(midi.read(one.path)) for one in pieces), _JUDGED_S, rng, each)
    compositions = [one.composition for one in pieces for _ in range(each)]
    taken = np.sort(rng.permutation(len(human))[:_JUDGED]).tolist()
    return judge(
        [described(clip, _JUDGED_S) for clip in ours],
        [described(human[index], _JUDGED_S) for index in taken],
        (
            [str(number // 2) for number in range(len(ours))],
            [compositions[index] for index in taken],
        ),
    )


def judge(
    model: Sequence[dict[str, float]],
    people: Sequence[dict[str, float]],
    groups: tuple[Sequence[str], Sequence[str]],
) -> Verdict:
    """Let a forest tell a model's clips from people's.

    Parameters
    ----------
    model, people : sequence of dict
        Of each clip what `described` returns.
    groups : tuple of two sequences of str
        The sample or composition that each clip is of: all clips of one fall into the same fold.

    Raises
    ------
    EspressivoError
        If scikit-learn is missing, or there are too few samples or pieces.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError:
        raise EspressivoError(
            "the judge needs scikit-learn: pip install 'espressivo[train]'"
        ) from None
    if min(len(set(side)) for side in groups) < _FOLDS:
        raise EspressivoError(f"the judge needs at least {_FOLDS} samples and {_FOLDS} pieces")
    names = list(model[0])
    numbers = np.array([[one[name] for name in names] for one in (*model, *people)])
    ours = np.repeat([True, False], [len(model), len(people)])
    of = [*(f"model {one}" for one in groups[0]), *(f"people {one}" for one in groups[1])]
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    aucs, weights = [], np.zeros(len(names))
    for taught, judged in folds.split(numbers, ours, of):
        forest = RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=_SEED)
        forest.fit(numbers[taught], ours[taught])
        aucs.append(roc_auc_score(ours[judged], forest.predict_proba(numbers[judged])[:, 1]))
        weights += forest.feature_importances_ / _FOLDS
    mean, reach = float(np.mean(aucs)), _T * float(np.std(aucs, ddof=1)) / _FOLDS**0.5
    order = np.argsort(-weights)[:_TOP]
    return Verdict(
        Estimate(mean, max(mean - reach, 0.0), min(mean + reach, 1.0)),
        (len(model), len(people)),
        tuple((names[index], float(weights[index])) for index in order),
    )
