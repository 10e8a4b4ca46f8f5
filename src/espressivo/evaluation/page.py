"""Page: a report as one HTML file that needs nothing else, for a person to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from espressivo.evaluation import figures
from espressivo.evaluation.comparison import Side
from espressivo.evaluation.degeneration import SIGNS
from espressivo.evaluation.likelihood import Estimate, Row
from espressivo.evaluation.music import COPIED, Copies, Music
from espressivo.evaluation.report import Report
from espressivo.files import replacing
from espressivo.music import FEATURES

__all__ = ["page", "table", "write_comparison", "write_page"]

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
            *([] if report.music is None else _music(report.music)),
            *_made(report),
        ]
    )
    with replacing(path) as temporary:
        temporary.write_text(page(f"{report.model['name']}: report", body), encoding="utf-8")


def write_comparison(found: Side, path: Path) -> None:
    """Write reports side by side as a page."""
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
    with replacing(path) as temporary:
        temporary.write_text(page("Models side by side", body), encoding="utf-8")


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
    part = ""
    if data["first_events"]:
        part = (
            f" Only the first {data['first_events']} events of each piece: compare with quick "
            "reports alone."
        )
    text = (
        f"Measured on {of}{found.pieces} pieces, {found.events:,} events of the vocabulary "
        f"{report.model['vocabulary']}, {found.notes:,} notes, {found.seconds / 3600:.1f} hours."
    )
    boxes = (
        ("nats per event", found.per_event, 4),
        ("nats per note", found.per_note, 3),
        ("nats per second", found.per_second, 2),
        ("top 1", found.top1, 3),
        ("top 5", found.top5, 3),
    )
    return [
        f"<h1>{escape(str(report.model['name']))}</h1>",
        f"<p>{escape(text + part)}</p>",
        "<div class=key>",
        *(
            f"<div>{name}<b>{estimate.value:.{digits}f}</b><span>{_interval(estimate, digits)}"
            "</span></div>"
            for name, estimate, digits in boxes
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
        parts += [
            table((title, "events", "nats per event", "95 %", "top 1", "top 5"), map(_row, rows)),
            f"<figure>{figures.bars(rows, 'nats per event')}</figure>",
        ]
    return parts


def _row(row: Row) -> tuple[str, ...]:
    return (
        row.name.replace("_", " "),
        f"{row.events:,}",
        f"{row.nats.value:.4f}",
        _interval(row.nats, 4),
        f"{row.top1:.3f}",
        f"{row.top5:.3f}",
    )


def _music(music: Music) -> list[str]:
    rows = []
    for line in music.lines:
        human = None if line.ceiling is None else line.ceiling.mean
        sides = line.model, human, line.floor
        overlaps = ("" if side is None else f"{side.overlap:.3f}" for side in sides)
        divergences = ("" if side is None else f"{side.divergence:.3f}" for side in sides)
        rows.append((FEATURES[line.feature].title, *overlaps, *divergences))
    head = ("", "overlap", "human", "flat", "divergence", "human", "flat")
    about = (
        f"{len(music.samples)} samples of {music.seconds:g} s beside {music.windows} windows of "
        f"as many seconds from {music.pieces} of the pieces (Yang and Lerch 2018). Human: one half "
        "of the human pieces against the other, the most that can be expected. Flat: the same "
        "windows on a grid of sixteenths, all notes equally loud."
    )
    return [
        "<h2>What it plays</h2>",
        f"<p>{escape(about)}</p>",
        table(head, rows),
        "<div class=many>",
        *(
            f"<figure>{figures.distribution(FEATURES[name], shares)}</figure>"
            for name, shares in music.shares.items()
        ),
        "</div>",
        *_rolls(music),
        *_astray(music),
        *([] if music.copies is None else _copies(music, music.copies)),
    ]


def _astray(music: Music) -> list[str]:
    rows = [
        (SIGNS[name], f"{model:.1%}", f"{human:.1%}")
        for name, (model, human) in music.astray.items()
    ]
    return [
        "<h2>Going astray</h2>",
        f"<p>Share of the {len(music.samples)} samples, and of the {music.windows} human windows, "
        "that show a sign of it. Samples are as <code>generate</code> makes them: a "
        "note that was ended for sounding too long counts as hung if that was after 10 s.</p>",
        table(("", "model", "human"), rows),
    ]


def _copies(music: Music, copies: Copies) -> list[str]:
    figures = copies.figures()
    rows = [
        (title, *(form.format(number) for number in figures[name]))
        for name, title, form in (
            ("median run", "longest run of a sample, median", "{:.0f}"),
            ("longest run", "longest run of all", "{:.0f}"),
            ("share", f"share with more than {COPIED} notes", "{:.1%}"),
        )
    ]
    found = [(sample.run, sample.seed) for sample in music.samples if sample.run is not None]
    parts = [
        "<h2>Taken from training pieces</h2>",
        f"<p>Successive notes shared with one of {copies.pieces} training pieces, in any key and "
        "nearly in time.</p>",
        table(("notes", "model", "human"), rows),
    ]
    if found:
        run, seed = max(found, key=lambda pair: (pair[0].notes, -pair[1]))
        said = (
            f"The longest: {run.notes} notes of {run.piece} from {run.there_s:.1f} s on, in seed "
            f"{seed} from {run.here_s:.1f} s on, {run.semitones:+d} semitones."
        )
        parts.append(f"<p class=faint>{escape(said)}</p>")
    return parts


def _rolls(music: Music) -> list[str]:
    ranked = music.samples
    chosen = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
    parts = [
        "<p>Three samples, ranked by how far their distributions overlap with the human ones, on "
        "average over all features. Brighter is louder.</p>"
    ]
    for name, sample in chosen.items():
        said = f"{name}: seed {sample.seed}, overlap {sample.likeness:.3f}"
        parts.append(
            f'<figure><img src="{figures.roll(sample.performance)}" alt="Piano roll, {said}">'
            f"<figcaption>{said}</figcaption></figure>"
        )
    return parts


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
        ("skipped", "could not be read or have no notes"),
        ("missing", "are in the CSV, but were not found"),
    ):
        if data[what]:
            listed = "".join(f"<li>{escape(line)}</li>" for line in data[what])
            parts.append(
                f"<details><summary>{len(data[what])} files {why}</summary><ul>{listed}</ul>"
                "</details>"
            )
    return parts


def _interval(estimate: Estimate, digits: int) -> str:
    if estimate.low is None:
        return "one piece"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
