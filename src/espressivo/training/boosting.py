"""Boosting: trees that predict a field of a performance from the features of its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from espressivo.errors import DataError
from espressivo.interpreter import ROWS
from espressivo.training.score_data import ReadPiece

__all__ = ["Boosting", "boost"]


@dataclass(frozen=True)
class Boosting:
    """Settings, under LightGBM's names where there are any.

    Parameters
    ----------
    trees, num_leaves, min_data_in_leaf : int
    learning_rate, feature_fraction, bagging_fraction, lambda_l2 : float
    threads, seed : int
    """

    trees: int = 200
    num_leaves: int = 24
    min_data_in_leaf: int = 300
    learning_rate: float = 0.07
    feature_fraction: float = 0.3
    bagging_fraction: float = 0.5
    lambda_l2: float = 20.0
    threads: int = 1
    seed: int = 0


def boost(pieces: Sequence[ReadPiece], field: str, settings: Boosting) -> list[dict[str, Any]]:
    """Return trees that predict a field's standardised mean.

    Each variant of a score counts alike.

    Returns
    -------
    list of dict
        As LightGBM's ``dump_model()["tree_info"]`` has them.

    Raises
    ------
    DataError
        If no take has the field.
    """
    import lightgbm  # here, since nothing else needs it

    rows = ROWS[field]
    features, targets, weights = [], [], []
    for piece in pieces:
        target, weight = piece.target(field)
        known = weight > 0
        for variant in piece.tables:
            features.append(variant[rows].values[known])
            targets.append(target[known])
            weights.append(weight[known])
    weight = np.concatenate(weights)
    if not len(weight):
        raise DataError(f"no take tells of its {field}: a model cannot learn it")
    data = lightgbm.Dataset(
        np.concatenate(features), np.concatenate(targets), weight=weight / weight.mean()
    )
    parameters = {
        "objective": "l2",
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "learning_rate": settings.learning_rate,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": settings.lambda_l2,
        "max_bin": 127,
        "num_threads": settings.threads,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    trained = lightgbm.train(parameters, data, settings.trees)
    trees: list[dict[str, Any]] = trained.dump_model()["tree_info"]
    return trees
