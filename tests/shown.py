"""Commands and Python as documentation and `--help` show them: understood, shortened, run."""

from __future__ import annotations

import ast
import csv
import importlib.util
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from click.testing import CliRunner

from espressivo.cli import cli
from espressivo.midi import song_of
from espressivo.music import Performance, Score
from espressivo.notation import write_score
from soundfont import soundfont

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "MODEL_CARD.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

NOT_RUN = {  # by how they begin, and why
    "espressivo evaluate seed recordings --judge": "plays 200 clips; see test_judge.py",
    "espressivo evaluate pianist": "needs ASAP",
    "espressivo compare reports/passed": "needs the runs before it",
    "espressivo evaluate passed": "needs the runs before it",
    "espressivo export heart": "needs the run before it",
    "espressivo generate --model hf:": "needs the hub; see test_hub.py",
    "espressivo generate --primer recording": "needs the extra transcribe; see test_transcribe.py",
    "espressivo transcribe": "needs the extra transcribe; see test_transcribe.py",
    "espressivo learn my-recordings": "needs the extra transcribe; see test_transcribe.py",
    "espressivo live": "needs a MIDI driver and a keyboard; see test_ports.py",
    "espressivo stream": "needs a MIDI driver or a sound device; see test_endless.py",
    "espressivo page": "needs the engine that make page builds; see test_site.py",
    "espressivo train four": "learns four pieces by heart; see test_straying.py",
    "espressivo perform score.mid --model": "needs what tools/interpreter.py trains",
    "docker": "needs its service",
    "espressivo prepare recordings --out data --scheduler": "needs a cluster; see test_corpus.py",
    "espressivo prepare recordings --out s3:": "needs a bucket; see test_cloud.py",
    "espressivo train s3:": "needs a bucket; see test_cloud.py",
    "espressivo serve": "serves until it is interrupted; see test_server.py",
    "hf upload": "needs the hub",
    "make": "makes the environment that this runs in",
    "pip install": "installs",
    "pipx run": "installs",
    "python -m http.server": "serves until it is interrupted",
    "python -m venv": "makes an environment",
    "python bench/": "needs MAESTRO or ASAP, and minutes",
    "python tools/": "needs ASAP or an index of packages",
    "source": "is the shell's",
    "torchrun": "needs machines; see test_training.py",
    "uvx": "installs",
}
"""What cannot run where the tests run. Its options, extras and files are looked up all the same."""

GUESTS = ("miditok", "muspy", "pretty_midi")
"""Libraries that the extra `dev` lacks: Python that needs them runs where they are."""

_BRIEFLY = "--batch 2 --rounds 0.2 --no-compile --accelerator cpu"
SHORTER = {  # what is added to those that begin so: all that is changed of a command
    "espressivo demo": "--seconds 2",
    "espressivo evaluate": "--quick --samples 1 --seconds 5 --workers 1",
    "espressivo fill": "--candidates 2",
    "espressivo generate --again": "",
    "espressivo generate --count": "--seconds 1",
    "espressivo generate --events": "--events 20",
    "espressivo generate --form": "--seconds 30",
    "espressivo generate --key A minor": "--notes 20",
    "espressivo generate --primer-chords": "--seconds 16",
    "espressivo generate --style": "--seconds 1 --model tiny.onnx",
    "espressivo generate": "--seconds 3",
    "espressivo learn": "--model tiny.onnx --max-time 00:00:02 --accelerator cpu",
    "espressivo morph mine.mid another.mid": "--candidates 1 --steps 1",
    "espressivo morph": "--candidates 1",
    "espressivo prepare": "--workers 1",
    "espressivo train data --out runs/gru --resume": "--accelerator cpu",
    "espressivo train notes --start-from": f"{_BRIEFLY} --window 16",
    "espressivo train notes": f"{_BRIEFLY} --window 16 --hidden 8 --heads 2",
    "espressivo train": f"{_BRIEFLY} --hidden 8",
    "espressivo vary": "--candidates 2",
}
SHORTER_PYTHON = {  # patterns, and what they become
    r"count=5": "count=1",
    r"generate_batch\(10": "generate_batch(2",
    r"max_time_s=600": 'max_time_s=2, model="tiny.onnx"',
    r"means\[0\], 8\)": "means[0], 2)",
    r"notes=200": "notes=20",
    r"seconds=(30|5)": "seconds=3",
    r"time_s > 60": "time_s > 2",
}

_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str  # relative to the repository
    line: int  # of its fence, from 1
    kind: str  # what stands behind the fence
    text: str


def blocks(kind: str) -> list[Block]:
    """Return the blocks of that kind on all pages; those of the kind "" are for a shell."""
    return [block for block in every_block() if block.kind == kind]


def every_block() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page.relative_to(ROOT).as_posix(), line, found[1], found[2])


def commands(text: str) -> Iterator[list[str]]:
    """Split what a shell would read into commands, each into words, without comments."""
    line = ""
    for part in text.replace("\\\n", " ").splitlines(keepends=True):
        line += part
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # within quotation marks
            continue
        line = ""
        while words and re.match(r"\w+=", words[0]):  # a variable of the environment
            del words[0]
        if words:
            yield words
    assert not line, line


def inline_commands(text: str) -> Iterator[list[str]]:
    """Return the commands of ours that stand within a line of text, with at least one argument."""
    for found in re.findall(r"`((?:espressivo|make|pip install|pipx|uvx|python) [^`]+)`", text):
        yield shlex.split(found)


