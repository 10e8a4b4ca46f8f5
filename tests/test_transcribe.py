"""Recordings become performances: the parts, the files, and the commands that take them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import espressivo
from conftest import Run
from espressivo import Performance, registry, vocabulary
from espressivo.data import Dataset, prepare
from espressivo.errors import AudioError
from espressivo.progress import Silent
from espressivo.transcribe import Heard, Recording, hearing, opened, transcribe
from played import played

RATE, PART, STEP, LEAD = 100, 1600, 800, 850
needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs PyAV")
needs_transkun = pytest.mark.skipif(
    importlib.util.find_spec("transkun") is None, reason="needs Transkun"
)


class FakeEar:
    """Hears a note of pitch 60 wherever samples are not 0, and knows nothing beyond its part."""

    sample_rate, part, step, lead = RATE, PART, STEP, LEAD

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.after: list[list[int] | None] = []

    def hear(
        self, samples: NDArray[np.float32], after: Sequence[int] | None
    ) -> tuple[list[Heard], list[int]]:
        self.shapes.append(samples.shape)
        self.after.append(None if after is None else list(after))
        loud = np.flatnonzero(np.diff(samples[0] != 0, prepend=False, append=False))
        heard = [
            Heard(60, begin / RATE, end / RATE, 70, begin > 0, end < PART)
            for begin, end in loud.reshape(-1, 2).tolist()
        ]
        return heard, [len(self.shapes)]


class Said(Silent):
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.total, self.done, self.closed = 0, 0, False

    def start(self, total: int, unit: str, label: str) -> None:
        self.total = total

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n

    def close(self) -> None:
        self.closed = True


def sounding(monkeypatch: pytest.MonkeyPatch, seconds: float, *when_s: tuple[float, float]) -> None:
    """Make every file one that sounds from a second to another, in blocks of odd sizes."""
    samples = np.zeros((2, round(seconds * RATE)), np.float32)
    for begin_s, end_s in when_s:
        samples[:, round(begin_s * RATE) : round(end_s * RATE)] = 0.5

    @contextlib.contextmanager
    def opened(source: object, sample_rate: int, name: str) -> Iterator[Recording]:
        assert sample_rate == RATE
        cuts = range(0, samples.shape[1], 333)
        yield Recording(seconds, 2, iter([samples[:, cut : cut + 333] for cut in cuts]))

    monkeypatch.setattr(hearing, "opened", opened)


def test_notes_come_whole_and_once_out_of_parts_that_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    when_s = [(0.5, 1.0), (2.0, 12.5), (14.0, 41.0), (60.0, 60.5), (63.0, 64.0)]
    sounding(monkeypatch, 64, *when_s)
    ear, said = FakeEar(), Said()
    notes = transcribe("x.wav", ear=ear, progress=said).notes
    found = np.stack((notes["onset_s"], notes["offset_s"]), 1)
    assert found == pytest.approx(np.array(when_s))
    assert set(ear.shapes) == {(2, PART)}
    assert (said.total, said.closed) == (64, True)
    assert said.done >= 64


def test_each_part_is_told_what_the_one_before_said(monkeypatch: pytest.MonkeyPatch) -> None:
    sounding(monkeypatch, 60, (1, 2), (10, 11), (50, 51))
    ear = FakeEar()
    transcribe("x.wav", ear=ear)
    # Parts begin at -8.5, -0.5, 7.5, ... s; silent ones are not heard.
    assert ear.after == [None, [1], [2], [], [4]]


def test_silence_is_an_empty_performance(monkeypatch: pytest.MonkeyPatch) -> None:
    sounding(monkeypatch, 20)
    ear = FakeEar()
    assert transcribe("x.wav", ear=ear) == Performance.from_arrays(
        onset_s=[], offset_s=[], pitch=[], velocity=[]
    )
    assert ear.shapes == []


def test_pedals_become_controls_and_notes_of_a_key_never_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sounding(monkeypatch, 1, (0, 1))

    class Pedalling(FakeEar):
        def hear(
            self, samples: NDArray[np.float32], after: Sequence[int] | None
        ) -> tuple[list[Heard], list[int]]:
            if after is not None:
                return [], []
            begin_s = LEAD / RATE
            return [
                Heard(-64, begin_s - 1, begin_s + 0.5, 3),
                Heard(60, begin_s + 0.1, begin_s + 0.3, 0),
                Heard(60, begin_s + 0.3, begin_s + 0.9, 127, ended=False),
                Heard(-67, begin_s + 0.2, begin_s + 0.4, 127),
            ], [0]

    heard = transcribe("x.wav", ear=Pedalling())
    assert heard.notes["velocity"].tolist() == [1, 127]
    assert heard.notes["offset_s"].tolist() == pytest.approx([0.3, 0.9])
    assert heard.controls[["number", "value"]].tolist() == [(64, 127), (67, 127), (67, 0), (64, 0)]
    assert heard.controls["time_s"].tolist() == pytest.approx([0, 0.2, 0.4, 0.5])


def test_what_is_too_long_is_refused_before_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    sounding(monkeypatch, 30, (0, 30))
    ear = FakeEar()
    with pytest.raises(AudioError, match=r"the sound: is too long: at most 20 s"):
        transcribe(b"...", ear=ear, longest_s=20)
    assert ear.shapes == []


# --- files ----------------------------------------------------------------------------------------


def wav(channels: int, rate: int, seconds: float, loud: float = 0.5) -> bytes:
    frames = np.sin(np.arange(round(rate * seconds)) * 440 * 2 * np.pi / rate) * loud * 32767
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.repeat(frames.astype("<i2"), channels).tobytes())
    return file.getvalue()


def decoded(source: Path | bytes) -> NDArray[np.float32]:
    with opened(source, 44_100, "x.wav") as recording:
        return np.concatenate(list(recording.blocks), 1)


@needs_av
@pytest.mark.parametrize(
    ("channels", "rate", "kept"), [(1, 8_000, 1), (2, 44_100, 2), (6, 96_000, 2)]
)
def test_sound_of_any_rate_and_channels_is_decoded(channels: int, rate: int, kept: int) -> None:
    samples = decoded(wav(channels, rate, 1.5))
    assert samples.shape == (kept, pytest.approx(1.5 * 44_100, abs=50))
    middle = samples[0, 10_000:50_000]
    assert 0.3 < np.abs(middle).max() < 1.5
    highest = np.abs(np.fft.rfft(middle)).argmax() * 44_100 / len(middle)
    assert highest == pytest.approx(440, abs=2)


@needs_av
@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3"])
def test_encoded_sound_is_decoded_as_it_was(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    path = tmp_path / f"a.{kind}"
    performance = Performance.from_arrays(onset_s=[0.0], offset_s=[0.2], pitch=[60], velocity=[90])
    sound = performance.to_audio()
    sound.write(path)
    samples = decoded(path)
    count = min(samples.shape[1], sound.samples.shape[1])
    assert abs(samples.shape[1] - sound.samples.shape[1]) < 3000
    there = [a[0, :count] for a in (samples, sound.samples)]
    assert np.corrcoef(*there)[0, 1] > 0.99


@needs_av
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no sound that can be read"),
        (b"this is a text" * 100, "is no sound that can be read"),
        (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "is no sound that can be read"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "is no sound that can be read"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is no sound that can be read"),
        (wav(1, 8000, 0), "holds no sound"),
    ],
    ids=["empty", "text", "midi", "concat", "playlist", "no samples"],
)
def test_what_is_no_sound_is_refused_in_one_line(content: bytes, says: str) -> None:
    with pytest.raises(AudioError, match=rf"^x\.wav: {says}[^\n]*$"):
        decoded(content)


@needs_av
def test_numbers_that_are_no_sound_are_refused() -> None:
    content = bytearray(wav(2, 44_100, 0.1))
    header = content.index(b"fmt ") + 8
    content[header : header + 2] = b"\3\0"  # floating point
    content[header + 8 : header + 16] = b"\x20\x62\x05\0\x08\0\x20\0"
    content[-8:] = np.array([np.nan, np.inf], "<f4").tobytes()
    with pytest.raises(AudioError, match="numbers that are no sound"):
        decoded(bytes(content))


@needs_av
@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_a_file_that_is_cut_short_gives_what_it_has(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    path = tmp_path / f"a.{kind}"
    played(0, notes=20).to_audio().write(path)
    whole = decoded(path).shape[1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert whole * 0.3 < decoded(path).shape[1] < whole * 0.7


@needs_av
def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "no.wav", "No such file"), (tmp_path, "it is a folder")):
        with pytest.raises(AudioError, match=rf"^x\.wav: cannot be read: {says}"):
            decoded(path)


# --- commands -------------------------------------------------------------------------------------

HEARD = Performance.from_arrays(
    onset_s=np.arange(300) * 0.25,
    offset_s=np.arange(300) * 0.25 + 0.2,
    pitch=50 + np.arange(300) * 7 % 31,
    velocity=np.full(300, 64),
)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let every recording be `HEARD`, but for those that are broken; give what was read."""
    paths: list[Path] = []

    def listen(path: Path, *_: object, **__: object) -> Performance:
        paths.append(Path(path))
        if b"broken" in Path(path).read_bytes():
            raise AudioError(f"{path}: is no sound that can be read")
        return HEARD

    for ending in registry.RECORDINGS:
        monkeypatch.setitem(registry.READERS, ending, listen)
    monkeypatch.setattr("espressivo.transcribe.transcribe", listen)
    return paths


