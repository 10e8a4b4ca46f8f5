"""Damaged inputs of every kind: each is read, healed or refused in one line, and nothing is lost.

1. command line: 200 files that are no MIDI files, or odd ones, are given to ``espressivo events``,
   which prints their events or says in one line why not, and to ``espressivo plot``, whose output
   stands there already and must stay if there is no new one.
2. midi: mutants of MIDI files are read and described. In half of them the lengths of chunks are put
   right, so that the damage within is met.
3. datasets: a file of a prepared dataset, or of its shards, is damaged. What is read of it must be
   what was written, and `prepare` must make it whole again, byte for byte.
4. checkpoints, networks (config.json and model.safetensors), models (.onnx): damaged, they must be
   refused. Of each there is a second row, of mutants that are sealed anew, as no accident does:
   these may be read, but must not crash.
5. soundfonts: two keys are played by mutants of the bundled one.

Mutants are made by changing, taking out, putting in and repeating bytes. Each is tried in a process
of its own, forked from one that has everything loaded, with a limit of time and of 4 GB of memory.
A fault is a traceback (any error that is not the package's own), an error of several lines, a
crash, a hang, a changed byte of a hashed file that is believed, or an output that is lost.

    python bench/bad_inputs.py [--share 0.01] [--only midi] [--seed 0] [--json]

`--share` tries only a part of all. Linux and macOS only, as `fork` is.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import itertools
import json
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from espressivo import Performance, midi, vocabulary
from espressivo.cli import main as command_line
from espressivo.data import Dataset, prepare
from espressivo.engine import Engine
from espressivo.errors import EspressivoError
from espressivo.files import seal
from espressivo.music import CONTROL_DTYPE, PEDALS
from espressivo.views import bundled, render

MEMORY = 4 << 30
FINE = ("read", "refused", "healed")
PLAYED = Performance.from_arrays(
    onset_s=[0.0, 0.1], offset_s=[0.3, 0.4], pitch=[60, 72], velocity=[30, 100]
)


class Fault(Exception):
    """What must not be."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is tried: mutants, and what is done with each in a folder of its own.

    `use` returns one of `FINE`, or raises; `count` is how many there are in all.
    """

    name: str
    count: int
    limit_s: int
    mutants: Iterator[Any]
    use: Callable[[Any, Path], str]


# 1. The command line


def _good() -> bytes:
    rng = np.random.default_rng(0)
    onset_s = np.sort(rng.random(40)) * 8
    pitch, velocity = rng.integers(30, 90, 40), rng.integers(1, 128, 40)
    return midi.to_bytes(
        Performance.from_arrays(
            onset_s=onset_s, offset_s=onset_s + 0.3, pitch=pitch, velocity=velocity
        )
    )


def _head(length: int = 6, kind: int = 1, tracks: int = 1, division: int = 480) -> bytes:
    numbers = (kind.to_bytes(2, "big"), tracks.to_bytes(2, "big"), division.to_bytes(2, "big"))
    return b"MThd" + length.to_bytes(4, "big") + b"".join(numbers)


def _chunk(events: bytes, length: int | None = None) -> bytes:
    size = len(events) if length is None else length
    return b"MTrk" + size.to_bytes(4, "big") + events


def bad_files(folder: Path) -> list[Path]:
    """Write the bad files; return the paths to try."""
    whole = _good()
    on, end = b"\x00\x90\x3c\x40", b"\x00\xff\x2f\x00"
    broken = {
        "empty": b"",
        "text": b"this is not music",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "zip": b"PK\x03\x04" + bytes(100),
        "wrong magic": b"MThx" + whole[4:],
        "wrong track magic": whole.replace(b"MTrk", b"MTrx"),
        "zero division": whole[:12] + b"\0\0" + whole[14:],
        "smpte of 1 frame": whole[:12] + b"\xff\x04" + whole[14:],
        "smpte of 0 ticks": whole[:12] + b"\xe8\x00" + whole[14:],
        "type 3": whole[:8] + b"\0\3" + whole[10:],
        "type 65535": whole[:8] + b"\xff\xff" + whole[10:],
        "no tracks": _head(tracks=0),
        "65535 tracks": whole[:10] + b"\xff\xff" + whole[12:],
        "header of 0": _head(length=0) + _chunk(end),
        "header of 4 GB": _head(length=0xFFFFFFFF) + _chunk(end),
        "track of 4 GB": _head() + _chunk(on + end, 0xFFFFFFFF),
        "track of 2 GB": _head() + _chunk(on + end, 0x7FFFFFFF),
        "track a byte too long": _head() + _chunk(on + end, len(on + end) + 1),
        "data without status": _head() + _chunk(b"\x00\x40\x40" + end),
        "undefined status": _head() + _chunk(b"\x00\xf4" + end),
        "pitch 200": _head() + _chunk(b"\x00\x9f\xc8\x40" + end),
        "velocity 200": _head() + _chunk(b"\x00\x90\x40\xc8" + end),
        "endless number": _head() + _chunk(b"\xff\xff\xff\xff\xff\x7f" + on + end),
        "tempo 0": _head() + _chunk(b"\x00\xff\x51\x03\0\0\0" + on + end),
        "tempo of 1 byte": _head() + _chunk(b"\x00\xff\x51\x01\x07" + on + end),
        "meta past the end": _head() + _chunk(b"\x00\xff\x01\x7fab" + end),
        "sysex past the end": _head() + _chunk(b"\x00\xf0\xff\xff\x7fab"),
        "ticks past 32 bits": _head() + _chunk((b"\xff\xff\xff\x7f" + on[1:]) * 20 + end),
        "a week": _head(division=1) + _chunk(on + b"\xbf\xff\xff\x7f\x80\x3c\x00" + end),
        "riff without data": b"RIFF\x04\0\0\0RMID",
        "riff cut": b"RIFF\xff\0\0\0RMIDdata\xf0\0\0\0" + whole,
        "17 MB": bytes(17 << 20),
    }
    for size in np.unique(np.linspace(1, len(whole) - 1, 80).astype(int)):
        broken[f"cut at {size}"] = whole[:size]
    rng = np.random.default_rng(1)
    for number in range(40):
        broken[f"random {number}"] = rng.bytes(int(rng.integers(1, 5000)))
    for number in range(44):
        broken[f"random track {number}"] = _head() + _chunk(b"\x00\xf4" + rng.bytes(200))
    paths = []
    for name, content in broken.items():
        paths.append(folder / f"{name}.mid")
        paths[-1].write_bytes(content)
    (folder / "a folder.mid").mkdir()
    (folder / "a link to nothing.mid").symlink_to("nowhere")
    paths += [folder / "a folder.mid", folder / "a link to nothing.mid", folder / "missing.mid"]
    paths.append(folder / "missing folder" / "a.mid")
    if os.name == "posix" and os.geteuid() != 0:
        (folder / "forbidden.mid").write_bytes(whole)
        (folder / "forbidden.mid").chmod(0)
        paths.append(folder / "forbidden.mid")
    return paths


def say(path: Path, folder: Path) -> str:
    """Give a bad file to the command line."""
    status, out, err = _command("events", path)
    line = err.removesuffix("\n")
    if status not in (0, 1) or (status and out) or "\n" in line or path.name not in line:
        raise Fault(f"status {status}: {err[:200]}")
    picture = folder / "old.png"
    picture.write_bytes(b"old")
    drawn, _, _ = _command("plot", path, "-o", picture)
    kept = b"old" if drawn else b"\x89PNG"
    if [p.name for p in folder.iterdir()] != ["old.png"] or picture.read_bytes()[:4] != kept[:4]:
        raise Fault(f"lost output, status {drawn}")
    return "refused" if status else "read"


def _command(*words: object) -> tuple[int, str, str]:
    sys.argv = ["espressivo", *map(str, words)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        logging.getLogger().handlers.clear()  # they write to an earlier standard error
        try:
            command_line()
        except SystemExit as end:
            status = int(end.code or 0)
    return status, out.getvalue(), err.getvalue()


# 2. MIDI files


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Damage bytes the way transfers and careless writers do."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 10, 40))):
        at = chance.randrange(len(data) + 1)
        # Half of the damage is where the structure stands: at the beginning and at the end.
        if chance.random() < 0.5:
            near = min(len(data), 2000)
            at = chance.choice((chance.randrange(near + 1), len(data) - chance.randrange(near + 1)))
        way = chance.randrange(6)
        if way == 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        elif way == 1:
            data[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        elif way == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif way == 3:
            del data[at : at + chance.choice((1, 2, 8, 200))]
        elif way == 4:
            begin = chance.randrange(len(data) + 1)
            data[at:at] = data[begin : begin + chance.randrange(200)]
        else:
            data[at:at] = chance.choice((b"\x9f\x80\x40", b"\xf4", b"\xff\x51\0", b"\xff\x2f\0"))
    return bytes(data)


def _midi_files() -> list[bytes]:
    """Return sound MIDI files of several kinds."""
    rng = np.random.default_rng(0)
    onset_s = np.sort(rng.random(60)) * 9
    moves = [(n / 5, PEDALS[n % 3], int(rng.integers(128))) for n in range(40)]
    performance = Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + 0.3,
        pitch=rng.integers(30, 90, 60),
        velocity=rng.integers(1, 128, 60),
        controls=np.array(moves, CONTROL_DTYPE),
    )
    written = midi.to_bytes(performance, key_signature=(2, True))
    tracks = written.split(b"MTrk")
    channels = b"".join(
        bytes((0, 0x90 | c, 60, 9, 0, 0xB0 | c, 64, 99, 5, 0x80 | c, 60, 0)) for c in range(16)
    )
    one = b"MThd\0\0\0\6\0\0\0\1\1\xe0" + _chunk(channels + b"\0\xff\x2f\0")
    patterns = b"MThd\0\0\0\6\0\2\0\4\1\xe0" + b"".join(_chunk(tracks[n][4:]) for n in (1, 2, 1, 2))
    return [written, one, patterns]


def midi_mutants(chance: random.Random) -> Iterator[bytes]:
    """Give damaged MIDI files; of every second one the lengths of its chunks are right."""
    whole = _midi_files()
    for number in itertools.count():
        data = damaged(chance.choice(whole), chance)
        if number % 2:
            head, *tracks = data.split(b"MTrk")
            data = head + b"".join(_chunk(track[4:]) for track in tracks)
        yield data


def read_midi(data: bytes, folder: Path) -> str:
    """Read a MIDI file and list what it holds."""
    path = folder / "mutant.mid"
    path.write_bytes(data)
    midi.read(path)
    "\n".join(midi.describe(path).lines())
    return "read"


# 3. Datasets


def prepared(folder: Path) -> Path:
    """Prepare a dataset of four short pieces; return a folder with them and it."""
    (folder / "corpus").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(4):
        onset_s = np.sort(rng.random(40)) * 9
        Performance.from_arrays(
            onset_s=onset_s,
            offset_s=onset_s + 0.3,
            pitch=rng.integers(30, 90, 40),
            velocity=rng.integers(1, 128, 40),
        ).write(folder / "corpus" / f"{number}.mid")
    _prepare(folder)
    return folder


def _prepare(folder: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        prepare(
            [folder / "corpus"],
            folder / "set",
            vocabulary=vocabulary("seed"),
            executor=executor,
        )


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def dataset_mutants(whole: Path, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Give names of files of a dataset, and damaged contents of them."""
    files = _contents(whole / "set")
    while True:
        name = chance.choice(sorted(files))
        content = damaged(files[name], chance)
        if content != files[name]:
            yield name, content


