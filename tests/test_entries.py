"""Corpora of many files: what is kept of them on disk, found in order and dealt a few at a time."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espressivo.codes import vocabulary
from espressivo.data import find_files, prepare, shards
from espressivo.data.entries import Entries, Entry, Sketches, Sources, scratch
from espressivo.data.finding import found_files


def test_entries_are_what_was_put_there_last(tmp_path: Path) -> None:
    with scratch(tmp_path) as file:
        entries = Entries(file)
        for number in range(5):
            entries.append(Entry(f"{number}.mid", notes=number, seconds=0.1 * number))
        changed = entries[3]
        changed.reason, changed.detail = "exact copy", "0.mid\nä"
        entries[3] = changed
        assert [entry.path for entry in entries] == [f"{number}.mid" for number in range(5)]
        assert entries[3] == Entry("3.mid", "exact copy", "0.mid\nä", notes=3, seconds=0.1 * 3)
        assert entries.kept().tolist() == [0, 1, 2, 4]
    assert list(tmp_path.iterdir()) == []


def test_fingerprints_leave_their_entries(tmp_path: Path) -> None:
    with scratch(tmp_path) as file:
        sketches = Sketches(file)
        entry = Entry("a.mid", landmarks="AQAAAAIAAAADAAAA")
        sketches.append(Entry("b.mid"))
        sketches.append(entry)
        assert entry.landmarks == ""
        assert [one.tolist() for one in sketches.of(np.array([1, 0]))] == [[[1, 2, 3]], []]


def test_files_come_in_the_order_of_their_names_one_after_another(tmp_path: Path) -> None:
    names = ["a/b.mid", "a/b/c.mid", "a-b/c.mid", "a.mid", "a b.MID", "b/a.kar", "B.mid", "a/b.wav"]
    for name in [*names, "a/c.wav", "a/d.txt", "b/.mid"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = found_files([tmp_path], recordings=True)
    first = next(found)
    assert [name for name, _ in [first, *found]] == sorted(
        f"{tmp_path.name}/{name}" for name in [*names[:-1], "a/c.wav"]
    )
    assert len(find_files([tmp_path])) == len(names) - 1


def test_shards_are_given_to_workers_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(ThreadPoolExecutor):
        def __init__(self) -> None:
            super().__init__(1)
            self.given: list[Future[Any]] = []
            self.most = 0

        def submit(self, *arguments: Any) -> Future[Any]:  # type: ignore[override]
            self.given.append(super().submit(*arguments))
            self.most = max(self.most, sum(not future.done() for future in self.given))
            return self.given[-1]

    monkeypatch.setattr(shards, "_FILES", 1)
    monkeypatch.setattr(shards, "_AT_ONCE", 3)
    for number in range(20):
        (tmp_path / f"{number}.mid").write_bytes(b"MThd")
    with Counting() as executor:
        manifest = prepare(
            [tmp_path], tmp_path / "out", vocabulary=vocabulary("seed"), executor=executor
        )
    assert manifest.dropped == {"unreadable": 20}
    assert len(executor.given) > 10 and executor.most <= 3


def test_a_file_more_takes_a_few_bytes_of_memory(tmp_path: Path) -> None:
    def stored(count: int) -> int:
        tracemalloc.start()
        with scratch(tmp_path) as one, scratch(tmp_path) as two, scratch(tmp_path) as three:
            sources, entries, sketches = Sources(one), Entries(two), Sketches(three)
            for number in range(count):
                name = f"a folder with a long name/{number}.mid"
                sources.append(name, Path("/") / name)
                sketches.append(Entry(name))
                entries.append(Entry(name, sha256="0" * 64, ids_sha256="0" * 64))
            plan = shards.Plan(sources, entries.kept(), tmp_path, {})
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            assert sum(len(plan.files(index)) for index in range(len(plan))) == count
        return held

    assert stored(900) - stored(300) < 600 * 120
