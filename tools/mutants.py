r"""Mutation run: tell how many small faults the quick tests notice.

A mutant is the package with one small fault; `faults` says of which kinds. A sample of all mutants
of some files is drawn by seed; each is run against the tests that reach the changed line, quickest
first, until one fails. A mutant is killed when a test fails, cannot be collected, crashes, or takes
ten times as long as usual and 10 s more; else it survives. Some survivors do what the original
does, in another way: no program can tell which, so the summary shows each as a diff, for a person
to judge. ::

    pip install --target /tmp/coverage coverage    # needed, and not one of ours
    PYTHONPATH=/tmp/coverage python tools/mutants.py --paths src/espressivo/codes \
        src/espressivo/play src/espressivo/engine/sampling.py --sample 400 --seed 1 \
        --out mutants.json

First the quick tests run once, unchanged, to learn which of them reach which line; those that fail
are left out. All runs are in copies of the repository, so that it can be worked on meanwhile. The
results are written after each mutant, and a summary beside them (``mutants.txt``) at the end. The
same command continues a run that was stopped. Once there are new tests, ``--again`` goes through
the survivors anew, and ``--summary`` only writes the summary.

What is not exact: a line that runs at import, or whose result is cached, counts as reached by
every test that reaches any line of its file; what tests reach in other processes is not seen; and
tests that take longer than ``--longest`` seconds are left out, as if there were none. All three can
only make survivors more. Hypothesis draws the same examples each time, with no deadline.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import importlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults import Mutant, mutants, mutated

ROOT = Path(__file__).resolve().parent.parent
PRELOADED = (  # what tests import that is not ours: loaded once, then every process is a copy
    "numpy symusic onnxruntime onnx torch lightning.fabric tqdm click pytest hypothesis.strategies "
    "hypothesis.extra.numpy aiohttp.test_utils matplotlib.pyplot scipy.stats soundfile"
).split()
RESULTS = "killed", "survived", "not reached"

# ---- Running tests: a process with everything loaded that is not ours, and copies of it


class _Tests:
    """Plugin of pytest: runs the tests wanted, the quickest first, and says what came of it."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.wanted: dict[str, float] | None = job.get("tests")
        self.tracer, self.failed, self.seconds = None, list[str](), dict[str, float]()
        if job.get("map"):
            import coverage

            self.tracer = coverage.Coverage(job["map"], source=["espressivo"], config_file=False)
            self.tracer.start()

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Leave the tests wanted."""
        if self.wanted is not None:
            functions = {name.split("[")[0] for name in self.wanted}
            kept = [item for item in items if item.nodeid in self.wanted]
            # Parameters may have other names because of the fault.
            kept = kept or [item for item in items if item.nodeid.split("[")[0] in functions]
            items[:] = sorted(kept, key=lambda item: self.wanted.get(item.nodeid, 1.0))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Begin a test."""
        if self.tracer:
            self.tracer.switch_context(nodeid)
        if self.wanted is not None:  # nothing catches the alarm: it ends the process
            signal.setitimer(signal.ITIMER_REAL, 10 + 10 * self.wanted.get(nodeid, 10.0))

    def pytest_runtest_logfinish(self) -> None:
        """End a test."""
        if self.tracer:
            self.tracer.switch_context("")
        signal.setitimer(signal.ITIMER_REAL, 0)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note what came of a test."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that cannot be collected."""
        if report.failed:
            self.failed.append(report.nodeid)


def _child(job: dict[str, Any], answer: Path) -> None:
    import hypothesis
    import pytest

    os.setsid()
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(log, number)
    profile = hypothesis.settings(derandomize=True, database=None, deadline=None)
    hypothesis.settings.register_profile("mutants", profile)
    hypothesis.settings.load_profile("mutants")
    tests = _Tests(job)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", "temporary"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is loaded already
    options += ["--continue-on-collection-errors" if tests.tracer else "-x"]
    code = pytest.main([*options, *job["files"]], plugins=[tests])
    import espressivo

    if not Path(espressivo.__file__).is_relative_to(Path.cwd()):
        code = 99
    if tests.tracer:
        tests.tracer.stop()
        tests.tracer.save()
    told = {"code": int(code), "failed": tests.failed, "seconds": tests.seconds}
    answer.write_text(json.dumps(told), encoding="utf-8")


