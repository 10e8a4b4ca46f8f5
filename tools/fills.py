"""Make the pictures of docs/fill.md: passages of samples, filled and varied, below the original.

Each shows `WINDOW_S` of a sample of docs/samples, of which `PASSAGE_S` is filled or varied with the
default model and the seed of the sample, as it comes.

    python tools/fills.py [--docs docs]
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image

from espressivo import load, midi
from espressivo.music import Performance
from espressivo.views.pictures import piano_roll_png

PASSAGE_S, WINDOW_S = (12.0, 16.0), (9.0, 20.0)
FILLS = ((0, None), (1, "left"), (2, "rhythm"))
VARIATIONS = ((0, 0.2), (1, 0.4), (2, 0.7))


def picture(path: Path, *performances: Performance) -> None:
    """Draw performances one below the other."""
    rolls = [piano_roll_png(one.slice(*WINDOW_S)) for one in performances]
    images = [Image.open(io.BytesIO(roll)).convert("RGB") for roll in rolls]
    width, height = max(one.width for one in images), sum(one.height for one in images)
    whole = Image.new("RGB", (width, height), images[0].getpixel((0, 0)))
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    whole.quantize(64).save(path, optimize=True)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    docs = parser.parse_args().docs
    model = load()
    for number, (seed, keep) in enumerate(FILLS, 1):
        sample = midi.read(docs / "samples" / f"seed-{seed}.mid")
        (filled,) = model.fill(sample, *PASSAGE_S, keep=keep, seed=seed)
        picture(docs / "images" / f"fill-{number}.png", sample, filled)
    for number, (seed, amount) in enumerate(VARIATIONS, 1):
        sample = midi.read(docs / "samples" / f"seed-{seed}.mid")
        (varied,) = model.vary(sample, *PASSAGE_S, amount=amount, seed=seed)
        picture(docs / "images" / f"vary-{number}.png", sample, varied)


if __name__ == "__main__":
    main()