def read_dataset(whole: Path) -> Callable[[tuple[str, bytes], Path], str]:
    """Return what reads a damaged dataset, and lets `prepare` make it whole."""
    right = _contents(whole / "set")

    def use(mutant: tuple[str, bytes], folder: Path) -> str:
        name, content = mutant
        shutil.copytree(whole, folder / "all")
        path = folder / "all" / "set" / name
        path.write_bytes(content)
        try:
            dataset = Dataset(folder / "all" / "set")
            read = b"".join(dataset.ids(piece).astype("<u2").tobytes() for piece in dataset.pieces)
        except EspressivoError as error:
            _check_line(error)
        else:
            if read != right["pieces.ids"] or name in ("dataset.json", "manifest.csv"):
                raise Fault(f"believed: {name}")
        _prepare(folder / "all")
        if _contents(folder / "all" / "set") != right:
            raise Fault(f"believed, not healed: {name}")
        return "healed"

    return use


# 4. Checkpoints, networks and models


def network_files(folder: Path) -> dict[str, bytes]:
    """Return whole files of a tiny network, by name."""
    from espressivo.export import export
    from espressivo.networks import RecurrentConfig, build, save_pretrained
    from espressivo.training import Checkpoint, TrainingConfig

    config = TrainingConfig(network=RecurrentConfig(hidden=4, layers=1))
    network = build(config.network, vocabulary("seed"))
    Checkpoint(config, vocabulary("seed"), network.state_dict(), [], 1).save(folder / "last.ckpt")
    card = {"name": "tiny", "licence": "none", "trained_on": "nothing"}
    save_pretrained(network, vocabulary("seed"), folder, card=card)
    export(network, vocabulary("seed"), folder / "a.onnx", card=card)
    names = ("last.ckpt", "config.json", "model.safetensors", "a.onnx")
    return {name: (folder / name).read_bytes() for name in names}


