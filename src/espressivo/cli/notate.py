"""Commands that find the beats of a performance and write it down."""

from __future__ import annotations

import json
from pathlib import Path

import click

from espressivo.cli.options import JSON, MIDI, PATH, Example, Output, performance_of, report
from espressivo.errors import ScoreError
from espressivo.notation import WRITTEN

__all__ = ["COMMANDS"]


@click.command(
    cls=Example,
    epilog="""
    espressivo beats take.mid
    espressivo beats take.mid --json
    espressivo beats take.mid -o for-my-daw.mid
    """,
)
@click.argument("file", type=PATH)
@click.option(
    "-o",
    "--output",
    type=Output(*MIDI),
    help="MIDI file with the same notes at the same times, whose bars fall on the beats.",
)
@JSON
def beats(file: Path, output: Path | None, as_json: bool) -> None:
    """Find beats, measures, tempo and key of free playing.

    FILE is MIDI. With -o, only notes and pedals of FILE are written, and the beats as tempo map.
    """
    from espressivo import midi
    from espressivo.notation import beats as find

    performance = performance_of(file)
    found = find(performance)
    if len(found) < 2:
        raise click.ClickException(f"{file}: has no beats: give a file with more notes")
    if output is not None:
        midi.write(performance, output, beats=found)
    sharps = [] if found.sharps is None else found.sharps.tolist()
    if as_json:
        rows = [
            {"seconds": round(at_s, 4), "downbeat": down, "quarters": lasts, "sharps": key}
            for at_s, down, lasts, key in zip(
                found.time_s.tolist(),
                found.downbeat.tolist(),
                found.quarters.tolist(),
                sharps,
                strict=True,
            )
        ]
        meters = [{"beat": beat, "meter": f"{over}/{under}"} for beat, over, under in found.meters]
        about = {"file": str(file), "tempo": round(found.tempo, 2), "meter": found.meter}
        report(json.dumps({**about, "meters": meters, "beats": rows}), output or Path())
        return
    measures = int(found.downbeat.sum())
    key = max(set(sharps), key=sharps.count)
    signs = "no sharps or flats" if not key else f"{abs(key)} {'sharps' if key > 0 else 'flats'}"
    signs = signs.removesuffix("s") if abs(key) == 1 else signs
    line = (
        f"{file}: {len(found)} beats in {measures} measures, {found.meter}, "
        f"{found.tempo:.0f} beats a minute, {signs}"
    )
    report(line, output or Path())


@click.command(
    cls=Example,
    epilog="""
    espressivo notate take.mid -o take.musicxml
    espressivo notate take.mid -o take.pdf --title "An evening"
    espressivo notate take.mid -o take.svg --tempo-map take-in-bars.mid
    """,
)
@click.argument("file", type=PATH)
@click.option(
    "-o",
    "--output",
    type=Output(*WRITTEN),
    required=True,
    help="MusicXML (.musicxml, .xml), or pages (.svg, one file each, or .pdf).",
)
@click.option("--title", default="", help="What stands above the music.")
@click.option(
    "--tempo-map",
    type=Output(*MIDI),
    help="Write also a MIDI file whose bars fall on the beats, every note at its time.",
)
@JSON
def notate(file: Path, output: Path, title: str, tempo_map: Path | None, as_json: bool) -> None:
    """Write down free playing, a MIDI FILE, as notes in measures.

    Beats, measures and key are found as by `espressivo beats`. Pages need the extra score.
    """
    from espressivo import midi
    from espressivo.notation import beats as find
    from espressivo.notation import notate as write_down
    from espressivo.notation import write_score

    performance = performance_of(file)
    found = find(performance)
    try:
        score = write_down(performance, found)
    except ScoreError as error:
        raise ScoreError(f"{file}: {error}") from None
    files = write_score(score, output, title=title)
    if tempo_map is not None:
        midi.write(performance, tempo_map, beats=found)
        files.append(str(tempo_map))
    measures = len(score.measures)
    if as_json:
        about = {"files": files, "notes": len(score), "measures": measures, "meter": found.meter}
        report(json.dumps({**about, "tempo": round(found.tempo, 2)}), output)
        return
    report(f"{files[0]}: {len(score)} notes in {measures} measures, {found.meter}", output)
    for name in files[1:]:
        report(name, output)


COMMANDS = (beats, notate)
