"""Pretrained networks: folders as users of Hugging Face know them, to fine-tune from.

A folder holds ``model.safetensors``, the weights under their names in the network, and
``config.json``, written last: the kind and sizes of the network, its vocabulary, its card and the
hash of the weights, all under a seal; and ``README.md``, the card for readers. To play, a model
file is needed, ``model.onnx`` beside them; see `espressivo.export`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from espressivo.codes import Vocabulary
from espressivo.errors import CodecError, ModelError
from espressivo.files import SEAL, intact, regular, replacing, seal
from espressivo.networks.card import CARD_FILE, markdown
from espressivo.networks.kinds import Network, build, config_from_dict, merged
from espressivo.version import __version__

__all__ = ["Pretrained", "load_pretrained", "save_pretrained"]

_KIND = "espressivo"
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_HEALS = "fetch or export it again"


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
        What other files it holds is left alone, also a README.md that is there; a config.json by
        another program is refused.
    card : dict
        What JSON can hold, such as name, licence and trained_on.

    Raises
    ------
    ModelError
        If the network does not fit the vocabulary, a weight is not finite, the card holds what
        JSON cannot, or the folder holds a network of another program.
    OSError
        If the folder cannot be written.
    """
    folder = Path(folder)
    if network.size != vocabulary.size:
        raise ModelError(
            f"{folder}: the network has {network.size} ids and vocabulary {vocabulary.name!r} "
            f"{vocabulary.size}: save it with the vocabulary that it was trained on"
        )
    network = merged(network, vocabulary)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    _check_finite(tensors, folder)
    weights = save(tensors, metadata={"format": "pt"})
    config = {
        "model_type": _KIND,
        "espressivo": __version__,
        "network": dataclasses.asdict(network.config),
        "vocabulary": vocabulary.to_dict(),
        "card": card,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "seal": SEAL,
    }
    try:
        content = bytearray((json.dumps(config, indent=2, allow_nan=False) + "\n").encode())
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder}: the card must hold plain JSON values: {error}") from None
    seal(content)
    if (folder / _CONFIG).exists() and f'"{_KIND}"'.encode() not in regular(
        folder / _CONFIG
    ).read_bytes():
        raise ModelError(f"{folder / _CONFIG}: is of another program: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _CONFIG) as config_path, replacing(folder / _WEIGHTS) as path:
        path.write_bytes(weights)  # which get their name first; an old config.json refuses them
        config_path.write_bytes(content)
    if not (folder / CARD_FILE).exists():
        with replacing(folder / CARD_FILE) as path:
            path.write_text(markdown(card), encoding="utf-8", newline="\n")


def load_pretrained(folder: str | os.PathLike[str]) -> Pretrained:
    """Read a folder; no code in it is run.

    Raises
    ------
    ModelError
        If there is no such folder, or its files are missing, damaged or do not fit together, have
        changed since they were written, or hold weights that are not finite.
    """
    folder = Path(folder)
    try:
        content = regular(folder / _CONFIG).read_bytes()
        whole = intact(content)
        config = {} if whole is False else json.loads(content)
        if whole is False or (whole is None and "weights_sha256" in config):
            raise ModelError(f"{folder / _CONFIG}: has changed since it was written: {_HEALS}")
        if config["model_type"] != _KIND:
            raise ModelError(f"{folder}: holds a model of another kind: {config['model_type']!r}")
        weights = regular(folder / _WEIGHTS).read_bytes()
        sha256 = hashlib.sha256(weights).hexdigest()
        if config.get("weights_sha256", sha256) != sha256:
            raise ModelError(f"{folder / _WEIGHTS}: has changed since it was written: {_HEALS}")
        vocabulary = Vocabulary(**config["vocabulary"])
        network = build(config_from_dict(config["network"]), vocabulary)
        tensors = load(weights)
        network.load_state_dict(tensors)
        _check_finite(tensors, folder / _WEIGHTS)
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


def _check_finite(tensors: dict[str, torch.Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path}: weights of {name} are not finite: export an earlier run")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