def sealed_mutants(
    files: dict[str, bytes], names: tuple[str, ...], chance: random.Random, *, anew: bool
) -> Iterator[dict[str, bytes]]:
    """Give files of which one is damaged, and perhaps sealed anew, where its seal is left."""
    while True:
        name = chance.choice(names)
        content = bytearray(damaged(files[name], chance))
        if anew:
            with contextlib.suppress(ValueError):
                seal(content)
        if content != files[name]:
            yield {**{each: files[each] for each in names}, name: bytes(content)}


def load_sealed(*, anew: bool) -> Callable[[dict[str, bytes], Path], str]:
    """Return what loads damaged files of a network."""
    from espressivo.networks import load_pretrained
    from espressivo.training import load_network

    def use(files: dict[str, bytes], folder: Path) -> str:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        if "a.onnx" in files:
            Engine(folder / "a.onnx")
        elif "last.ckpt" in files:
            load_network(folder / "last.ckpt")
        else:
            load_pretrained(folder)
        if not anew:
            raise Fault("believed")
        return "read"

    return use


# 5. Soundfonts


def soundfont_mutants(chance: random.Random) -> Iterator[bytes]:
    """Give damaged copies of the bundled soundfont."""
    whole = bundled().read_bytes()
    while True:
        yield damaged(whole, chance)


