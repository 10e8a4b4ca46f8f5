import csv
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from espressivo import Performance, read
from espressivo.cli import cli, learn
from espressivo.codes import vocabulary
from espressivo.data import shards
from espressivo.data.corpus import prepare
from espressivo.data.dataset import Dataset
from espressivo.errors import DataError
from known import posix
from played import again, played

V = vocabulary("seed")
ALL_TRAIN = (1.0, 0.0, 0.0)
MANY = 150  # files; enough for several shards


def make(folders, out, **settings):
    """Prepare without starting processes."""
    with ThreadPoolExecutor(2) as executor:
        folders = [folders] if isinstance(folders, Path) else folders
        return prepare(folders, out, **{"vocabulary": V, "executor": executor, **settings})


def account_of(out):
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def contents(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A corpus of small pieces, some unreadable; not to be changed."""
    folder = tmp_path_factory.mktemp("several") / "many"
    folder.mkdir()
    for piece in range(MANY):
        played(piece, notes=30).write(folder / f"{piece:03}.mid")
    for piece in (20, 90):
        (folder / f"{piece:03}.mid").write_bytes(b"no MIDI at all")
    return folder


@pytest.fixture(scope="module")
def undisturbed(many, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    make(many, out)
    return contents(out)


@pytest.fixture
def corpus(tmp_path):
    """An empty folder for MIDI files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


# What is found, and what is kept


def test_every_file_is_accounted_for_and_bad_ones_are_named(corpus, tmp_path):
    (corpus / "deep" / "er").mkdir(parents=True)
    good = played(0).notes
    played(0).write(corpus / "b.MID")
    played(1).write(corpus / "deep" / "er" / "a.midi")
    played(2).write(corpus / "c.Kar")
    whole = (corpus / "b.MID").read_bytes()
    (corpus / "cut.mid").write_bytes(whole[: len(whole) // 2])
    (corpus / "empty.mid").write_bytes(b"")
    (corpus / "text.mid").write_bytes(b"<html>404</html>")
    Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]).write(
        corpus / "silent.mid"
    )
    Performance.from_arrays(onset_s=[0], offset_s=[1], pitch=[5], velocity=[64]).write(
        corpus / "too low.mid"
    )
    (corpus / "notes.txt").write_text("not a MIDI file")
    manifest = make(corpus, tmp_path / "out", fractions=ALL_TRAIN)
    rows = account_of(tmp_path / "out")
    assert list(rows) == sorted(rows)
    assert {path: row["reason"] for path, row in rows.items()} == {
        "corpus/b.MID": "",
        "corpus/c.Kar": "",
        "corpus/cut.mid": "unreadable",
        "corpus/deep/er/a.midi": "",
        "corpus/empty.mid": "unreadable",
        "corpus/silent.mid": "no notes",
        "corpus/text.mid": "unreadable",
        "corpus/too low.mid": "no notes",
    }
    assert all((row["status"] == "kept") == (not row["reason"]) for row in rows.values())
    assert rows["corpus/empty.mid"]["detail"] == "the file is empty"
    assert manifest.found == 8
    assert manifest.kept == 3
    assert manifest.dropped == {"no notes": 2, "unreadable": 3}
    assert [text.partition(": ")[0] for text in manifest.unreadable] == [
        "corpus/cut.mid",
        "corpus/empty.mid",
        "corpus/text.mid",
    ]
    train = manifest.splits["train"]
    assert (train.pieces, train.notes) == (3, 3 * len(good))
    dataset = Dataset(tmp_path / "out")
    assert train.events == sum(piece.events for piece in dataset.pieces)
    assert train.hours == pytest.approx(sum(p.seconds for p in dataset.pieces) / 3600, abs=1e-3)
    for piece in dataset.pieces:
        assert (dataset.ids(piece) == V.encode(read(corpus.parent / piece.path))).all()


def test_the_account_is_readable_as_text_and_as_json(many, tmp_path):
    manifest = make(many, tmp_path / "out")
    text = "\n".join(manifest.lines())
    assert f"{MANY} files found, {MANY - 2} kept" in text
    assert "2 dropped: unreadable" in text
    assert "many/020.mid: " in text
    plain = json.loads(json.dumps(manifest.to_dict()))
    assert plain["kept"] == MANY - 2
    assert plain["files_per_second"] == pytest.approx(MANY / manifest.taken_s)
    assert plain["disk_bytes"] == sum(map(len, contents(tmp_path / "out").values()))
    assert sum(split["pieces"] for split in plain["splits"].values()) == MANY - 2


def test_notes_that_the_vocabulary_lacks_are_counted(corpus, tmp_path):
    Performance.from_arrays(
        onset_s=[0, 1, 2], offset_s=[1, 2, 3], pitch=[20, 60, 109], velocity=[64] * 3
    ).write(corpus / "a.mid")
    manifest = make(corpus, tmp_path / "out")
    (row,) = account_of(tmp_path / "out").values()
    assert (row["notes"], row["outside"]) == ("1", "2")
    assert manifest.outside == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="files of Unix")
