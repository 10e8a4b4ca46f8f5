"""Commands that are stopped at random moments lose nothing, and end as if they had not been.

`prepare`, `train`, `export`, `generate -o`, `render` and `evaluate` are run on small inputs that
are made here: once undisturbed, then again and again, each time stopped at a random moment by
SIGKILL, SIGTERM or SIGINT, sent to all its processes. Then

- what stood at the output is as it was, or whole and new;
- after SIGTERM and SIGINT no temporary file is left;
- the last checkpoint of a run, if there is one, can be read, and is not older than before;
- the same command again (`train` with ``--resume``) ends, with the bytes of the undisturbed run
  (of a run its weights; of a report all but when and how long), and leaves no temporary file.

Each runs in processes forked from one that has everything loaded, so that a moment falls into the
work and not into imports.

    python bench/kills.py [--moments 200] [--only train] [--seed 0] [--json]

Exits with 1 if anything was lost or differs. Linux and macOS only, as `fork` is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from espressivo import Performance
from espressivo.cli import main as command_line
from espressivo.data import Dataset
from espressivo.errors import EspressivoError
from espressivo.training import Checkpoint

TRAIN = (
    "train data --out run --hidden 32 --layers 1 --batch 4 --window 32 --carry --rounds 3 "
    "--validate-every 10 --checkpoint-every 0 --precision 32-true --accelerator cpu"
)
COMMANDS = {
    "prepare": "prepare corpus --out set --workers 1",
    "train": TRAIN,
    "export": "export trained -o out.onnx",
    "generate": "generate --seconds 20 --seed 1 -o out.mid",
    "render": "render corpus/0.mid -o out.wav",
    "evaluate": "evaluate seed corpus --out report --samples 2 --seconds 10 --workers 1",
}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def _weights(folder: Path) -> Any:
    checkpoint = Checkpoint.load(folder / "run" / "last.ckpt")
    return checkpoint.step, {name: t.numpy().tobytes() for name, t in checkpoint.network.items()}


def _dataset(folder: Path) -> Any:
    dataset = Dataset(folder / "set")
    ids = [dataset.ids(piece).tobytes() for piece in dataset.pieces]
    return dataset.vocabulary.name, dataset.sha256, ids


def _report(folder: Path) -> Any:
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return {name: value for name, value in report.items() if name != "made"}


def _file(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).read_bytes()


RESULTS: dict[str, Callable[[Path], Any]] = {
    "prepare": _dataset,
    "train": _weights,
    "export": _file("out.onnx"),
    "generate": _file("out.mid"),
    "render": _file("out.wav"),
    "evaluate": _report,
}


class Run(NamedTuple):
    """A command that is running, and when it began."""

    process: int
    began_s: float


def start(folder: Path, words: str) -> Run:
    """Start a command in a session of its own."""
    began_s = time.monotonic()
    child = os.fork()
    if child:
        return Run(child, began_s)
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(nothing, number)
        said = os.open(folder.parent / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(said, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["espressivo", *words.split()]
        try:
            command_line()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(status)


def end(run: Run) -> int:
    """Wait until a command has ended; return its status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(run.process, 0)[1])


def stop(run: Run, at_s: float, number: signal.Signals) -> int | None:
    """Stop a command at a moment; return its status, None if it had ended before."""
    while (left_s := run.began_s + at_s - time.monotonic()) > 0:
        process, status = os.waitpid(run.process, os.WNOHANG)
        if process:
            if os.waitstatus_to_exitcode(status):
                raise ValueError(f"ended by itself with {os.waitstatus_to_exitcode(status)}")
            return None
        time.sleep(min(left_s, 0.005))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.process, number)
    return end(run)


def left(folder: Path) -> list[str]:
    """Return the names of temporary files."""
    return sorted(path.name for path in folder.rglob(".*.partial"))


