"""Drawing: MusicXML as pages, by verovio."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

from espressivo.errors import ScoreError
from espressivo.files import ending, replacing
from espressivo.music import Score
from espressivo.notation.musicxml import musicxml

__all__ = ["WRITTEN", "draw", "pages", "write_score"]

WRITTEN = (".musicxml", ".xml", ".svg", ".pdf")
"""Endings of the files that a score is written into."""

_NEEDS = "pictures of scores need {}: pip install 'espressivo[score]'"
_METRONOME = re.compile(
    r"<metronome><beat-unit>quarter</beat-unit><per-minute>(\d+)</per-minute></metronome>"
)  # drawn with a font of verovio's own, which other programs lack: so as words
_PAGE = {  # a page of A4, in tenths of a millimetre
    "pageWidth": 2100,
    "pageHeight": 2970,
    "scale": 40,
    "adjustPageHeight": False,
    "footer": "none",
    "header": "auto",
    "breaks": "auto",
    "mnumInterval": 0,
}


def write_score(score: Score, path: str | os.PathLike[str], *, title: str = "") -> list[str]:
    """Write a score as MusicXML (.musicxml, .xml) or draw it (.svg, .pdf).

    Parameters
    ----------
    score : Score
        With at least one note.
    path : path
        Of several pages as SVG the first is written here, and page n to ``name-n.svg``.
    title : str

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    ScoreError
        If the score is empty, the ending is none of these, or what draws is not installed.
    OSError
        If a file cannot be written.
    """
    kind = ending(path, ".musicxml")
    if kind not in WRITTEN:
        raise ScoreError(f"{os.fspath(path)}: end the name in one of {', '.join(WRITTEN)}")
    if not len(score):
        raise ScoreError(f"{os.fspath(path)}: there are no notes to write")
    if kind in (".musicxml", ".xml"):
        return [_written(path, musicxml(score, title).encode())]
    drawn = draw(score, title)
    if kind == ".pdf":
        return [_written(path, _pdf(drawn))]
    names = [os.fspath(path)]
    first = Path(path)
    names += [str(first.with_name(f"{first.stem}-{n}.svg")) for n in range(2, len(drawn) + 1)]
    return [_written(name, page.encode()) for name, page in zip(names, drawn, strict=True)]


def draw(score: Score, title: str = "") -> list[str]:
    """Return the pages of a score as SVG; `ScoreError` as `pages` raises it."""
    return pages(musicxml(score, title))


def pages(text: str) -> list[str]:
    """Return the pages of a MusicXML text as SVG.

    Raises
    ------
    ScoreError
        If verovio is not installed, or cannot read the text.
    """
    try:
        import verovio
    except ImportError:
        raise ScoreError(_NEEDS.format("verovio")) from None
    verovio.enableLog(verovio.LOG_OFF)
    toolkit: Any = verovio.toolkit()
    toolkit.setOptions(_PAGE)
    if not toolkit.loadData(_METRONOME.sub(r"<words>quarter = \1</words>", text)):
        raise ScoreError("verovio cannot read the score: write it as .musicxml instead")
    return [toolkit.renderToSVG(number) for number in range(1, toolkit.getPageCount() + 1)]


def _pdf(drawn: list[str]) -> bytes:
    """Return pages of SVG as a PDF file."""
    try:
        import cairosvg
        import pypdf
    except (ImportError, OSError) as error:  # cairosvg looks for the library Cairo
        what = "the library Cairo" if isinstance(error, OSError) else "cairosvg and pypdf"
        raise ScoreError(_NEEDS.format(what)) from None
    whole = pypdf.PdfWriter()
    for page in drawn:
        whole.append(io.BytesIO(cairosvg.svg2pdf(bytestring=page.encode())))
    out = io.BytesIO()
    whole.write(out)
    return out.getvalue()


def _written(path: str | os.PathLike[str], content: bytes) -> str:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return os.fspath(path)
