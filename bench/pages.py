"""Whether what is played can be written and drawn: takes of people, generated ones, and mutants.

Of each kind so many are written down as MusicXML, checked against its schema (that of partitura)
and drawn by verovio. Takes of people are stretches of ASAP's; generated ones are of the bundled
models by turns, 10 to 20 s long; mutants are files of takes with changed bytes, so many that can be
read; the others are refused.

    ESPRESSIVO_DATA=... python bench/pages.py [--each 300] [--only mutants] [--seed 0] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import partitura
from lxml import etree

import espressivo
from bad_inputs import damaged
from espressivo import Performance, midi
from espressivo.data import annotated
from espressivo.errors import EspressivoError
from espressivo.notation import beats, musicxml, notate, pages

STRETCH_S = 10.0
AT_ONCE = 15
XML = "http://www.w3.org/XML/1998/namespace"


class Attributes(etree.Resolver):
    """Gives the two small schemas that the one of MusicXML would fetch from the network."""

    def resolve(self, url: str, public: str, context: object) -> object:
        """Return one of them."""
        space = "http://www.w3.org/1999/xlink" if "xlink" in url else XML
        names = ("href", "type", "role", "title", "show", "actuate", "lang", "space")
        rows = "".join(f'<xs:attribute name="{n}" type="xs:string"/>' for n in names)
        return self.resolve_string(
            f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{space}">'
            f"{rows}</xs:schema>",
            context,
        )


def schema_of_musicxml() -> etree.XMLSchema:
    """Return the schema of MusicXML, from partitura's files."""
    parser = etree.XMLParser()
    parser.resolvers.add(Attributes())
    assets = Path(partitura.__file__).parent / "assets"
    text = (assets / "musicxml.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text, parser))


def of_people(each: int, chance: random.Random) -> Iterator[Performance]:
    """Give stretches of takes."""
    takes = annotated(Path(os.environ["ESPRESSIVO_DATA"]) / "asap")
    for take in chance.sample(takes, each):
        yield stretch(midi.read(take.path), chance)


def stretch(whole: Performance, chance: random.Random) -> Performance:
    """Return some seconds of a performance."""
    begin_s = chance.uniform(0, max(0.0, whole.seconds - STRETCH_S))
    notes = whole.notes
    inside = (notes["onset_s"] >= begin_s) & (notes["onset_s"] < begin_s + STRETCH_S)
    some = notes[inside]
    return Performance.from_arrays(
        onset_s=some["onset_s"] - begin_s,
        offset_s=some["offset_s"] - begin_s,
        pitch=some["pitch"],
        velocity=some["velocity"],
    )


def generated(each: int, seed: int) -> Iterator[Performance]:
    """Give what the bundled models play."""
    names = espressivo.play.bundled()
    for number in range(0, each, AT_ONCE):
        model = espressivo.load(names[number // AT_ONCE % len(names)])
        size = min(AT_ONCE, each - number)
        seconds = 10.0 + 10 * (number // AT_ONCE % 3) / 2
        yield from model.generate_batch(size, seed=seed + number, seconds=seconds)


def mutants(each: int, chance: random.Random) -> Iterator[Performance | None]:
    """Give so many damaged files that can be read, and nothing for each that cannot."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.mid"
        whole = []
        for take in of_people(12, chance):
            take.write(path)
            whole.append(path.read_bytes())
        while each > 0:
            path.write_bytes(damaged(chance.choice(whole), chance))
            try:
                yield midi.read(path)
                each -= 1
            except EspressivoError:
                yield None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--each", type=int, default=300, help="of each kind")
    parser.add_argument("--only", choices=("people", "generated", "mutants"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - no secret
    schema = schema_of_musicxml()
    kinds: dict[str, Iterator[Performance | None]] = {
        "people": of_people(options.each, chance),
        "generated": generated(options.each, options.seed),
        "mutants": mutants(options.each, chance),
    }
    report = {}
    for kind, performances in kinds.items():
        if options.only not in (None, kind):
            continue
        found: Counter[str] = Counter()
        seconds = []
        for performance in performances:
            found[outcome(performance, schema, seconds)] += 1
        report[kind] = {**found, "seconds": round(float(np.median(seconds or [0])), 3)}
        if not options.json:
            print(kind, report[kind], flush=True)
    if options.json:
        print(json.dumps(report))


def outcome(performance: Performance | None, schema: etree.XMLSchema, seconds: list[float]) -> str:
    """Return what became of a performance; append how long writing took."""
    if performance is None:
        return "refused"
    begun = time.process_time()
    try:
        text = musicxml(notate(performance, beats(performance)))
    except EspressivoError as error:
        return f"refused: {str(error).split(':')[0]}"
    except Exception:
        traceback.print_exc()
        return "crashed"
    seconds.append(time.process_time() - begun)
    if not schema.validate(etree.fromstring(text.encode())):
        print(schema.error_log.last_error)
        return "not valid"
    drawn = pages(text)
    return "drawn" if drawn and all("<svg" in page for page in drawn) else "not drawn"


if __name__ == "__main__":
    main()