def play_soundfont(data: bytes, folder: Path) -> str:
    """Play two keys by a soundfont."""
    path = folder / "mutant.sf3"
    path.write_bytes(data)
    render(PLAYED, soundfont=path)
    return "read"


# All of them


def forked(work: Callable[[], str], seconds: int) -> str:
    """Return what comes of some work in a process of its own: one of `FINE`, or the fault."""
    said, say = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(said)
        signal.alarm(seconds)
        most = MEMORY + int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            outcome = work()
        except EspressivoError as error:
            outcome = "several lines" if "\n" in str(error) else "refused"
        except Fault as error:
            outcome = str(error)
        except BaseException as error:
            outcome = f"traceback: {type(error).__name__}: {str(error)[:200]}"
        os.write(say, outcome.encode("utf-8", "replace"))
        os._exit(0)
    os.close(say)
    with os.fdopen(said, "rb") as pipe:
        outcome = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if outcome:
        return outcome
    code = os.waitstatus_to_exitcode(status)
    return "hang" if code == -signal.SIGALRM else f"crash: status {code}"


def _check_line(error: EspressivoError) -> None:
    if "\n" in str(error):
        raise Fault("several lines") from error


def tried(trial: Trial, count: int) -> dict[str, Any]:
    """Try so many mutants; return how often each outcome came, the faults and the slowest."""
    outcomes, faults, slowest_s = Counter[str](), list[str](), 0.0
    for number in range(count):
        mutant = next(trial.mutants)
        with tempfile.TemporaryDirectory() as name:
            begin_s = time.monotonic()
            outcome = forked(lambda m=mutant, n=name: trial.use(m, Path(n)), trial.limit_s)
            slowest_s = max(slowest_s, time.monotonic() - begin_s)
        outcomes[outcome.partition(":")[0]] += 1
        if outcome not in FINE:
            faults.append(f"{trial.name} {number}: {outcome}")
    return {
        "tried": count,
        **{fine: outcomes[fine] for fine in FINE},
        "faults": len(faults),
        "first_faults": faults[:10],
        "slowest_s": round(slowest_s, 2),
    }


