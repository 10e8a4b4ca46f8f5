"""Make the pictures of docs/perform.md: excerpts as written, as performed, and as two people play.

The scores and takes are of half B of ASAP, which nothing was learned from or chosen on; the takes
are the first two of each piece, by name. Performed is what `espressivo perform` makes with its
default dials and seed 0, of the whole score.

    python tools/tempos.py $ESPRESSIVO_DATA/asap [--docs docs]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import espressivo
from espressivo.data import take_of
from espressivo.views import Played, tempo_curves

EXCERPTS = (  # folder, takes, measures counted from 1, the last one exclusive
    ("Rachmaninoff/Preludes_op_32/5", ("KorchinskayaKogan03", "Namirovsky06M"), (1, 21)),
    ("Schumann/Arabeske", ("Min09M", "ParkS15M"), (1, 41)),
    ("Bach/Prelude/bwv_883", ("GuoE01M", "Lim01"), (1, 17)),
)


def picture(folder: Path, takes: tuple[str, ...], measures: tuple[int, int], path: Path) -> None:
    """Draw an excerpt."""
    rendition = espressivo.perform(folder / "midi_score.mid", seed=0)
    score = rendition.score
    played = [Played("espressivo", rendition.beats_s, rendition.rendered.velocity)]
    for number, name in enumerate(takes, 1):
        take = take_of(score, espressivo.midi.read(folder / f"{name}.mid"))
        played.append(Played(f"person {number}", take.beats_s, take.velocity))
    first, last = (float(score.measures[number - 1]) for number in measures)
    tempo_curves(score, played, path, (first, last))
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of ASAP")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    given = parser.parse_args()
    for number, (folder, takes, measures) in enumerate(EXCERPTS, 1):
        path = given.docs / "images" / f"performed-{number}.png"
        picture(given.data / folder, takes, measures, path)


if __name__ == "__main__":
    main()
