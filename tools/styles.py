"""Learn the styles that come with the default model, of composers and of pianists on rolls.

The blocks of the model read passages of everybody once; then all styles are learned together, and
written; and pieces that were held out are measured in each style. What is done is kept in the work
folder, and is not done again; work on another model is done in another folder in it. Needs
espressivo[train].

    python tools/styles.py build/notes $ESPRESSIVO_DATA/pianolatron

The first is a prepared dataset of MAESTRO and ASAP in the vocabulary ``notes``, the second the
folder of rolls; styles are written into src/espressivo/models/styles. The pieces of composers that
are measured are those of half B, unless --half A says otherwise.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from espressivo import load, midi
from espressivo.codes import TIME_SHIFT, Ids, Vocabulary, composer_of
from espressivo.data import HALVES, Augmentation, Dataset, halves, sketch
from espressivo.engine import Style, write_style
from espressivo.export import read_back, shifts_within
from espressivo.networks import Notewise
from espressivo.training.styles import Past, StyleNetwork, learn_styles, nats_in, read_past

COMPOSERS = (
    "Bach",
    "Mozart",
    "Beethoven",
    "Schubert",
    "Chopin",
    "Schumann",
    "Liszt",
    "Debussy",
    "Scriabin",
    "Rachmaninoff",
)
PIANISTS = {
    "Carreno": "Carreño, Teresa",
    "d-Albert": "Albert, Eugen d'",
    "Paderewski": "Paderewski, Ignace Jan",
}
LENGTH = 192  # events of a passage to learn from
READ = 768  # events that are read of a piece that was held out
FROM_BEGINNING = 0.2  # share of passages that are the beginnings of pieces
AUGMENTED = Augmentation(3, 0.05, 1)  # so that styles are not of the keys of a few pieces
HELD_OUT = 5  # of a pianist every fifth piece is held out
LEAST_VELOCITIES = 20  # of a roll with dynamics
ATTRIBUTION = (
    "Hawthorne et al.: MAESTRO, ICLR 2019; Foscarin, McLeod, Rigaux, Jacquemard, Sakai: ASAP, "
    "ISMIR 2020; Stanford piano rolls, pianoroll/pianolatron-data"
)


@dataclass(frozen=True, eq=False)
class Person:
    """A style to be: its name and kind, and what is learned from and held out."""

    name: str
    kind: str
    train: list[Ids]
    held_out: list[Ids]


def main() -> None:
    """Learn the styles, write them, and print how well they are told from one another."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="MAESTRO and ASAP, prepared in notes")
    parser.add_argument("rolls", type=Path, help="folder of pianolatron with its manifest.csv")
    parser.add_argument("--work", type=Path, default=Path("build/styles"))
    parser.add_argument("--out", type=Path, default=Path("src/espressivo/models/styles"))
    parser.add_argument("--half", choices=HALVES, default="B", help="pieces to measure on")
    parser.add_argument("--passages", type=int, default=480, help="of each person")
    parser.add_argument("--rounds", type=int, default=2, help="over all passages")
    parser.add_argument("--rate", type=float, default=2e-3, help="of learning")
    parser.add_argument("--apart", type=float, default=0.01, help="see learn_styles")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # rolls have a byte or two too many at their ends
    model = load()
    v = model.vocabulary
    network = read_back(model.engine).network
    if not isinstance(network, Notewise):
        raise SystemExit("the default model has no heads that a style could shift")
    work = given.work / model.engine.sha256[:16]
    work.mkdir(parents=True, exist_ok=True)
    people = [*composers(given.dataset, given.half), *pianists(given.rolls, v)]
    own, unheard = [], []
    for number, person in enumerate(people):
        rng = np.random.default_rng(number)
        drawn = [passage(person.train, v, rng) for _ in range(given.passages)]
        own.append(kept_past(work / f"{person.name}-{given.passages}.pt", network, drawn, v))
        heard = [cut(ids, 0, READ, v) for ids in sorted(person.held_out, key=len)]
        path = work / f"{person.name}-held-out-{given.half}.pt"
        unheard.append(kept_past(path, network, heard, v))
    styles = StyleNetwork(network, v, len(people))
    kinds = [person.kind for person in people]
    settings = f"{given.passages}-{given.rounds}-{given.rate:g}-{given.apart:g}"
    learn_styles(
        styles, own, kinds, work / f"learned-{settings}.pt",
        rounds=given.rounds, rate=given.rate, apart=given.apart, tell=say,
    )  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    for number, person in enumerate(people):
        shifts = shifts_within(network.config, styles.of(number))
        card = {
            "licence": model.card["licence"],
            "learned_from": f"{len(person.train)} performances",
            "attribution": ATTRIBUTION,
        }
        made_for = str(model.card["name"]), model.engine.sha256
        write_style(
            Style(person.name, *made_for, card, None, shifts),
            given.out / f"{person.name.casefold()}.style",
        )
    size = sum(path.stat().st_size for path in given.out.glob("*.style"))
    say(f"{given.out}: {len(people)} styles, {size:,} bytes")
    table(styles, people, unheard, work / f"table-{given.half}-{settings}.json")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def composers(folder: Path, half: str) -> list[Person]:
    """Return the composers; held out is one half of the pieces to validate on."""
    dataset = Dataset(folder)
    validation = dataset.split("validation")
    sketches = [sketch(dataset.vocabulary.decode(dataset.ids(piece))) for piece in validation]
    of = halves([piece.composition for piece in validation], sketches)
    held_out = [piece for piece, its in zip(validation, of, strict=True) if its == half]
    return [
        Person(
            name,
            "composer",
            *(
                [dataset.ids(piece) for piece in pieces if composer_of(piece.composition) == name]
                for pieces in (dataset.split("train"), held_out)
            ),
        )
        for name in COMPOSERS
    ]


