"""Page: a report as one HTML file that needs nothing else, for a person to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from espressivo.evaluation import figures as drawn
from espressivo.evaluation.comparison import Side
from espressivo.evaluation.judge import Verdict
from espressivo.evaluation.likelihood import Row
from espressivo.evaluation.music import Music
from espressivo.evaluation.recall import Recall
from espressivo.evaluation.references import REFERENCES
from espressivo.evaluation.report import Report
from espressivo.evaluation.table import (
    BESIDE_PEOPLE,
    PEOPLE,
    ROWS,
    beside_people,
    figures,
    several,
    verdicts,
)
from espressivo.files import replacing
from espressivo.music import FEATURES, window

__all__ = ["page", "table", "write_comparison", "write_page"]

_ROLL_S = 20.0  # seconds of a sample that are drawn

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ground: #fff; --text: #1c2028; --faint: #667; --line: #d9dce3; --box: #f4f5f8; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14161c; --text: #e6e8ee; --faint: #9aa0ae; --line: #333845; --box: #1d2029; }
}
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--ground);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0.5rem 0; } h2 { margin: 2.5rem 0 0.5rem; border-bottom: 1px solid var(--line); }
p { max-width: 44rem; } .faint, figcaption { color: var(--faint); font-size: 0.9rem; }
.key { display: grid; gap: 0.7rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.key div { background: var(--box); border-radius: 0.5rem; padding: 0.6rem 0.8rem; }
.key b { display: block; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
.key span { color: var(--faint); font-size: 0.85rem; display: block; }
.many { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { padding: 0.25rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th { color: var(--faint); font-weight: 600; } th, td { white-space: nowrap; }
td:first-child { white-space: normal; min-width: 6rem; }
svg, img { max-width: 100%; height: auto; } figure { margin: 1.2rem 0; }
.many figure { margin: 0; }
code { background: var(--box); padding: 0.1rem 0.3rem; overflow-wrap: anywhere; }
dt { color: var(--faint); } dd { margin: 0 0 0.5rem; overflow-wrap: anywhere; }
</style>
</head>
<body>
$body
</body>
</html>
""")


def write_page(report: Report, path: Path) -> None:
    """Write a report as a page; `EspressivoError` if matplotlib is missing."""
    body = "\n".join(
        [
            *_head(report),
            *_likelihood(report),
            *_recall(report.recall),
            *([] if report.music is None else _music(report.music)),
            *([] if report.verdict is None else _judged(report.verdict)),
            *_made(report),
        ]
    )
    with replacing(path) as temporary:
        temporary.write_text(page(f"{report.model['name']}: report", body), encoding="utf-8")