def serve() -> None:
    """Answer each line of JSON, a job, by one that says what came of it; each in a process."""
    os.nice(10)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    answer, pid = Path("answer.json").absolute(), 0

    def end(*_: object) -> None:
        _kill(pid)
        os._exit(1)

    for line in sys.stdin:
        answer.unlink(missing_ok=True)
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.SIG_DFL)
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                _child(json.loads(line), answer)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, end)
        _, status = os.waitpid(pid, 0)
        _kill(pid)  # what the tests started and left
        told = answer.read_text(encoding="utf-8") if answer.exists() else ""
        print(told or json.dumps({"signal": os.WTERMSIG(status)}), flush=True)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(group, signal.SIGKILL)


class Worker:
    """A copy of the repository, and a process that runs tests in it."""

    def __init__(self, folder: Path, files: list[str]) -> None:
        self.folder, self.ticks = folder, 0
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        path = os.pathsep.join((str(folder / "src"), os.environ.get("PYTHONPATH", "")))
        self.process = subprocess.Popen(  # noqa: S603 (it is this file)
            [sys.executable, "-W", "ignore", __file__, "--serve"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, **job: Any) -> dict[str, Any]:
        """Run tests; see `_Tests`."""
        process = self.process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker needs pipes")
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        told: dict[str, Any] = json.loads(process.stdout.readline())
        broken = (3, 4, 99) if "map" in job else (3, 99)  # with a fault, 4 is what the fault did
        if told.get("code") in broken or told.get("signal") == 0:
            log = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the tests cannot be run: {told}\n{log[-2000:]}")
        return told

    def write(self, path: str, source: bytes) -> None:
        """Write a file, with a time of its own, so that none of its bytecode is taken for it."""
        self.ticks += 1
        (self.folder / path).write_bytes(source)
        os.utime(self.folder / path, (10**9 + 10 * self.ticks,) * 2)

    def try_out(self, mutant: Mutant, tests: dict[str, float]) -> dict[str, Any]:
        """Return a mutant's result."""
        if not tests:
            return {"result": "not reached", "by": "", "seconds": 0.0, "tests": 0}
        source, began = (self.folder / mutant.path).read_bytes(), time.monotonic()
        self.write(mutant.path, mutated(source, mutant))
        try:
            told = self.run(tests=tests, files=sorted({name.split("::")[0] for name in tests}))
        finally:
            self.write(mutant.path, source)
        by = "" if "code" in told else f"signal {signal.Signals(told['signal']).name}"
        if told.get("code"):
            by = (told["failed"] or ["no test can be collected"])[0]
        return {
            "result": "killed" if by else "survived",
            "by": by,
            "seconds": round(time.monotonic() - began, 2),
            "tests": len(tests),
        }


# ---- The run


def reached(workers: list[Worker], longest: float) -> dict[str, Any]:
    """Run all quick tests; return the seconds of each, and for each file and line its tests."""
    files = sorted(f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py"))
    told: list[dict[str, Any]] = [{} for _ in workers]

    def part(number: int) -> None:
        worker = workers[number]
        data = str(worker.folder / "coverage.data")
        told[number] = worker.run(map=data, files=files[number :: len(workers)])

    _together(part, len(workers))
    failed = {name for each in told for name in each["failed"]}
    seconds = {name: s for each in told for name, s in each["seconds"].items()}
    kept = {n: round(s, 3) for n, s in seconds.items() if n not in failed and s <= longest}
    if not kept:
        raise SystemExit(f"no test can be used, even without faults: {sorted(failed)}")
    lines: dict[str, dict[str, list[str]]] = {}
    import coverage

    for worker in workers:
        data = coverage.CoverageData(str(worker.folder / "coverage.data"))
        data.read()
        for file in data.measured_files():
            of_file = lines.setdefault(Path(file).relative_to(worker.folder).as_posix(), {})
            for line, names in data.contexts_by_lineno(file).items():
                of_file.setdefault(str(line), []).extend(n for n in names if n in kept)
    return {
        "seconds": kept,
        "failed": sorted(failed),
        "took long": sorted(n for n, s in seconds.items() if s > longest),
        "lines": lines,
    }


def tests_of(mutant: Mutant, known: dict[str, Any]) -> dict[str, float]:
    """Return the tests that reach a mutant, and the seconds that each takes."""
    lines = known["lines"].get(mutant.path, {})
    span = lines if mutant.everywhere else map(str, range(mutant.first, mutant.last + 1))
    names = {name for line in span for name in lines.get(line, [])}
    return {name: known["seconds"][name] for name in sorted(names)}


def _together(task: Any, count: int) -> None:
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            task(number)
        except BaseException as error:  # told below, where it is seen
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _workers(count: int) -> Iterator[list[Worker]]:
    git = shutil.which("git") or "git"
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workers = [Worker(Path(folder) / f"worker-{n}", files) for n in range(count)]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.process.terminate()
                worker.process.wait()


def _digest(names: list[str]) -> str:
    whole = hashlib.sha256()
    for name in sorted(names):
        whole.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _draw(options: argparse.Namespace) -> dict[str, Any]:
    """Return the run: that of the file, if it is the same, or a new one."""
    paths = [path.resolve() for path in options.paths]
    found = mutants(paths, ROOT)
    setting = {
        "paths": sorted(path.relative_to(ROOT).as_posix() for path in paths),
        "sample": options.sample,
        "seed": options.seed,
        "source": _digest(list({mutant.path for mutant in found})),
    }
    if options.out.exists():
        run: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8"))
        if run["setting"] != setting:
            raise SystemExit(f"{options.out}: is of another run, or of other source: {setting}")
        return run
    rng = random.Random(options.seed)  # noqa: S311 (no secret)
    drawn = rng.sample(found, min(options.sample, len(found)))
    return {"setting": setting, "of": len(found), "mutants": [asdict(m) for m in drawn]}


def summary(run: dict[str, Any]) -> str:
    """Say what came of a run, and show each survivor."""
    done = [row for row in run["mutants"] if "result" in row]
    lines = [f"{len(done)} of {len(run['mutants'])} drawn from {run['of']} mutants"]
    for why in ("failed", "took long"):
        lines += [f"test left out, as it {why}: {name}" for name in run["map"][why]]
    for title, key in (("all", lambda _: "all"), ("kind", "kind"), ("file", "path")):
        count: dict[str, Counter[str]] = {}
        for row in done:
            name = row[key] if isinstance(key, str) else key(row)
            count.setdefault(name, Counter())[row["result"]] += 1
        lines += ["", f"{title:44}{''.join(f'{r:>12}' for r in RESULTS)}  killed of all"]
        for name, each in sorted(count.items()):
            share = each["killed"] / each.total()
            lines.append(f"{name:44}{''.join(f'{each[r]:12}' for r in RESULTS)}{share:15.1%}")
    for row in done:
        if row["result"] != "killed":
            mutant = Mutant(**{name: row[name] for name in Mutant.__dataclass_fields__})
            before = (ROOT / mutant.path).read_bytes()
            both = [s.decode().splitlines() for s in (before, mutated(before, mutant))]
            lines += ["", f"{row['result']} ({row['tests']} tests): {row['kind']}"]
            lines += difflib.unified_diff(*both, mutant.path, mutant.path, n=2, lineterm="")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what the command line says."""
    if sys.argv[1:] == ["--serve"]:
        serve()
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--paths", type=Path, nargs="+", required=True, help="files and folders")
    parser.add_argument("--sample", type=int, default=400, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--out", type=Path, default=Path("mutants.json"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of a test, at most")
    parser.add_argument("--again", action="store_true", help="try survivors anew, with new tests")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    options = parser.parse_args()
    run = _draw(options)
    if options.again:
        run.pop("map", None)
        for row in run["mutants"]:
            if row.get("result") != "killed":
                row.pop("result", None)
    left: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number, row in enumerate(run["mutants"]):
        if "result" not in row:
            left.put(number)
    if not options.summary and not left.empty():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        with _workers(options.workers) as workers:
            _go(run, left, workers, options)
    text = summary(run)
    _write(options.out.with_suffix(".txt"), text)
    print(text)


def _go(
    run: dict[str, Any],
    left: queue.SimpleQueue[int],
    workers: list[Worker],
    options: argparse.Namespace,
) -> None:
    if "map" not in run:
        began = time.monotonic()
        print("running the quick tests, to learn which of them reach which line", flush=True)
        run["map"] = reached(workers, options.longest)
        _write(options.out, json.dumps(run))
        took = time.monotonic() - began
        print(f"{len(run['map']['seconds'])} tests of use, after {took:.0f} s", flush=True)
    lock, total = threading.Lock(), len(run["mutants"])

    def work(number: int) -> None:
        while True:
            try:
                index = left.get_nowait()
            except queue.Empty:
                return
            row = run["mutants"][index]
            mutant = Mutant(**{name: row[name] for name in Mutant.__dataclass_fields__})
            result = workers[number].try_out(mutant, tests_of(mutant, run["map"]))
            with lock:
                row |= result
                _write(options.out, json.dumps(run))
                done = sum("result" in row for row in run["mutants"])
                where = f"{mutant.path}:{mutant.first} {mutant.kind}: {mutant.text.strip()[:40]!r}"
                time_s, by = row["seconds"], row["by"].rpartition("/")[2]
                said = f"{row['result']:11} {time_s:5.1f} s  {where}  {by}"
                print(f"[{done:3}/{total}] {said}", flush=True)

    _together(work, len(workers))


if __name__ == "__main__":
    main()
