"""Similar and map: an index that is made once, takes of one piece first, and a page by itself."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Run
from espressivo import Performance, midi
from espressivo.errors import DataError
from espressivo.latent import bundled_latent, passages_of
from espressivo.similar import INDEX_NAME, index, laid_out, map_page, search, update
from played import again, played

PIECES = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "takes"
    where.mkdir()
    for piece in range(PIECES):
        played(piece).write(where / f"{piece}-0.mid")
        slower = again(played(piece), later_s=1, tempo=1.15, louder=4, grid_s=0.01)
        slower.write(where / f"{piece}-1.mid")
    return where


def test_another_take_of_the_same_piece_comes_first(folder: Path) -> None:
    latent, first = bundled_latent(), 0
    made = update(folder, latent)
    for piece in range(PIECES):
        asked = passages_of(played(piece, 0), latent.length, latent.vocabulary)
        found = search(made, latent, asked, without=f"{piece}-0.mid", top=3)
        assert f"{piece}-0.mid" not in {one.name for one in found}
        first += found[0].name == f"{piece}-1.mid"
        assert found[0].alike >= found[1].alike >= found[2].alike
    assert first >= PIECES - 1


def test_a_piece_is_most_like_itself_at_the_same_place(folder: Path) -> None:
    latent = bundled_latent()
    asked = passages_of(midi.read(folder / "2-1.mid"), latent.length, latent.vocabulary)
    best = search(update(folder, latent), latent, asked)[0]
    assert best.name == "2-1.mid" and best.alike > 0.9
    assert best.passages[0].theirs_s[0] == pytest.approx(best.passages[0].mine_s[0], abs=4)


def test_only_what_has_changed_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latent = bundled_latent()
    before = update(folder, latent)
    read: list[str] = []
    encoded = index._encoded
    monkeypatch.setattr(
        index, "_encoded", lambda path, latent: (read.append(path.name), encoded(path, latent))[1]
    )
    same = update(folder, latent)
    assert not read and np.array_equal(same.near, before.near)
    played(9).write(folder / "0-0.mid")
    (folder / "4-1.mid").unlink()
    played(8).write(folder / "new.mid")
    after = update(folder, latent)
    assert sorted(read) == ["0-0.mid", "new.mid"]
    assert "4-1.mid" not in after.names and len(after) == len(before)
    read.clear()
    assert update(folder, latent).names == after.names and not read


def test_files_without_notes_are_left_out_and_told(folder: Path) -> None:
    Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]).write(
        folder / "silence.mid"
    )
    (folder / "broken.mid").write_bytes(b"no MIDI")
    Performance.from_arrays(onset_s=[0], offset_s=[1], pitch=[5], velocity=[64]).write(
        folder / "lower than a piano.mid"
    )
    made = update(folder, bundled_latent())
    assert set(made.left_out) == {"silence.mid", "broken.mid", "lower than a piano.mid"}
    assert len(made) == 2 * PIECES
    before = (folder / INDEX_NAME).stat().st_ino
    update(folder, bundled_latent())
    assert (folder / INDEX_NAME).stat().st_ino == before  # nothing new, nothing written


def test_an_index_of_another_space_is_made_anew(folder: Path) -> None:
    latent = bundled_latent()
    made = update(folder, latent)
    dataclasses.replace(made, near=np.zeros_like(made.near)).write(folder / INDEX_NAME, "other")
    assert np.array_equal(update(folder, latent).near, made.near)


def test_what_is_no_index_is_not_replaced(folder: Path) -> None:
    (folder / INDEX_NAME).write_text("mine")
    with pytest.raises(DataError, match="is no index"):
        update(folder, bundled_latent())
    assert (folder / INDEX_NAME).read_text() == "mine"
    update(folder, bundled_latent(), file=folder / "other.npz")
    content = (folder / "other.npz").read_bytes()
    (folder / "other.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="damaged"):
        update(folder, bundled_latent(), file=folder / "other.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"of": np.array([0, 0])},
        {"of": np.array([-1, 0])},
        {"of": np.array(["a", "b"])},
        {"near": np.zeros((2, 3), np.float16)},
        {"near": np.full((2, bundled_latent().near_size), np.nan, np.float16)},
        {"begin_s": np.zeros((2, 2), np.float32)},
        {"stamps": [[1, 1]]},
        {"stamps": [[1, 1], [1, float("inf")]]},
    ],
)
def test_an_index_whose_parts_do_not_fit_is_refused(folder: Path, change: dict[str, Any]) -> None:
    latent, where = bundled_latent(), folder / INDEX_NAME
    parts: dict[str, Any] = {
        "names": ("0-0.mid", "0-1.mid"),
        "stamps": ((1, 1), (1, 1)),
        "near": np.zeros((2, latent.near_size), np.float16),
        "begin_s": np.zeros(2, np.float32),
        "end_s": np.ones(2, np.float32),
        "of": np.arange(2, dtype=np.int32),
        "left_out": {},
    }
    index.Index(**parts).write(where, latent.digest)
    assert len(update(folder, latent)) == 2 * PIECES
    index.Index(**parts | change).write(where, latent.digest)
    with pytest.raises(DataError, match="damaged"):
        update(folder, latent)


def test_a_map_of_many_files_has_passages_of_the_last_ones_too(folder: Path) -> None:
    latent = bundled_latent()
    made = update(folder, latent)
    shown = {int(made.of[point.number]) for point in laid_out(made, most=4)}
    assert len(shown) == 4 and max(shown) > len(made) / 2


@pytest.mark.skipif(sys.platform != "linux", reason="names there are always text")
def test_names_that_are_no_text_or_escapes_do_no_harm(run: Run, folder: Path) -> None:
    strange = folder.with_name("\udcff")
    folder.rename(strange)
    (strange / "0-0.mid").rename(strange / "\x1b[31m\udcfe.mid")
    status, out, _ = run("similar", strange / "0-1.mid", strange)
    assert status == 0 and "\\x1b[31m\\xfe.mid" in out and "\x1b" not in out
    (strange / "\x1b[5m.mid").write_bytes(b"no MIDI")
    status, _, err = run("map", strange, "-o", "map.html", "--most", 20)
    assert status == 0 and "\x1b[5m" not in err and "1 file left out, such as \\x1b[5m.mid" in err
    assert "<title>Map of \\xff</title>" in Path("map.html").read_text(encoding="utf-8")


def test_the_map_holds_what_it_plays_and_needs_nothing_else(folder: Path) -> None:
    (folder / "sub <b>").mkdir()
    played(7).write(folder / "sub <b>" / "x.mid")
    latent = bundled_latent()
    made = update(folder, latent)
    points = laid_out(made, most=40)
    assert 20 <= len(points) <= 40
    assert all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in points)
    assert max(point.x for point in points) == max(point.y for point in points) == 1
    page = map_page(made, points, folder)
    assert "http" not in page and "src=" not in page and "sub <b>" not in page
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert len(data["points"]) == len(points)
    for point, row in zip(points, data["points"], strict=True):
        assert row[2] == made.of[point.number]
        assert row[4] and min(note[0] for note in row[4]) < 2000  # a pedal may begin it


def test_on_the_command_line(run: Run, folder: Path) -> None:
    status, out, _ = run("similar", folder / "0-0.mid", folder, "--top", 2, "--json")
    told = json.loads(out)
    assert status == 0 and told["files"] == 2 * PIECES and len(told["similar"]) == 2
    status, out, _ = run("map", folder, "-o", "map.html", "--most", 20)
    assert status == 0 and "map.html: " in out and Path("map.html").exists()
    for arguments, said in (
        (("similar", folder / "0-0.mid", "nowhere"), "no such folder"),
        (("map", "nowhere", "-o", "m.html"), "no such folder"),
    ):
        status, _, err = run(*arguments)
        assert status == 1 and said in err and err.count("\n") == 1