def test_what_is_no_file_is_skipped_and_named(corpus, tmp_path):
    played(0).write(corpus / "a.mid")
    os.mkfifo(corpus / "fifo.mid")
    os.mknod(corpus / "socket.mid", stat.S_IFSOCK | 0o600)
    (corpus / "zero.mid").symlink_to("/dev/zero")
    (corpus / "self.mid").symlink_to("self.mid")
    (corpus / "folder.mid").mkdir()
    with (corpus / "endless.mid").open("wb") as file:
        file.truncate(1 << 40)
    manifest = make(corpus, tmp_path / "out", fractions=ALL_TRAIN)
    assert (manifest.found, manifest.kept, manifest.dropped) == (6, 1, {"unreadable": 5})
    assert [text.partition(": ")[0] for text in manifest.unreadable] == [
        f"corpus/{name}.mid" for name in ("endless", "fifo", "self", "socket", "zero")
    ]


def test_a_folder_that_cannot_be_listed_is_skipped_and_named(corpus, tmp_path, monkeypatch):
    (corpus / "secret").mkdir()
    played(0).write(corpus / "a.mid")
    listed = os.scandir

    def scandir(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    manifest = make(corpus, tmp_path / "out", fractions=ALL_TRAIN)
    assert (manifest.found, manifest.kept) == (2, 1)
    assert manifest.unreadable[0].startswith("corpus/secret: ")


def test_names_do_nothing_to_a_terminal(corpus, tmp_path):
    played(0).write(corpus / "\x1b[31m\n.mid")
    make(corpus, tmp_path / "out", fractions=ALL_TRAIN)
    (piece,) = Dataset(tmp_path / "out").pieces
    assert piece.path == "corpus/\\x1b[31m\\n.mid"


@posix
def test_links_that_go_round_in_circles_are_harmless(corpus, tmp_path):
    (corpus / "in").mkdir()
    played(0).write(corpus / "in" / "a.mid")
    (corpus / "in" / "back").symlink_to(corpus)
    (corpus / "in" / "self").symlink_to(corpus / "in")
    make(corpus, tmp_path / "out")
    assert list(account_of(tmp_path / "out")) == ["corpus/in/a.mid"]


@posix
def test_linked_folders_are_read(corpus, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    played(0).write(tmp_path / "elsewhere" / "a.mid")
    (corpus / "link").symlink_to(tmp_path / "elsewhere")
    make(corpus, tmp_path / "out")
    assert list(account_of(tmp_path / "out")) == ["corpus/link/a.mid"]


def test_names_that_are_no_text_are_written_readably(corpus, tmp_path):
    try:
        played(0).write(corpus / os.fsdecode(b"caf\xe9.mid"))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    make(corpus, tmp_path / "out", fractions=ALL_TRAIN)
    (piece,) = Dataset(tmp_path / "out").pieces
    assert piece.path == "corpus/caf\\xe9.mid"


def test_programs_choose_the_instruments(corpus, tmp_path):
    played(0).write(corpus / "piano.mid")
    assert make(corpus, tmp_path / "out", programs={0}).kept == 1
    assert make(corpus, tmp_path / "out", programs={40}).kept == 0


# Duplicates


def test_exact_copies_are_dropped(corpus, tmp_path):
    played(0).write(corpus / "b.mid")
    for name in ("a.mid", "c.mid"):
        (corpus / name).write_bytes((corpus / "b.mid").read_bytes())
    make(corpus, tmp_path / "out")
    rows = account_of(tmp_path / "out")
    assert rows["corpus/a.mid"]["status"] == "kept"
    for name in ("corpus/b.mid", "corpus/c.mid"):
        assert (rows[name]["reason"], rows[name]["detail"]) == ("exact copy", "corpus/a.mid")


def test_of_one_performance_the_longest_file_is_kept_and_other_players_stay(corpus, tmp_path):
    original = played(0, notes=800)
    again(original, part=slice(100, 500), later_s=3).write(corpus / "a excerpt.mid")
    again(original, tempo=1.1, louder=5).write(corpus / "b slower.mid")
    original.write(corpus / "c original.mid")
    played(0, player=1, notes=700).write(corpus / "d other player.mid")
    played(1, notes=500).write(corpus / "e other piece.mid")
    manifest = make(corpus, tmp_path / "out")
    rows = account_of(tmp_path / "out")
    kept = {path for path, row in rows.items() if row["status"] == "kept"}
    assert kept == {
        f"corpus/{name}.mid" for name in ("b slower", "d other player", "e other piece")
    }
    for name in ("a excerpt", "c original"):
        row = rows[f"corpus/{name}.mid"]
        assert (row["reason"], row["detail"]) == ("same performance", "corpus/b slower.mid")
    assert manifest.dropped == {"same performance": 2}


def test_of_equals_the_file_in_the_folder_given_first_is_kept(tmp_path):
    for name, tempo in (("one", 1.0), ("two", 1.1)):
        (tmp_path / name).mkdir()
        again(played(0), tempo=tempo).write(tmp_path / name / "a.mid")
    for first, second in (("one", "two"), ("two", "one")):
        make([tmp_path / first, tmp_path / second], tmp_path / "out")
        rows = account_of(tmp_path / "out")
        assert rows[f"{first}/a.mid"]["status"] == "kept"
        assert rows[f"{second}/a.mid"]["detail"] == f"{first}/a.mid"


# Splits


def test_compositions_are_not_split_and_do_not_move_when_others_come(corpus, tmp_path):
    for piece in range(40):
        for player in range(1 + piece % 3):
            played(piece, player).write(corpus / f"{piece:02}-{player}.mid")
    manifest = make(corpus, tmp_path / "out", fractions=(0.5, 0.2, 0.3))
    rows = account_of(tmp_path / "out")
    groups = {}
    for path, row in rows.items():
        groups.setdefault(path.split("-")[0], set()).add((row["composition"], row["split"]))
    assert all(len(group) == 1 for group in groups.values())
    assert len({composition for group in groups.values() for composition, _ in group}) == 40
    assert manifest.parted == 0
    assert all(split.pieces > 0 for split in manifest.splits.values())
    assert manifest.splits["train"].pieces > manifest.splits["validation"].pieces

    for piece in range(40, 60):
        played(piece).write(corpus / f"0 new {piece}.mid")
    make(corpus, tmp_path / "out", fractions=(0.5, 0.2, 0.3))
    after = account_of(tmp_path / "out")
    assert all(after[path]["split"] == row["split"] for path, row in rows.items())


@pytest.mark.parametrize("number", range(3))
def test_a_fraction_of_one_takes_everything(many, tmp_path, number):
    fractions = tuple(float(number == n) for n in range(3))
    manifest = make(many, tmp_path / "out", fractions=fractions)
    assert list(manifest.splits.values())[number].pieces == MANY - 2


@pytest.mark.parametrize("fractions", [(0.9, 0.2, 0.1), (1.1, -0.1, 0.0), (0.5, 0.5)])
def test_fractions_are_checked(many, tmp_path, fractions):
    with pytest.raises(DataError, match="add up to 1"):
        make(many, tmp_path / "out", fractions=fractions)


def test_splits_as_maestro_lists_them(corpus, tmp_path):
    (corpus / "2004").mkdir()
    for piece in range(4):
        played(piece).write(corpus / "2004" / f"{piece}.midi")
    rows = [
        {
            "canonical_composer": "Alban Berg",
            "canonical_title": f"Sonata, {piece}",
            "split": split,
            "midi_filename": f"2004/{piece}.midi",
        }
        for piece, split in enumerate(("train", "validation", "test"))
    ]
    manifest = make(corpus, tmp_path / "out", splits=write_csv(corpus / "maestro.csv", rows))
    found = account_of(tmp_path / "out")
    assert [row["split"] for row in found.values()] == ["train", "validation", "test", ""]
    assert found["corpus/2004/0.midi"]["composition"] == "Alban Berg | Sonata, 0"
    assert found["corpus/2004/3.midi"]["reason"] == "not in the CSV"
    assert manifest.dropped == {"not in the CSV": 1}


def test_rows_belong_to_the_files_whose_paths_end_in_theirs(tmp_path):
    for piece, name in enumerate(("one", "two")):
        (tmp_path / "data" / name).mkdir(parents=True)
        played(piece).write(tmp_path / "data" / name / "a.mid")
    rows = [
        {"path": "a.mid", "split": "train", "composition": "short"},
        {"path": "two/a.mid", "split": "validation", "composition": "long"},
    ]
    table = write_csv(tmp_path / "splits.csv", rows)
    make([tmp_path / "data"], tmp_path / "out", splits=table)
    found = account_of(tmp_path / "out")
    assert [row["composition"] for row in found.values()] == ["short", "long"]


def test_a_copy_across_the_splits_of_a_csv_stays_on_one_side(corpus, tmp_path):
    played(0).write(corpus / "a.mid")
    again(played(0), tempo=1.05).write(corpus / "b.mid")
    played(0, player=1).write(corpus / "c.mid")
    rows = [
        {"path": f"{name}.mid", "split": split, "composition": name}
        for name, split in (("a", "train"), ("b", "validation"), ("c", "validation"))
    ]
    manifest = make(corpus, tmp_path / "out", splits=write_csv(tmp_path / "splits.csv", rows))
    found = account_of(tmp_path / "out")
    assert found["corpus/b.mid"]["reason"] == "same performance"
    # The CSV is followed, but what it does is said.
    assert found["corpus/c.mid"]["split"] == "validation"
    assert manifest.parted == 1
    assert "1 pairs of files share music across splits" in "\n".join(manifest.lines())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"path": "000.mid", "split": "dev", "composition": "x"}],
            "row 2: split 'dev' is none of",
        ),
        ([{"path": "000.mid", "split": "train"}], "has no column 'composition'"),
        ([{"file": "000.mid", "split": "train"}], "has no column 'path'"),
        ([{"path": "z.mid", "split": "train", "composition": "x"}], "no row of it is one of"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(many, tmp_path, rows, message):
    table = write_csv(tmp_path / "splits.csv", rows)
    with pytest.raises(DataError, match=message):
        make(many, tmp_path / "out", splits=table)


def test_a_csv_that_is_none_is_refused(many, tmp_path):
    (tmp_path / "splits.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "short.csv").write_text("split,composition,path\ntrain,x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"short\.csv: row 2: has too few columns"):
        make(many, tmp_path / "out", splits=tmp_path / "short.csv")
    for name in ("splits.csv", "missing.csv"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as CSV"):
            make(many, tmp_path / "out", splits=tmp_path / name)


# Where nothing can be done


def test_folders_are_checked(corpus, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        make(corpus / "nowhere", tmp_path / "out")
    with pytest.raises(DataError, match=r"no file ends in \.mid"):
        make(corpus, tmp_path / "out")
    (tmp_path / "other" / "corpus").mkdir(parents=True)
    with pytest.raises(DataError, match="another folder is also named 'corpus'"):
        make([corpus, tmp_path / "other" / "corpus"], tmp_path / "out")


def test_a_place_that_cannot_be_written_is_named(many, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="file"):
        make(many, tmp_path / "file" / "out")


@pytest.mark.parametrize("name", ["dataset.json", "manifest.csv", "pieces.ids"])
def test_a_folder_with_a_file_of_another_program_is_left_alone(many, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match=f"{name}: is no part of a dataset: choose another folder"):
        make(many, tmp_path)
    assert contents(tmp_path) == {name: b"mine"}


def test_a_second_run_on_the_same_folder_is_refused(many, tmp_path):
    class Second:
        """A progress that starts another run in the midst of this one."""

        def start(self, total, unit, label):
            with pytest.raises(DataError, match=f"is in use by process {os.getpid()} on "):
                make(many, tmp_path / "out")

        def advance(self, n=1, note=""):
            pass

        def note(self, line):
            pass

        def close(self):
            pass

    assert make(many, tmp_path / "out", progress=Second()).kept == MANY - 2
    assert make(many, tmp_path / "out").kept == MANY - 2  # the lock is gone


# Running again, and being stopped

KILLED = """
import os, pathlib, signal, sys
from concurrent.futures import ThreadPoolExecutor
from espressivo import vocabulary
from espressivo.data import prepare

folder, out, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
left = [number]
rename = pathlib.Path.replace

def replace(self, target):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

pathlib.Path.replace = replace
with ThreadPoolExecutor(1) as executor:
    prepare([folder], out, vocabulary=vocabulary("seed"), executor=executor)
"""


def _is_the_old(out):
    """Tell whether the dataset there is that in another vocabulary, or none that is believed."""
    try:
        dataset = Dataset(out)
        for piece in dataset.pieces:
            dataset.ids(piece)
    except DataError as error:
        assert "prepare it again" in str(error)
        return False
    assert dataset.vocabulary.name == "pedal"
    return True


@posix
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(many, undisturbed, tmp_path):
    out = tmp_path / "out"
    make(many, out, vocabulary=vocabulary("pedal"))  # to be replaced, and never taken for whole
    # Each run is killed just before it gives its n-th file its name: ids or record of a shard,
    # the ids, the manifest, dataset.json. Each goes on from what the one before left.
    stays = []
    for number in (1, 2, 3, 4, 3, 2, 3, 2, 3):
        command = [sys.executable, "-c", KILLED, str(many), str(out), str(number)]
        assert subprocess.run(command, check=False).returncode == -9
        stays.append(_is_the_old(out))
        assert any(path.name.endswith(".partial") for path in out.rglob("*"))
    assert stays[0] and not any(stays[-2:])  # at last there are old files and new ones
    make(many, out)
    assert contents(out) == undisturbed


def test_a_second_run_takes_over_finished_shards(many, undisturbed, tmp_path):
    out = tmp_path / "out"
    make(many, out)
    made = {path: path.stat().st_ino for path in (out / "shards").iterdir()}
    assert len(made) == 2 * 4
    make(many, out)
    assert {path: path.stat().st_ino for path in (out / "shards").iterdir()} == made
    assert contents(out) == undisturbed


def test_only_the_shard_of_a_changed_file_is_made_anew(tmp_path):
    folder, out = tmp_path / "many", tmp_path / "out"
    folder.mkdir()
    for piece in range(MANY):
        played(piece, notes=20).write(folder / f"{piece:03}.mid")
    make(folder, out)
    made = {path: path.stat().st_ino for path in (out / "shards").iterdir()}
    changed = folder / "077.mid"
    times = changed.stat()
    data = bytearray(changed.read_bytes())
    at = data.index(b"\x90") + 2  # the velocity of the first note: same size, same time
    data[at] = data[at] % 100 + 20
    changed.write_bytes(data)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    make(folder, out)
    after = {path: path.stat().st_ino for path in (out / "shards").iterdir()}
    assert len({path.stem for path in made if made[path] != after[path]}) == 1
    dataset = Dataset(out)
    (piece,) = [piece for piece in dataset.pieces if piece.path == "many/077.mid"]
    assert (dataset.ids(piece) == V.encode(read(changed))).all()


def test_of_a_shard_only_what_is_new_is_read_again(many, undisturbed, corpus, monkeypatch):
    folder, out = corpus / "many", corpus / "out"
    shutil.copytree(many, folder)
    late = [folder / f"{number:03}.mid" for number in (3, 50, 110, 149)]
    kept = [path.rename(corpus / path.name) for path in late]
    make(folder, out)
    made, encode = [], shards._encode
    monkeypatch.setattr(
        shards, "_encode", lambda path, *rest: made.append(path) or encode(path, *rest)
    )
    for path, back in zip(kept, late, strict=True):
        path.rename(back)
    make(folder, out)
    assert sorted(made) == late
    assert contents(out) == undisturbed


def test_other_settings_leave_no_trace_of_the_ones_before(many, undisturbed, tmp_path):
    out = tmp_path / "out"
    make(many, out, vocabulary=vocabulary("pedal"), programs={0, 1})
    assert Dataset(out).vocabulary.name == "pedal"
    make(many, out)
    assert contents(out) == undisturbed


def test_a_smaller_corpus_leaves_no_trace_of_the_larger(many, corpus, tmp_path):
    for piece in range(3):
        played(piece).write(corpus / f"{piece}.mid")
    make(corpus, tmp_path / "alone")
    make(many, tmp_path / "out")
    make(corpus, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@pytest.mark.parametrize("damage", ["cut", "missing", "one bit", "record", "one bit of the record"])
def test_a_damaged_shard_is_made_anew(many, undisturbed, tmp_path, damage):
    out = tmp_path / "out"
    make(many, out)
    shard = out / "shards" / "00001.ids"
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-2])
    elif damage == "missing":
        shard.unlink()
    elif damage.startswith("one bit"):
        path = shard.with_suffix(".json") if "record" in damage else shard
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        shard.with_suffix(".json").write_text('{"entries": [{"color": "red"}]}')
    make(many, out)
    assert contents(out) == undisturbed


@posix
def test_the_place_of_the_folders_does_not_matter(many, undisturbed, tmp_path, monkeypatch):
    moved = tmp_path / "moved" / "many"
    moved.parent.mkdir()
    moved.symlink_to(many)
    monkeypatch.chdir(moved)
    make(Path("."), tmp_path / "out")
    assert contents(tmp_path / "out") == undisturbed


# Where the work is done


def test_processes_of_its_own_write_the_same(many, undisturbed, tmp_path):
    prepare([many], tmp_path / "out", vocabulary=V)
    assert contents(tmp_path / "out") == undisturbed


@posix
def test_a_killed_process_is_an_error_that_says_so(many, tmp_path):
    with ProcessPoolExecutor(1) as executor:
        executor.submit(os.getpid).result()
        (worker,) = executor._processes
        executor.submit(os.kill, worker, 9)
        with pytest.raises(DataError, match="killed, perhaps for lack of memory"):
            prepare([many], tmp_path / "out", vocabulary=V, executor=executor)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_dask_cluster_writes_the_same(many, undisturbed, tmp_path):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
        client.get_executor() as executor,
    ):
        prepare([many], tmp_path / "out", vocabulary=V, executor=executor)
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.slow
def test_a_dask_cluster_of_processes_writes_the_same(many, undisturbed, tmp_path):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        client.get_executor() as executor,
    ):
        prepare([many], tmp_path / "out", vocabulary=V, executor=executor)
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.slow
@posix
def test_a_killed_dask_worker_loses_nothing(tmp_path):
    from distributed import LocalCluster

    folder = tmp_path / "large"
    folder.mkdir()
    for piece in range(2000):
        played(piece, notes=60).write(folder / f"{piece:04}.mid")
    make(folder, tmp_path / "undisturbed")
    out = tmp_path / "out"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        command = ["prepare", str(folder), "--out", str(out), "--scheduler"]
        command += [cluster.scheduler_address, "--vocabulary", "seed", "--json"]
        with subprocess.Popen(
            [sys.executable, "-m", "espressivo", *command], stdout=subprocess.PIPE
        ) as process:
            while len(list(out.glob("shards/*.json"))) < 3:
                assert process.poll() is None
                time.sleep(0.01)
            os.kill(cluster.workers[0].pid, signal.SIGKILL)
            assert json.load(process.stdout)["kept"] == 2000
        assert process.returncode == 0
    assert contents(out) == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "tcp://127.0.0.1:x"])