def pianists(folder: Path, v: Vocabulary) -> list[Person]:
    """Return the pianists; held out are some compositions of each."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if not row["type"].startswith("88") and int(row["velocities"]) >= LEAST_VELOCITIES
        ]
    found = []
    for name, performer in PIANISTS.items():
        own = [row for row in rows if row["performer"] == performer]
        works = sorted({row["composition"] for row in own})
        apart = {work for number, work in enumerate(works) if number % HELD_OUT == 0}
        parts: tuple[list[Ids], list[Ids]] = ([], [])
        for row in own:
            held_out = row["composition"] in apart or row["split"] != "train"
            parts[held_out].append(v.encode(midi.read(folder / row["path"])))
        found.append(Person(name, "pianist", *parts))
    return found


def passage(pieces: list[Ids], v: Vocabulary, rng: np.random.Generator) -> Ids:
    """Draw a passage from pieces, of which none is likelier for being longer."""
    ids = pieces[int(rng.integers(len(pieces)))]
    inside = rng.random() >= FROM_BEGINNING
    return AUGMENTED(cut(ids, rng.random() if inside else 0.0, LENGTH, v), v, rng)


def cut(ids: Ids, share: float, events: int, v: Vocabulary) -> Ids:
    """Cut so many events out of a piece, from a share of what there is to choose from on."""
    begins = np.append(np.flatnonzero(v.kinds[ids] == TIME_SHIFT), len(ids))
    first = int(share * max(len(begins) - 1 - events, 0))
    return ids[begins[first] : begins[min(first + events, len(begins) - 1)]]


def kept_past(path: Path, network: Notewise, pieces: list[Ids], v: Vocabulary) -> list[Past]:
    """Return what the blocks make of pieces, which they read if they have not yet."""
    if not path.exists():
        say(f"reading {len(pieces)} passages: {path.stem}")
        found = [vars(past) for past in read_past(network, pieces, v)]
        torch.save(found, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    return [Past(**plain) for plain in torch.load(path, weights_only=True)]


def table(
    styles: StyleNetwork, people: list[Person], unheard: list[list[Past]], path: Path
) -> None:
    """Print and write how likely pieces are in their own style, without one, and in others."""
    figures = []
    say("nats a note gained by the own style, of pieces held out; and pieces likeliest in it")
    say(f"{'':14}{'pieces':>7}{'on none':>9}{'on others':>10}{'likeliest':>10}")
    for kind in ("composer", "pianist"):
        of_kind = [number for number, person in enumerate(people) if person.kind == kind]
        every = []
        for place, number in enumerate(of_kind):
            if not unheard[number]:
                say(f"{people[number].name:14}{0:7}")
                continue
            nats = nats_in(styles, unheard[number], len(people))
            own = nats[:, 1 + number]
            alike = nats[:, [1 + other for other in of_kind]]
            others = np.delete(alike, place, 1).mean(1)
            best = alike.argmin(1) == place
            every.append(np.stack((nats[:, 0] - own, others - own, best), 1))
            line(people[number].name, every[-1])
            about = {"name": people[number].name, "pieces": len(nats)}
            figures.append({**about, "of_each_style": nats[:, 1:].mean(0).tolist()})
        if every:
            whole = np.concatenate(every)
            line(f"all {kind}s", whole)
            drawn = np.random.default_rng(0).integers(len(whole), size=(10_000, len(whole)))
            low, high = np.quantile(whole[drawn, 2].mean(1), (0.025, 0.975))
            say(f"{'':14}95 % interval of the last {low:.2f} to {high:.2f}; by chance "
                f"{1 / len(of_kind):.2f}")  # fmt: skip
    path.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def line(name: str, rows: np.ndarray) -> None:
    """Print a row of the table."""
    on_none, on_others, best = rows.mean(0)
    say(f"{name:14}{len(rows):7}{on_none:9.4f}{on_others:10.4f}{best:10.2f}")


if __name__ == "__main__":
    main()