def test_espressivo_reads_recordings_by_their_ending(heard: list[Path], tmp_path: Path) -> None:
    (tmp_path / "A.M4A").write_bytes(b"sound")
    assert espressivo.read(tmp_path / "A.M4A") == HEARD
    HEARD.write(tmp_path / "a.mid")
    assert len(espressivo.read(tmp_path / "a.mid")) == len(HEARD)
    assert heard == [tmp_path / "A.M4A"]


@pytest.mark.parametrize(
    "arguments",
    [
        "generate --primer a.m4a --seconds 1 --model seed -o out.mid",
        "generate --primer a.m4a --include-primer --seconds 1 --model seed -o out.mid",
        "next --primer a.m4a --model seed",
        "events a.m4a",
        "notate a.m4a -o out.musicxml",
        "fill a.m4a --from 3 --to 4 --candidates 1 -o out.mid",
    ],
)
def test_commands_that_read_midi_take_recordings(
    arguments: str, run: Run, heard: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "a.m4a").write_bytes(b"sound")
    assert run(*arguments.split())[::2] == (0, "") or heard == [Path("a.m4a")]
    assert heard == [Path("a.m4a")]


@pytest.mark.parametrize("command", ["info a.m4a", "evaluate seed a.m4a"])
def test_commands_that_do_not_say_what_to_do(command: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"sound")
    status, _, error = run(*command.split())
    assert status == 1
    assert "a.m4a: is sound: transcribe it first: espressivo transcribe" in error