def test_a_scheduler_that_does_not_answer_is_one_line(many, tmp_path, monkeypatch, address):
    monkeypatch.setattr(learn, "_CLUSTER_S", 0.1)
    done = CliRunner().invoke(
        cli, ["prepare", str(many), "--out", str(tmp_path / "out"), "--scheduler", address]
    )
    assert isinstance(done.exception, DataError) or done.exit_code == 1
    assert address in str(done.exception) + done.output and not (tmp_path / "out").exists()


def test_preparing_imports_no_torch():
    program = "import sys, espressivo.data.corpus; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.slow
def test_maestro_and_asap_together_lose_their_copies_and_nothing_else(tmp_path):
    data = Path(os.environ["ESPRESSIVO_DATA"])
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        manifest = {row["path"]: row for row in csv.DictReader(file)}
    manifest = prepare(
        [data / "maestro", data / "asap"],
        tmp_path / "out",
        vocabulary=vocabulary("maestro"),
        splits=data / "manifest.csv",
    )
    rows = account_of(tmp_path / "out")
    kept = [path for path, row in rows.items() if row["status"] == "kept"]
    # Of a pair the one with more notes is kept, which may be either.
    held = [manifest[path]["same_performance_as"] or path for path in kept]
    assert sorted(held) == sorted(path for path, row in manifest.items() if row["core"] == "1")
    assert manifest.splits["train"].pieces == 1304
    assert manifest.splits["validation"].pieces == 166
    assert manifest.parted == 0
