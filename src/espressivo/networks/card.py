"""Model cards as Hugging Face knows them: Markdown that begins with a few lines of YAML."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["CARD_FILE", "markdown"]

CARD_FILE = "README.md"
"""Name of the card in a folder."""

_LIBRARY = "espressivo"
_TAGS = ["music", "midi", "piano", "music-generation"]
# Licences by the names that the hub has for them, and in small letters.
_LICENCES = (
    *("apache-2.0", "bsd-3-clause", "cc0-1.0", "gpl-3.0", "mit", "unlicense"),
    *(f"cc-by{kind}-4.0" for kind in ("", "-sa", "-nd", "-nc", "-nc-sa", "-nc-nd")),
)
_SAID = ("name", "licence", "trained_on")  # in lines of their own


def markdown(card: dict[str, Any]) -> str:
    r"""Return a model card, to be completed by hand.

    Parameters
    ----------
    card : dict
        What JSON can hold. Of it ``licence`` goes into the YAML, where the hub looks for it, and
        ``name`` and ``trained_on`` into the text; all else follows as JSON.

    Returns
    -------
    str
        A licence that the hub has no name for is called ``other`` there, with its own name beside.

    Examples
    --------
    >>> text = markdown({"name": "mine", "licence": "CC0-1.0", "trained_on": "my own playing"})
    >>> text.splitlines()[1:3]
    ['license: cc0-1.0', 'library_name: espressivo']
    >>> "Trained on: my own playing" in text
    True
    """
    name, licence = str(card.get("name", "a model")), str(card.get("licence", "unspecified"))
    known = licence.lower().replace(" ", "-")
    lines = ["---"]
    if known in _LICENCES:
        lines.append(f"license: {known}")
    else:
        lines += ["license: other", f"license_name: {json.dumps(licence)}"]
    lines += [f"library_name: {_LIBRARY}", f"tags: {json.dumps(_TAGS)}", "---", ""]
    lines += [f"# {' '.join(name.split())}", "", "A model of piano playing, for espressivo.", ""]
    lines += [f"Trained on: {' '.join(str(card.get('trained_on', 'unspecified')).split())}", ""]
    lines += ["```python", "import espressivo", "", 'model = espressivo.load("this folder")']
    lines += ['model.generate(seconds=30, seed=7).write("out.mid")', "```", ""]
    rest = {key: value for key, value in card.items() if key not in _SAID}
    if rest:
        lines += ["## Figures and settings", "", "```json"]
        lines += [json.dumps(rest, indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)