def test_transcribe_writes_midi(run: Run, heard: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"sound")
    status, out, _ = run("transcribe", "a.m4a", "-o", "a.mid")
    assert (status, out) == (0, "a.mid: 300 notes, the sustain pedal 0 times, 75.0 s\n")
    assert len(espressivo.read("a.mid")) == 300


def test_transcribe_makes_a_folder_and_goes_on_in_it(
    run: Run, heard: list[Path], tmp_path: Path
) -> None:
    for name in ("one.wav", "two.mp3", "bad.ogg", "known.wav", "known.mid"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"broken" if name == "bad.ogg" else b"sound")
    status, _, error = run("transcribe", "mine", "--out", "takes")
    assert status == 1
    assert "1 of 3 could not be transcribed" in error
    assert "bad.ogg: is no sound that can be read" in error
    assert sorted(p.name for p in Path("takes/mine").iterdir()) == ["one.mid", "two.mid"]
    heard.clear()
    (tmp_path / "mine" / "bad.ogg").write_bytes(b"sound")
    assert run("transcribe", "mine", "--out", "takes")[0] == 0
    assert [path.name for path in heard] == ["bad.ogg"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("a.wav", "give either -o"),
        ("a.wav -o a.mid --out b", "give either -o"),
        ("a.wav b.wav -o a.mid", "for several give a folder"),
        ("a.wav -o a.wav", "the name must end in .mid"),
        ("a.wav a.mp3 --out b", "both would become"),
    ],
)
def test_transcribe_says_what_does_not_go(
    arguments: str, says: str, run: Run, heard: list[Path], tmp_path: Path
) -> None:
    for name in ("a.wav", "a.mp3", "b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    status, _, error = run("transcribe", *arguments.split())
    assert status in (1, 2)
    assert says in error
    assert error.count("\n") == 1


def test_without_the_extra_a_line_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transkun", None)
    (tmp_path / "a.wav").write_bytes(wav(1, 8000, 0.1))
    status, _, error = run("transcribe", "a.wav", "-o", "a.mid")
    assert status == 1
    assert "transkun is missing: pip install 'espressivo[transcribe]'" in error
    assert error.count("\n") == 1


def test_a_corpus_may_be_of_recordings(heard: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("one.wav", "bad.wav", "known.wav"):
        (folder / name).write_bytes(b"broken" if name == "bad.wav" else name.encode())
    HEARD.transpose(1).stretch(0.7).write(folder / "known.mid")
    for _ in range(2):
        manifest = prepare([folder], tmp_path / "out", vocabulary=vocabulary("seed"))
        assert (manifest.found, manifest.dropped["unreadable"]) == (3, 1)
        assert manifest.unreadable == ("mine/bad.wav: is no sound that can be read",)
    # Beside known.wav there is MIDI; one.wav is heard once, and its name stays.
    assert [path.name for path in heard] == ["bad.wav", "one.wav", "bad.wav"]
    assert {piece.path for piece in Dataset(tmp_path / "out").pieces} <= {
        "mine/one.wav",
        "mine/known.mid",
    }
    assert len(list((tmp_path / "out" / "transcribed").glob("*.mid"))) == 1


# --- the real thing -------------------------------------------------------------------------------


def test_the_filter_bank_is_that_of_torchaudio() -> None:
    torch = pytest.importorskip("torch")
    from espressivo.transcribe.transkun import filter_bank

    bank = filter_bank(2049, 30, 8000, 229, 44_100)
    assert (bank.shape, bank.dtype) == ((2049, 229), torch.float32)
    # As torchaudio.functional.melscale_fbanks of torchaudio 2.11.1 has it, bit for bit.
    there = bank.nonzero()
    assert len(there) == 1472
    assert float(bank.double().sum()) == pytest.approx(735.4882197732804, rel=1e-9)
    assert there[::400].tolist() == [[3, 0], [203, 127], [403, 179], [603, 212]]
    values = [float(bank[row, column]) for row, column in there[::400].tolist()]
    assert values == pytest.approx([0.290834, 0.569040, 0.309763, 0.334398], abs=1e-6)


@pytest.mark.slow
@needs_av
@needs_transkun
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pretty_midi")
def test_what_our_piano_plays_is_heard(tmp_path: Path) -> None:
    import torch
    from mir_eval.transcription import precision_recall_f1_overlap
    from mir_eval.util import midi_to_hz

    from espressivo.transcribe import transkun

    path = tmp_path / "a.wav"
    piece = HEARD.slice(0, 3)
    piece.write(path)
    heard = espressivo.read(path)
    arguments = []
    for notes in (piece.notes, heard.notes):
        arguments.append(np.stack((notes["onset_s"], notes["offset_s"]), 1))
        arguments.append(midi_to_hz(notes["pitch"].astype(float)))
    assert precision_recall_f1_overlap(*arguments, offset_ratio=None)[2] > 0.9
    # It is what Transkun makes of the whole recording at once.
    with torch.inference_mode():
        theirs = transkun._model().transcribe(torch.from_numpy(decoded(path).T.copy()))
    their_notes = sorted((e.start, e.end, e.pitch) for e in theirs if e.pitch > 0)
    our_notes = sorted(heard.notes[["onset_s", "offset_s", "pitch"]].tolist())
    assert np.array(our_notes) == pytest.approx(np.array(their_notes), abs=1e-6)