def of(table: dict[str, str], words: list[str]) -> str:
    line = " ".join(words)
    return next((value for begin, value in table.items() if line.startswith(begin)), "")


def documented() -> list[list[str]]:
    """Return the commands of all pages."""
    return [words for block in blocks("") for words in commands(block.text)]


def examples() -> list[list[str]]:
    """Return the commands that `--help` shows."""
    epilogs = (command.epilog or "" for command in cli.commands.values())
    return [words for epilog in epilogs for words in commands(epilog)]


# --- understood, without running ------------------------------------------------------------------


def understand(words: list[str]) -> None:
    """Look up what a command names: options and their choices, extras, targets, files."""
    program, *rest = words
    if "espressivo" in words:
        _options(words[words.index("espressivo") + 1 :])
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = [word for word in rest if "=" not in word]
        assert [t for t in targets if not re.search(rf"^{t}:", makefile, re.MULTILINE)] == []
    elif program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for extras in re.findall(r"\[([\w,]+)\]", " ".join(rest)):
            assert set(extras.split(",")) <= project["optional-dependencies"].keys(), extras
    elif program == "python" and rest[0].endswith(".py"):
        source = (ROOT / rest[0]).read_text(encoding="utf-8")
        options = [word for word in rest[1:] if word.startswith("--")]
        assert [option for option in options if f'"{option}"' not in source] == []
    else:
        assert of(NOT_RUN, words) or words[:2] == ["python", "-c"], f"nobody knows {words}"


def _options(words: list[str]) -> None:
    if not words or words[0].isupper() or words[0].startswith("-"):  # espressivo COMMAND --help
        return
    command = cli.commands[words[0]]
    context = click.Context(command, info_name=words[0], resilient_parsing=True)
    values, left, _ = command.make_parser(context).parse_args(words[1:])
    assert left == [], left
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice) and values.get(parameter.name or ""):
            parameter.type_cast_value(context, values[parameter.name or ""])


def missing_guests(text: str) -> list[str]:
    """Name the libraries that Python imports, and that need not be installed and are not."""
    named = [guest for guest in GUESTS if re.search(rf"(import|from) {guest}\b", text)]
    return [guest for guest in named if importlib.util.find_spec(guest) is None]


def understand_python(text: str) -> None:
    """Compile, and look up whatever is imported and the names of modules and classes."""
    tree = ast.parse(text)
    known: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and missing_guests(ast.unparse(node)):
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                known[alias.asname or alias.name] = getattr(module, alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in known:
                assert hasattr(known[node.value.id], node.attr), ast.unparse(node)


# --- run, on small data ---------------------------------------------------------------------------


def run(words: list[str]) -> None:
    """Run a command of ours, shortened, or a line of Python, in this process."""
    if words[:2] == ["python", "-c"]:
        return run_python(words[2], "python -c")
    assert words[0] == "espressivo", words
    sooner = [re.sub(r"^\d+(?=:\w+=)", "1", word) for word in words[1:]]  # --at 20:density=14
    arguments = [*sooner, *shlex.split(of(SHORTER, words))]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, (shlex.join(words), result.output, result.exception)


def run_python(text: str, name: str) -> None:
    for pattern, short in SHORTER_PYTHON.items():
        text = re.sub(pattern, short, text)
    exec(compile(text, name, "exec"), {"__name__": name})  # noqa: S102


def music(number: int) -> Performance:
    rng = np.random.default_rng(number)
    onset_s = np.cumsum(rng.choice([0.2, 0.3, 0.4], 90))
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.15,
        pitch=rng.integers(50, 80, 90),
        velocity=rng.integers(40, 90, 90),
    )


def lay_out(home: Path) -> None:
    """Write what commands and examples take up: recordings, scores, a soundfont."""
    for number, folder in enumerate(("maestro", "recordings", "more-recordings", "my-playing")):
        (home / folder).mkdir()
        for file in range(4):
            music(10 * number + file).write(home / folder / f"{file}.mid")
    splits = ("train", "train", "validation", "test")
    with (home / "maestro" / "maestro-v3.0.0.csv").open("w", newline="") as file:
        rows = [(f"{n}.mid", f"piece {n}", split) for n, split in enumerate(splits)]
        csv.writer(file).writerows([("path", "composition", "split"), *rows])
    shutil.copytree(home / "maestro", home / "maestro-v3.0.0")
    for name in ("in", "song", "take"):
        music(50).write(home / f"{name}.mid")
    for name in ("performance", "another", "mine"):
        music(7).slice(0, 5).write(home / f"{name}.mid")
    score = Score.from_arrays(
        onset=np.arange(80), duration=np.ones(80), pitch=40 + np.arange(80) % 32
    )
    song_of(score).write(home / "score.mid")
    write_score(score, home / "score.musicxml")
    (home / "steinway.sf2").write_bytes(soundfont())


def lay_out_tiny_model(home: Path) -> None:
    """Write tiny.onnx, a model that `learn` can begin from."""
    from espressivo import vocabulary
    from espressivo.codes.controls import SIZE
    from espressivo.export import export
    from espressivo.networks import StackConfig, build
    from known import CARD

    config = StackConfig("da", width=16, heads=2, window=8, controls=SIZE, notewise=True)
    notes = vocabulary("notes")
    export(build(config, notes), notes, home / "tiny.onnx", card=CARD)