def write_comparison(found: Side, folder: Path) -> None:
    """Write reports side by side as a page, ``compare.html``, and as ``compare.md``."""
    body = "\n".join(
        [
            "<h1>Side by side</h1>",
            f"<p>{escape(found.about())}</p>",
            *(
                f"<h2>{escape(part.title)}</h2>\n{table(part.head, part.rows)}"
                for part in found.tables()
            ),
        ]
    )
    with replacing(folder / "compare.html") as temporary:
        temporary.write_text(page("Models side by side", body), encoding="utf-8")
    lines = ["# Side by side", "", found.about()]
    for part in found.tables():
        rows = (part.head, ("---",) * len(part.head), *part.rows)
        lines += ["", f"## {part.title}", ""]
        lines += ["| " + " | ".join(row).replace("<", "&lt;") + " |" for row in rows]
    with replacing(folder / "compare.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def page(title: str, body: str) -> str:
    """Return a whole page around its content."""
    return _PAGE.substitute(title=escape(title), body=body)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of plain texts; the first column is text, the others are numbers."""
    lines = ["<div class=wide><table><thead><tr>"]
    lines += [f"<th>{escape(text)}</th>" for text in head]
    lines.append("</tr></thead><tbody>")
    lines += [
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
    ]
    return "\n".join([*lines, "</tbody></table></div>"])


def _head(report: Report) -> list[str]:
    found, data = report.likelihood, report.data
    of = f"split {data['split']!r} of {data['csv']}, " if data["csv"] else ""
    of += f"half {data['half']} by composition, " if data["half"] else ""
    part = ""
    if data["first_events"]:
        part = (
            f" Only the first {data['first_events']} events of each piece: compare with quick "
            "reports alone."
        )
    text = (
        f"Measured on {of}{several(found.pieces, 'piece')}, {several(found.events, 'event')} of "
        f"the vocabulary {report.model['vocabulary']}, {several(found.notes, 'note')}, "
        f"{found.seconds / 3600:.1f} hours."
    )
    boxes = (
        ("nats per event", found.per_event.text(4).partition(" ")),
        ("nats per note", found.per_note.text(3).partition(" ")),
        ("nats per second", found.per_second.text(2).partition(" ")),
        ("top 1", found.top1.text(3).partition(" ")),
        ("top 5", found.top5.text(3).partition(" ")),
    )
    return [
        f"<h1>{escape(str(report.model['name']))}</h1>",
        f"<p>{escape(text + part)}</p>",
        "<div class=key>",
        *(
            f"<div>{name}<b>{value}</b><span>{interval}</span></div>"
            for name, (value, _, interval) in boxes
        ),
        "</div>",
        "<p class=faint>Small: 95 % intervals, by bootstrap over pieces. Nats: less is better. "
        "Models of different vocabularies can be compared by nats per note and per second "
        "alone.</p>",
    ]


def _likelihood(report: Report) -> list[str]:
    found = report.likelihood
    parts = ["<h2>Likelihood</h2>"]
    for title, rows in (
        ("class of event", found.by_class),
        ("position in the piece, in events", found.by_position),
    ):
        head = (title, "events", "nats per event", "95 %", "top 1", "top 5")
        parts.append(table(head, map(_row, rows)))
    return parts


def _row(row: Row) -> tuple[str, ...]:
    return (
        row.name.replace("_", " "),
        f"{row.events:,}",
        f"{row.nats.value:.4f}",
        row.nats.text().partition(" ")[2],
        f"{row.top1:.3f}",
        f"{row.top5:.3f}",
    )


def _recall(found: Recall) -> list[str]:
    parts = [
        "<h2>What it remembers</h2>",
        "<p>Nats per note of passages after different things, and how many more than of the "
        "passages alone: below 0, the model remembers. A passage alone begins a piece, so these "
        "are not the nats of whole pieces.</p>",
    ]
    for title, of in (
        ("15 s, after so much of its piece", found.past),
        ("10 s, after a copy", found.copy),
    ):
        rows = [
            (name, figure.text(3), more.text(3) if more else "")
            for name, (figure, more) in found.figures(of).items()
        ]
        if rows:
            parts.append(table((title, "nats per note", "more than alone"), rows))
    return parts


def _music(music: Music) -> list[str]:
    about = (
        f"{several(len(music.samples), 'sample')} of {music.seconds:g} s beside as long a clip of "
        f"each of {several(music.pieces, 'piece')}, with 95 % intervals by bootstrap over samples "
        "and pieces."
    )
    return [
        "<h2>What it plays</h2>",
        f"<p>{escape(about)}</p>",
        *_measures(music),
        *_overlaps(music),
        *_rolls(music),
        *_run(music),
    ]


def _measures(music: Music) -> list[str]:
    model, people = figures(music.model), figures(music.people, PEOPLE)
    shown = verdicts(beside_people(model, people), *BESIDE_PEOPLE)
    parts = [
        "<p>The last column says whether model and people differ, with Holm's correction over all "
        "rows. Shuffled: people's clips, their pitches dealt anew to their notes. Flat: on a grid "
        "of sixteenths, all notes equally loud. Loop: their first 2 s again and again. Drone: one "
        "note held, one struck over it.</p>"
    ]
    for group in dict.fromkeys(row.group for row in ROWS.values()):
        rows = []
        for name, row in ROWS.items():
            if row.group != group or (name not in people and name not in model):
                continue
            sides = [side[name][0].text(3) if name in side else "" for side in (people, model)]
            made = [music.references[of].get(name) for of in REFERENCES]
            others = ["" if one is None else f"{one.value:.3f}" for one in made]
            title = f"{row.title}, {row.unit}" if row.unit else row.title
            rows.append((title, *sides, *others, shown.get(name, "")))
        if rows:
            parts.append(table((group, "people", "model", *REFERENCES, ""), rows))
    return parts


def _overlaps(music: Music) -> list[str]:
    rows = []
    for line in music.lines:
        human = None if line.ceiling is None else line.ceiling.mean
        rows.append(
            (
                FEATURES[line.feature].title,
                line.overlap.text(3),
                "" if human is None else f"{human.overlap:.3f}",
                f"{line.floor.overlap:.3f}",
                f"{line.model.divergence:.3f}",
                "" if human is None else f"{human.divergence:.3f}",
                f"{line.floor.divergence:.3f}",
            )
        )
    head = ("", "overlap", "human", "flat", "divergence", "human", "flat")
    return [
        "<p>How alike the distances among clips are to those from clip to clip (Yang and Lerch "
        "2018). Human: one half of the human pieces against the other, the most that can be "
        "expected.</p>",
        table(head, rows),
        "<div class=many>",
        *(
            f"<figure>{drawn.distribution(FEATURES[name], shares)}</figure>"
            for name, shares in music.shares.items()
        ),
        "</div>",
    ]


def _judged(verdict: Verdict) -> list[str]:
    about = (
        f"A forest of trees, taught on other pieces and samples, tells {verdict.clips[0]} clips of "
        f"30 s of the model from {verdict.clips[1]} of people with an AUC of "
        f"{verdict.auc.text(3)}; 0.5 is chance. What gives the model away, most first:"
    )
    rows = [(name, f"{share:.3f}") for name, share in verdict.gives_away]
    return [
        "<h2>A judge</h2>",
        f"<p>{escape(about)}</p>",
        table(("", "share of its decisions"), rows),
    ]


def _run(music: Music) -> list[str]:
    found = [(sample.run, sample.seed) for sample in music.samples if sample.run is not None]
    if not found:
        return []
    run, seed = max(found, key=lambda pair: (pair[0].notes, -pair[1]))
    said = (
        f"The longest run shared with a training piece, in any key and nearly in time: {run.notes} "
        f"notes of {run.piece} from {run.there_s:.1f} s on, in seed {seed} from {run.here_s:.1f} s "
        f"on, {run.semitones:+d} semitones."
    )
    return [f"<p>{escape(said)}</p>"]


def _rolls(music: Music) -> list[str]:
    sample = music.samples[len(music.samples) // 2]
    said = (
        f"The first {_ROLL_S:g} s of seed {sample.seed}, the median of the samples ranked by how "
        f"far their distributions overlap with the human ones, on average over all features: "
        f"{sample.likeness:.3f}. Brighter is louder."
    )
    picture = drawn.roll(window(sample.performance, 0.0, _ROLL_S))
    return [
        f'<figure><img src="{picture}" alt="Piano roll of seed {sample.seed}">'
        f"<figcaption>{said}</figcaption></figure>"
    ]


def _made(report: Report) -> list[str]:
    made, data = report.made, report.data
    parts = ["<h2>How it was made</h2>"]
    if made["command"]:
        parts.append(f"<p><code>{escape(made['command'])}</code></p>")
    facts: dict[str, Any] = {
        "time": f"{made['when']}, {made['taken_s']:g} s on {made['machine']}",
        "versions": ", ".join(f"{name} {number}" for name, number in made["versions"].items()),
        "commit": made["commit"] or "not known",
        "seed of samples and windows": made["seed"],
        "notes outside the vocabulary": data["outside"],
        **{f"model: {name}": value for name, value in report.model.items() if value is not None},
    }
    parts.append("<dl>")
    parts += [
        f"<dt>{escape(name)}</dt><dd>{escape(str(fact))}</dd>" for name, fact in facts.items()
    ]
    parts.append("</dl>")
    for what, why in (
        ("skipped", "could not be read, or without notes"),
        ("missing", "in the CSV, but not found"),
    ):
        if data[what]:
            listed = "".join(f"<li>{escape(line)}</li>" for line in data[what])
            parts.append(
                f"<details><summary>{several(len(data[what]), 'file')} {why}</summary>"
                f"<ul>{listed}</ul></details>"
            )
    return parts
