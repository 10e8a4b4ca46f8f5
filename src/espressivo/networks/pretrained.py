"""Pretrained networks: folders as users of Hugging Face know them, to fine-tune from.

A folder holds ``model.safetensors``, the weights under their names in the network, and
``config.json``, written last: the kind and sizes of the network, its vocabulary and its card. To
play, a model file is needed; see `espressivo.export`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from espressivo.codes import Vocabulary
from espressivo.errors import CodecError, ModelError
from espressivo.files import replacing
from espressivo.networks.kinds import Network, build, config_from_dict
from espressivo.version import __version__

__all__ = ["Pretrained", "load_pretrained", "save_pretrained"]

_KIND = "espressivo"
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class Pretrained:
    """What a folder holds."""

    network: Network
    vocabulary: Vocabulary
    card: dict[str, Any]


def save_pretrained(
    network: Network,
    vocabulary: Vocabulary,
    folder: str | os.PathLike[str],
    *,
    card: dict[str, Any],
) -> None:
    """Write a network into a folder, which is made if need be.

    Parameters
    ----------
    network : one of `espressivo.networks`
    vocabulary : Vocabulary
        The one that the network was trained with.
    folder : path
        What other files it holds is left alone.
    card : dict
        What JSON can hold, such as name, licence and trained_on.

    Raises
    ------
    ModelError
        If the network does not fit the vocabulary, or the card holds what JSON cannot.
    OSError
        If the folder cannot be written.
    """
    folder = Path(folder)
    if network.size != vocabulary.size:
        raise ModelError(
            f"{folder}: the network has {network.size} ids and vocabulary {vocabulary.name!r} "
            f"{vocabulary.size}: save it with the vocabulary that it was trained on"
        )
    config = {
        "model_type": _KIND,
        "espressivo": __version__,
        "network": dataclasses.asdict(network.config),
        "vocabulary": vocabulary.to_dict(),
        "card": card,
    }
    try:
        text = json.dumps(config, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder}: the card must hold plain JSON values: {error}") from None
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CONFIG).unlink(missing_ok=True)  # never an old one beside new weights
    with replacing(folder / _WEIGHTS) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    with replacing(folder / _CONFIG) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_pretrained(folder: str | os.PathLike[str]) -> Pretrained:
    """Read a folder; no code in it is run.

    Raises
    ------
    ModelError
        If there is no such folder, or its files are missing, damaged or do not fit together.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        if config["model_type"] != _KIND:
            raise ModelError(f"{folder}: holds a model of another kind: {config['model_type']!r}")
        vocabulary = Vocabulary(**config["vocabulary"])
        network = build(config_from_dict(config["network"]), vocabulary)
        network.load_state_dict(load_file(folder / _WEIGHTS))
        return Pretrained(network.eval(), vocabulary, dict(config["card"]))
    except OSError as error:
        raise ModelError(
            f"{error.filename or folder}: cannot be read: {error.strerror or error}: give a folder "
            "that espressivo export wrote"
        ) from None
    except (CodecError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / _CONFIG}: is not valid ({_one_line(error)})") from None
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder / _WEIGHTS}: does not fit ({_one_line(error)})") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
