import csv
import dataclasses
import itertools
import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from espressivo import read
from espressivo.codes import TIME_SHIFT, VELOCITY, vocabulary
from espressivo.codes.codec import NO_ID, grid_steps, steps
from espressivo.codes.controls import measured
from espressivo.data.augment import Augmentation
from espressivo.data.corpus import prepare
from espressivo.data.dataset import Dataset
from espressivo.data.sides import Material
from espressivo.data.windows import IGNORED, Cut, Passage, batches, passages
from espressivo.errors import DataError
from played import played

LENGTHS = (700, 40, 333, 5, 150, 80, 210, 260, 90, 120)  # notes of the training pieces
CUTS = {
    "carried": Cut(rows=4, events=64, carried=True),
    "events": Cut(rows=4, events=64),
    "seconds": Cut(rows=4, seconds=5.0),
}


@pytest.fixture(scope="module")
def midi(tmp_path_factory):
    """A folder of ten training and two validation pieces, and its CSV."""
    folder = tmp_path_factory.mktemp("midi")
    rows = []
    for piece, notes in enumerate((*LENGTHS, 100, 300)):
        played(piece, notes=notes).write(folder / f"{piece:02}.mid")
        split = "train" if piece < len(LENGTHS) else "validation"
        rows.append({"path": f"{piece:02}.mid", "split": split, "composition": f"piece {piece}"})
    with (folder / "splits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def prepared(midi, out, name):
    with ThreadPoolExecutor(1) as executor:
        prepare(
            [midi],
            out,
            vocabulary=vocabulary(name),
            splits=midi / "splits.csv",
            executor=executor,
        )
    return Dataset(out)


@pytest.fixture(scope="module", params=["seed", "pedal", "notes"])
def dataset(request, midi, tmp_path_factory):
    return prepared(midi, tmp_path_factory.mktemp("prepared"), request.param)


@pytest.fixture(scope="module")
def notes(midi, tmp_path_factory):
    return prepared(midi, tmp_path_factory.mktemp("notes"), "notes")


@pytest.fixture
def copied(midi, tmp_path):
    """A dataset that a test may damage."""
    return prepared(midi, tmp_path / "prepared", "seed").folder


def same(one, other):
    return all(
        (getattr(one, name) == getattr(other, name)).all()
        for name in ("inputs", "targets", "fresh")
    )


def pieces_followed(source, nothing):
    """Put together what the rows of carried batches follow, in the order in which it begins.

    Checks on the way that the input before each target is the target before it, and that a row
    is fresh just when it has nothing before.
    """
    rows, begun = {}, []
    for batch in source:
        for row, fresh in enumerate(batch.fresh):
            targets, inputs = batch.targets[:, row], batch.inputs[:, row]
            real = targets != IGNORED
            targets = targets[real if targets.ndim == 1 else real.any(axis=1)].tolist()
            if fresh:
                rows[row] = []
                begun.append(rows[row])
            if targets:
                assert fresh == (inputs[0].tolist() == nothing)
                before = rows[row][-1] if rows[row] else nothing
                assert inputs[: len(targets)].tolist() == [before, *targets[:-1]]
                rows[row].extend(targets)
    return begun


def begun(number, seed):
    """Return which piece is begun as the 0th, 1st, ... of all."""
    round_, position = divmod(number, len(LENGTHS))
    return np.random.default_rng([seed, round_]).permutation(len(LENGTHS))[position]


def segments_of(source):
    """Return the events scored in each row, and all events of the row with those that restore."""
    found = []
    for batch in source:
        assert batch.fresh.all()
        for inputs, targets in zip(batch.inputs.T, batch.targets.T, strict=True):
            scored = np.flatnonzero(targets != IGNORED)
            assert (np.diff(scored) == 1).all()
            whole = [*inputs[1 : scored[-1] + 1], targets[scored[-1]]]
            found.append((tuple(targets[scored].tolist()), [int(i) for i in whole]))
    return found


def tiled(pieces, segments):
    """Lay segments end to end along each piece, each used once; return (piece, begin, segment)."""
    left, places = Counter(tuple(scored) for scored, _ in segments), []
    for number, piece in enumerate(pieces):
        begin = 0
        while begin < len(piece):
            fits = [s for s in left if left[s] and s == tuple(piece[begin : begin + len(s)])]
            assert fits, f"no segment goes on with event {begin} of piece {number}"
            longest = max(fits, key=len)
            left[longest] -= 1
            places.append((number, begin, longest))
            begin += len(longest)
    assert not +left
    return places


def one_round(dataset, cut, **settings):
    source = batches(dataset, cut, **settings)
    return list(itertools.takewhile(lambda batch: batch.position[0] == 0, source))


def train_ids(dataset):
    return [dataset.ids(piece).tolist() for piece in dataset.split("train")]


def test_ids_are_what_the_vocabulary_writes(dataset, midi):
    for piece in dataset.pieces:
        performance = read(midi / piece.path.rpartition("/")[2])
        assert (dataset.ids(piece) == dataset.vocabulary.encode(performance)).all()
        assert piece.notes == len(performance)
        assert piece.seconds == pytest.approx(performance.seconds, abs=1e-3)
    assert len(dataset.split("train")) == len(LENGTHS)
    assert [piece.composition for piece in dataset.split("validation")] == ["piece 10", "piece 11"]


def whole(dataset, split, notewise=False):
    pieces = (dataset.ids(piece) for piece in dataset.split(split))
    return [Passage(Material(ids, dataset.vocabulary, notewise)) for ids in pieces]


def test_whole_pieces_score_every_event_once_given_all_before_it(dataset):
    for split, rows in (("train", 4), ("validation", 64)):
        source = passages(whole(dataset, split), rows, 50)
        followed = pieces_followed(source, dataset.vocabulary.size)
        expected = [dataset.ids(piece).tolist() for piece in dataset.split(split)]
        assert sorted(followed) == sorted(expected)


@pytest.mark.parametrize("notewise", [False, True])
def test_a_passage_is_read_from_inside_a_piece_and_scored_in_part(notes, notewise):
    piece, other = whole(notes, "train", notewise)[:2]
    every = [Passage(piece.piece, 10, 90, 50), Passage(other.piece, 0, 30, 0)]
    events = [in_events(notes, "train"), train_ids(notes)][not notewise]
    inputs, targets = [[], []], [[], []]
    for number, batch in enumerate(passages(every, 2, 40, ["controls"])):
        assert batch.fresh.tolist() == [number == 0] * 2
        assert batch.sides["controls"].shape[:2] == (40, 2)
        for row in range(2):
            inputs[row] += batch.inputs[:, row].tolist()
            targets[row] += batch.targets[:, row].tolist()
    lacking = [[IGNORED] * 5] if notewise else [IGNORED]
    assert inputs[0] == events[0][9:89]
    assert targets[0] == lacking * 40 + events[0][50:90]
    assert inputs[1][:30] == [
        no_event(notes) if notewise else notes.vocabulary.size,
        *events[1][:29],
    ]
    assert targets[1] == events[1][:30] + lacking * 50


def test_carried_batches_follow_every_piece_once_a_round(dataset):
    events = sum(map(len, train_ids(dataset)))
    source = batches(dataset, CUTS["carried"], seed=3)
    enough = itertools.islice(source, 4 * events // 64)
    followed = pieces_followed(enough, dataset.vocabulary.size)
    count = len(LENGTHS)
    first, second = followed[:count], followed[count : 2 * count]
    assert sorted(first) == sorted(second) == sorted(train_ids(dataset))
    assert first != second


@pytest.mark.parametrize("name", ["events", "seconds"])
def test_segments_score_every_event_once_a_round(dataset, name):
    expected = train_ids(dataset)
    orders = []
    for seed in (0, 1):
        found = segments_of(one_round(dataset, CUTS[name], seed=seed))
        tiled(expected, found)
        orders.append(found)
    assert orders[0] != orders[1]


def test_segments_are_as_long_as_asked_with_what_they_restore(dataset):
    found = segments_of(one_round(dataset, CUTS["events"], seed=0))
    assert all(len(whole) <= 64 for _, whole in found)
    ends = {tuple(ids[-5:]) for ids in train_ids(dataset)}
    least = 60 if dataset.vocabulary.notewise else 64  # events of up to five ids stay together
    assert all(len(whole) >= least for _, whole in found if tuple(whole[-5:]) not in ends)


def test_segments_in_seconds_fill_their_time(dataset):
    v = dataset.vocabulary
    expected = train_ids(dataset)
    found = segments_of(one_round(dataset, CUTS["seconds"], seed=0))
    for number, begin, scored in tiled(expected, found):
        lasting = grid_steps(np.array(scored), v)[-1]
        assert lasting < 500 or len(scored) == 1
        rest = np.array(expected[number][begin + len(scored) :], int)
        if len(rest):  # the next event would have made it too long
            following = v.values[rest[0]] if v.kinds[rest[0]] == TIME_SHIFT else 0
            assert lasting + following >= 500


def sounding(performance, v, since, until):
    """Notes of a stretch of time, in steps from its beginning; and its pedal at each step."""
    on, off = (
        np.round(performance.notes[name] * v.steps_per_second).astype(int)
        for name in ("onset_s", "offset_s")
    )
    inside = (on < until) & (off > since)
    on, off = np.maximum(on, since) - since, np.minimum(off, until) - since
    velocity = np.where(on > 0, performance.notes["velocity"], 0)  # long struck: no matter
    notes = np.stack((on, off, performance.notes["pitch"], velocity), axis=1)[inside]
    moved = np.round(performance.controls["time_s"] * v.steps_per_second)
    latest = np.searchsorted(moved, np.arange(since, until), "right")
    pedal = np.append(0, performance.controls["value"])[latest]
    return Counter(map(tuple, notes.tolist())), pedal.tolist()


@pytest.mark.parametrize("name", ["events", "seconds"])
def test_a_segment_sounds_as_its_piece_does_there(dataset, name):
    v = dataset.vocabulary
    pieces = train_ids(dataset)
    reached = [grid_steps(np.array(ids), v) for ids in pieces]
    decoded = [v.decode(ids) for ids in pieces]
    found = segments_of(one_round(dataset, CUTS[name], seed=0))
    wholes = dict(found)
    assert any(len(whole) > len(scored) for scored, whole in found)
    for number, begin, scored in tiled(pieces, found):
        since = int(reached[number][begin - 1]) if begin else 0
        until = int(reached[number][begin + len(scored) - 1])
        part = sounding(v.decode(wholes[scored]), v, 0, until - since)
        assert part == sounding(decoded[number], v, since, until)


@pytest.mark.parametrize("dataset", ["seed", "pedal"], indirect=True)  # notes have their own
def test_a_segment_restores_the_loudness_in_force(dataset):
    v = dataset.vocabulary
    pieces = train_ids(dataset)
    found = segments_of(one_round(dataset, CUTS["events"], seed=0))
    wholes = dict(found)
    for number, begin, scored in tiled(pieces, found):
        before = [i for i in pieces[number][:begin] if v.kinds[i] == VELOCITY]
        prefix = wholes[scored][: len(wholes[scored]) - len(scored)]
        assert [i for i in prefix if v.kinds[i] == VELOCITY] == before[-1:]


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize(
    ("seed", "augmentation", "parts"),
    [(0, None, 1), (1, Augmentation(), 1), (2, Augmentation(), 3)],
)
def test_batches_go_on_from_any_position(dataset, name, seed, augmentation, parts):
    settings = {"seed": seed, "part": parts - 1, "parts": parts}
    first = list(itertools.islice(batches(dataset, CUTS[name], augmentation, **settings), 120))
    for stop in (0, 1, 17, 60, 114):
        position = json.loads(json.dumps(first[stop].position))
        source = batches(dataset, CUTS[name], augmentation, **settings, position=position)
        for expected, actual in zip(first[stop + 1 : stop + 6], source, strict=False):
            assert same(expected, actual)
            assert expected.position == actual.position


def test_controls_are_those_of_the_music_that_follows_or_nothing(dataset):
    v = dataset.vocabulary
    wanted = {piece.path: measured(dataset.ids(piece), v) for piece in dataset.split("train")}
    source = batches(dataset, CUTS["carried"], seed=0, sides=["controls"])
    asked = 0
    for batch in itertools.islice(source, 60):
        for row, (_, number, end) in enumerate(batch.position[1]):
            piece = dataset.split("train")[begun(number, seed=0)]
            part = wanted[piece.path][end - 64 : end]
            given = batch.sides["controls"][: len(part), row]
            for numbers in (slice(0, 8), slice(8, 16), slice(16, 28)):
                if given[:, numbers].any():
                    asked += 1
                    np.testing.assert_array_equal(given[:, numbers], part[:, numbers])
    assert asked > 50


def test_controls_do_not_depend_on_where_one_resumes(dataset):
    settings = {"seed": 4, "sides": ["controls"]}
    first = list(itertools.islice(batches(dataset, CUTS["carried"], **settings), 12))
    source = batches(dataset, CUTS["carried"], **settings, position=first[5].position)
    for expected, actual in zip(first[6:], source, strict=False):
        np.testing.assert_array_equal(expected.sides["controls"], actual.sides["controls"])


def test_controls_and_note_wise_networks_need_carried_windows(dataset):
    for wish in ({"sides": ["controls"]}, {"notewise": True}):
        with pytest.raises(ValueError, match="carried"):
            next(batches(dataset, CUTS["events"], seed=0, **wish))


def no_event(notes):
    return [notes.vocabulary.size, *[NO_ID] * 4]


def in_events(notes, split):
    pieces = (notes.ids(piece) for piece in notes.split(split))
    return [steps(ids, notes.vocabulary).tolist() for ids in pieces]


def test_whole_pieces_in_events_score_every_id_once(notes):
    source = list(passages(whole(notes, "train", notewise=True), 4, 50))
    expected = in_events(notes, "train")
    assert sorted(pieces_followed(source, no_event(notes))) == sorted(expected)
    ids = sum(len(ids) for ids in train_ids(notes))
    assert sum(batch.events for batch in source) == ids


def test_a_split_has_as_many_places_as_its_batches(notes):
    for notewise in (False, True):
        source = passages(whole(notes, "train", notewise), 4, 50)
        targets = [batch.targets.reshape(50 * 4, -1) for batch in source]
        count = sum(int((part != IGNORED).any(axis=1).sum()) for part in targets)
        assert notes.count_events("train", notewise) == count


def test_carried_events_follow_every_piece_once_a_round(notes):
    expected = in_events(notes, "train")
    source = batches(notes, CUTS["carried"], seed=3, notewise=True)
    enough = itertools.islice(source, sum(map(len, expected)) // 64)
    followed = pieces_followed(enough, no_event(notes))[: len(LENGTHS)]
    assert sorted(followed) == sorted(expected)
    assert followed != expected


def test_events_and_their_controls_do_not_depend_on_where_one_resumes(notes):
    settings = {"seed": 4, "sides": ["controls"], "notewise": True}
    first = list(itertools.islice(batches(notes, CUTS["carried"], Augmentation(), **settings), 30))
    for one, following in itertools.pairwise(first):
        position = json.loads(json.dumps(one.position))
        source = batches(notes, CUTS["carried"], Augmentation(), **settings, position=position)
        resumed = next(source)
        assert same(resumed, following)
        np.testing.assert_array_equal(resumed.sides["controls"], following.sides["controls"])


def test_controls_of_an_event_are_those_of_the_music_that_begins_with_it(notes):
    v = notes.vocabulary
    asked = 0
    source = batches(notes, CUTS["carried"], seed=0, sides=["controls"], notewise=True)
    for batch in itertools.islice(source, 20):
        for row, (_, number, end) in enumerate(batch.position[1]):
            ids = notes.ids(notes.split("train")[begun(number, seed=0)])
            begins = np.flatnonzero(v.kinds[ids] == TIME_SHIFT)[end - 64 : end]
            assert batch.targets[: len(begins), row, 0].tolist() == ids[begins].tolist()
            part, given = measured(ids, v)[begins], batch.sides["controls"][: len(begins), row]
            for numbers in (slice(0, 8), slice(8, 16), slice(16, 28)):
                if given[:, numbers].any():
                    asked += 1
                    np.testing.assert_array_equal(given[:, numbers], part[:, numbers])
    assert asked > 20


def test_every_position_of_a_round_can_be_resumed(dataset):
    for cut in CUTS.values():
        first = list(itertools.islice(batches(dataset, cut, seed=5), 15))
        for one, following in itertools.pairwise(first):
            resumed = batches(dataset, cut, seed=5, position=one.position)
            assert same(next(resumed), following)


def test_processes_share_the_pieces_of_a_round_without_overlap(dataset):
    found = [one_round(dataset, CUTS["events"], seed=1, part=n, parts=3) for n in range(3)]
    tiled(train_ids(dataset), [s for part in found for s in segments_of(part)])
    followed = []
    for part in range(3):
        source = batches(dataset, CUTS["carried"], seed=1, part=part, parts=3)
        share = len(range(part, len(LENGTHS), 3))
        followed += pieces_followed(itertools.islice(source, 300), dataset.vocabulary.size)[:share]
    assert sorted(followed) == sorted(train_ids(dataset))


def test_more_processes_than_pieces_are_refused(dataset):
    with pytest.raises(DataError, match="10 training pieces are too few for 11 processes"):
        next(batches(dataset, CUTS["events"], seed=0, part=10, parts=11))


def test_augmentation_differs_from_round_to_round(dataset):
    source = batches(dataset, CUTS["carried"], Augmentation(), seed=0)
    followed = pieces_followed(itertools.islice(source, 400), dataset.vocabulary.size)
    count = len(LENGTHS)
    assert sorted(followed[:count]) != sorted(followed[count : 2 * count])
    assert sorted(followed[:count]) != sorted(train_ids(dataset))


JUMPING = Cut(rows=4, events=16, carried=True, jump=0.25)


def rows_followed(source, batches):
    """Return what each row follows, one after another: the event before it, and its targets."""
    rows, followed = {}, []
    for batch in itertools.islice(source, batches):
        for row, fresh in enumerate(batch.fresh):
            real = batch.targets[:, row] != IGNORED
            real = real if real.ndim == 1 else real.any(axis=1)
            if fresh:
                rows[row] = (batch.inputs[0, row].tolist(), [])
                followed.append(rows[row])
            rows[row][1].extend(batch.targets[real, row].tolist())
    return followed


@pytest.mark.parametrize("notewise", [False, True])
def test_rows_jump_into_pieces_which_then_have_no_beginning(notes, notewise):
    nothing = no_event(notes) if notewise else notes.vocabulary.size
    pieces = in_events(notes, "train") if notewise else train_ids(notes)
    followed = rows_followed(batches(notes, JUMPING, seed=0, notewise=notewise), 300)
    begun = [targets for before, targets in followed if before == nothing]
    inside = [(before, targets) for before, targets in followed if before != nothing]
    assert len(begun) > 10 and len(inside) > 100
    for targets in begun:
        assert any(piece[: len(targets)] == targets for piece in pieces)
    places = set()
    for before, targets in inside:
        places |= {
            (number, at)
            for number, piece in enumerate(pieces)
            for at in range(1, len(piece))
            if piece[at - 1] == before and piece[at : at + len(targets)] == targets
        }
    assert len(places) > 0.9 * len(inside)
    longest = LENGTHS.index(max(LENGTHS))  # it is a third of the music
    assert 0.2 < sum(number == longest for number, _ in places) / len(places) < 0.5


def test_a_row_goes_on_after_three_windows_of_four(dataset):
    jumps = windows = 0
    for batch in itertools.islice(batches(dataset, JUMPING, seed=1), 400):
        jumps += (batch.fresh & (batch.inputs[0] != dataset.vocabulary.size)).sum()
        windows += len(batch.fresh)
    assert 0.2 < jumps / windows < 0.27  # not at the end of a piece


@pytest.mark.parametrize("gaps", [0.0, 0.6])
@pytest.mark.parametrize("parts", [1, 2])
def test_jumping_batches_go_on_from_any_position(notes, parts, gaps):
    settings = {"seed": 2, "part": parts - 1, "parts": parts, "sides": ["controls", "fill"]}
    settings["notewise"] = True
    cut = dataclasses.replace(JUMPING, gaps=gaps)
    first = list(itertools.islice(batches(notes, cut, Augmentation(), **settings), 60))
    assert any(batch.sides["fill"].any() for batch in first) == (gaps > 0)
    for stop in (0, 3, 20, 41):
        position = json.loads(json.dumps(first[stop].position))
        source = batches(notes, cut, Augmentation(), **settings, position=position)
        for expected, actual in zip(first[stop + 1 : stop + 6], source, strict=False):
            assert same(expected, actual)
            assert expected.position == actual.position
            for name in settings["sides"]:
                np.testing.assert_array_equal(expected.sides[name], actual.sides[name])


def test_jumps_of_two_processes_lead_elsewhere(notes):
    places = [
        {
            (before, *targets[:8])
            for before, targets in rows_followed(source, 100)
            if before != notes.vocabulary.size
        }
        for source in (batches(notes, JUMPING, seed=3, part=part, parts=2) for part in range(2))
    ]
    assert min(map(len, places)) > 50
    assert len(places[0] & places[1]) < 5


def test_controls_after_a_jump_are_those_of_the_music_that_follows(notes):
    v, rows = notes.vocabulary, set()
    for piece in notes.split("train"):
        ids = notes.ids(piece)
        numbers = measured(ids, v)[v.kinds[ids] == TIME_SHIFT, 16:28]
        rows |= {row.tobytes() for row in numbers}
    requested = 0
    source = batches(notes, JUMPING, seed=0, sides=["controls"], notewise=True)
    for batch in itertools.islice(source, 60):
        for numbers in batch.sides["controls"][(batch.targets != IGNORED).any(axis=-1), 16:28]:
            if numbers.any():
                requested += 1
                assert numbers.tobytes() in rows
    assert requested > 100


def test_a_batch_counts_its_targets(dataset):
    found = one_round(dataset, CUTS["events"], seed=0)
    assert sum(batch.events for batch in found) == sum(map(len, train_ids(dataset)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"events": 1},
        {"seconds": 0.0},
        {"seconds": 30.0, "carried": True},
        {"jump": 0.1},
        {"jump": 1.1, "carried": True},
    ],
)
def test_cuts_are_checked(wrong):
    with pytest.raises(ValueError, match=r"must be|cannot be"):
        Cut(**wrong)


def test_an_unknown_split_is_named(dataset):
    with pytest.raises(DataError, match="no piece is in the split 'test'"):
        dataset.split("test")


@pytest.mark.parametrize("name", ["dataset.json", "manifest.csv"])
def test_an_unfinished_dataset_is_refused(copied, name):
    (copied / name).unlink()
    with pytest.raises(DataError, match=f"not a prepared dataset, {name} is missing"):
        Dataset(copied)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a prepared dataset"):
        Dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset.json", b"{"),
        ("dataset.json", b"[]"),
        ("dataset.json", b"\xff\xfe"),
        ("dataset.json", b'{"format": 1}'),
        ("dataset.json", b'{"format": 1, "vocabulary": {"shape": "round"}}'),
        ("manifest.csv", b"path,status\na.mid,kept\n"),
        ("manifest.csv", b"\xff\xfe"),
    ],
)
def test_damaged_descriptions_are_refused(copied, name, content):
    (copied / name).write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        Dataset(copied)


def test_another_format_is_refused(copied):
    about = json.loads((copied / "dataset.json").read_text())
    del about["seal"]
    (copied / "dataset.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(DataError, match="format 99, this version reads 1 to 3"):
        Dataset(copied)


@pytest.mark.parametrize("name", ["dataset.json", "manifest.csv", "pieces.ids"])
def test_a_changed_byte_is_refused_and_preparing_again_heals(midi, copied, name):
    ids = [Dataset(copied).ids(piece).tolist() for piece in Dataset(copied).pieces]
    content = (copied / name).read_bytes()
    for place in (0, len(content) // 3, len(content) // 2, content.find(b"sha256"), -1):
        changed = bytearray(content)
        changed[place] ^= 1
        (copied / name).write_bytes(changed)
        with pytest.raises(DataError, match=f"{name}.* (changed|damaged).*prepare it again"):
            for piece in Dataset(copied).pieces:
                Dataset(copied).ids(piece)
    healed = prepared(midi, copied, "seed")
    assert (copied / name).read_bytes() == content
    assert [healed.ids(piece).tolist() for piece in healed.pieces] == ids


@pytest.mark.parametrize("lost", ["seal", "manifest_sha256"])
def test_a_description_without_its_hashes_is_refused(copied, lost):
    about = json.loads((copied / "dataset.json").read_text())
    del about[lost]
    (copied / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="has changed since it was written"):
        Dataset(copied)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "odd", "foreign", "one bit"])
def test_damaged_ids_are_refused(copied, damage):
    stored = copied / "pieces.ids"
    data = stored.read_bytes()
    if damage == "missing":
        stored.unlink()
    else:
        stored.write_bytes(
            {
                "empty": b"",
                "cut": data[: len(data) // 2 // 2 * 2],
                "odd": data[:-1],
                "foreign": b"\xff" * len(data),
                "one bit": bytes((data[0] ^ 1,)) + data[1:],
            }[damage]
        )
    dataset = Dataset(copied)
    with pytest.raises(DataError, match="prepare it again"):
        for piece in dataset.pieces:
            dataset.ids(piece)


def test_a_dataset_can_be_moved(copied, tmp_path):
    ids = [Dataset(copied).ids(piece).tolist() for piece in Dataset(copied).pieces]
    moved = Dataset(shutil.move(copied, tmp_path / "elsewhere"))
    assert [moved.ids(piece).tolist() for piece in moved.pieces] == ids