def make_inputs(folder: Path) -> None:
    """Make a corpus, a dataset, a run and an old output of each command."""
    (folder / "corpus").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(16):
        onset_s = np.sort(rng.random(200)) * 40
        Performance.from_arrays(
            onset_s=onset_s,
            offset_s=onset_s + 0.3,
            pitch=rng.integers(30, 90, 200),
            velocity=rng.integers(1, 128, 200),
        ).write(folder / "corpus" / f"{number}.mid")
    old = (
        "prepare corpus --out data --workers 1",
        "prepare corpus --out set --vocabulary magenta --workers 1",
        TRAIN.replace("--out run", "--out trained"),
        "export trained -o out.onnx --name old",
        "generate --seconds 1 --seed 2 -o out.mid",
        "render out.mid -o out.wav",
        "evaluate seed corpus/0.mid --out report --samples 0 --workers 1",
    )
    for words in old:
        if end(start(folder, words)):
            raise ValueError(f"{words}: {(folder.parent / 'said.txt').read_text()}")


def disturbed(
    name: str, inputs: Path, folder: Path, right: Any, at_s: float, number: signal.Signals
) -> str:
    """Stop a command once, and run it to its end; return what is wrong, or nothing."""
    shutil.copytree(inputs, folder, symlinks=True)
    result = RESULTS[name]
    before = None if name == "train" else result(folder)
    status = stop(start(folder, COMMANDS[name]), at_s, number)
    words = COMMANDS[name]
    if name != "train":
        try:
            now = result(folder)
        except EspressivoError as error:  # old and new files of a dataset, which is not believed
            if number != signal.SIGKILL or name != "prepare":
                return f"lost: {error}"
            now = before
        if now not in (before, right):
            return "what stood there is neither as it was nor new"
    elif (folder / "run" / "last.ckpt").exists():
        _weights(folder)  # an error if it cannot be read
        words = "train data --out run --resume --accelerator cpu"
    if status is not None and number != signal.SIGKILL and left(folder):
        return f"after {number.name} is left: {', '.join(left(folder))}"
    if end(start(folder, words)):
        return f"does not go on: {(folder.parent / 'said.txt').read_text()[-300:]}"
    if result(folder) != right:
        return "ends otherwise than undisturbed"
    return f"at last is left: {', '.join(left(folder))}" if left(folder) else ""


def measure(name: str, inputs: Path, folder: Path, moments: int, chance: random.Random) -> Any:
    """Stop a command at so many moments; return what was counted."""
    shutil.copytree(inputs, folder / "whole", symlinks=True)
    run = start(folder / "whole", COMMANDS[name])
    if end(run):
        raise ValueError(f"{name}: {(folder / 'said.txt').read_text()}")
    took_s, right = time.monotonic() - run.began_s, RESULTS[name](folder / "whole")
    faults = []
    for moment in range(moments):
        at_s, number = chance.random() * took_s, chance.choice(SIGNALS)
        try:
            wrong = disturbed(name, inputs, folder / f"{moment}", right, at_s, number)
        except (EspressivoError, OSError, ValueError) as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            faults.append(f"{name}, {number.name} at {at_s:.3f} s of {took_s:.3f}: {wrong}")
        shutil.rmtree(folder / f"{moment}", ignore_errors=True)
    return {"moments": moments, "took_s": round(took_s, 2), "faults": faults}


def main() -> int:
    """Stop them and show what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=200, help="of all commands together")
    parser.add_argument("--only", action="append", choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chance, names = random.Random(arguments.seed), arguments.only or list(COMMANDS)  # noqa: S311
    result = {}
    with tempfile.TemporaryDirectory() as root:
        make_inputs(Path(root) / "inputs")
        for number, name in enumerate(names):
            moments = (arguments.moments + number) // len(names)
            folder = Path(root) / name
            folder.mkdir()
            result[name] = measure(name, Path(root) / "inputs", folder, moments, chance)
            if not arguments.json:
                print(f"{name:10}", *(f"{k} {v}" for k, v in result[name].items() if k != "faults"))
                print(*result[name]["faults"], sep="\n", end="\n" * bool(result[name]["faults"]))
                sys.stdout.flush()
    if arguments.json:
        print(json.dumps(result))
    return 1 if any(about["faults"] for about in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