def check_whole(use: Callable[[Any, Path], str], item: Any, limit_s: int = 60) -> None:
    """Make sure that a trial refuses mutants for what they are: it must read what is not damaged.

    Raises
    ------
    Fault
        If it does not.
    """
    with tempfile.TemporaryDirectory() as name:
        outcome = forked(lambda: use(item, Path(name)), limit_s)
    if outcome not in ("read", "healed"):
        raise Fault(f"{use.__name__} does not take what is whole: {outcome}")


def trials(folder: Path, seed: int) -> Iterator[Trial]:
    """Give all that is tried; what needs torch comes when all that forks without it is done."""
    chance = random.Random(seed)  # noqa: S311
    (folder / "bad").mkdir()
    files = bad_files(folder / "bad")
    chance.shuffle(files)
    yield Trial("command line", len(files), 60, iter(files), say)
    midi.from_bytes(_midi_files()[0])  # so that everything is loaded
    check_whole(read_midi, _midi_files()[0])
    yield Trial("midi", 100_000, 10, midi_mutants(chance), read_midi)
    whole = prepared(folder / "whole")
    ids = (whole / "set" / "pieces.ids").read_bytes()
    check_whole(read_dataset(whole), ("pieces.ids", ids))
    yield Trial("datasets", 20_000, 60, dataset_mutants(whole, chance), read_dataset(whole))
    render(PLAYED)
    check_whole(play_soundfont, bundled().read_bytes())
    yield Trial("soundfonts", 2000, 60, soundfont_mutants(chance), play_soundfont)
    (folder / "network").mkdir()
    networks = network_files(folder / "network")
    for name, of in (
        ("checkpoints", ("last.ckpt",)),
        ("networks", ("config.json", "model.safetensors")),
        ("models", ("a.onnx",)),
    ):
        check_whole(load_sealed(anew=True), {each: networks[each] for each in of})
        for anew in (False, True):
            mutants = sealed_mutants(networks, of, chance, anew=anew)
            row = f"{name}, sealed anew" if anew else name
            yield Trial(row, 2000, 60, mutants, load_sealed(anew=anew))


def main() -> int:
    """Try them and show what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of all, to try a part")
    parser.add_argument("--only", action="append", help="what to try (repeatable)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as name:
        for trial in trials(Path(name), arguments.seed):
            if arguments.only and trial.name.partition(",")[0] not in arguments.only:
                continue
            about = tried(trial, max(1, round(trial.count * arguments.share)))
            result[trial.name] = about
            if not arguments.json:
                shown = {key: value for key, value in about.items() if key != "first_faults"}
                print(f"{trial.name:26}", *(f"{key} {value}" for key, value in shown.items()))
                print(*about["first_faults"], sep="\n", end="\n" * bool(about["first_faults"]))
                sys.stdout.flush()
    if arguments.json:
        print(json.dumps(result))
    return 1 if any(about["faults"] for about in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
