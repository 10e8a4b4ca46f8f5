from __future__ import annotations

import os
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from espressivo import Performance
from espressivo.errors import AudioError, EspressivoError
from espressivo.music.performance import CONTROL_DTYPE, SUSTAIN
from espressivo.views import sound as audio
from soundfont import soundfont

RATE = audio.SAMPLE_RATE


def keys(
    pitch: ArrayLike,
    velocity: ArrayLike = 80,
    onset_s: ArrayLike = 0.0,
    held_s: float = 0.5,
    pedal_until_s: float = 0.0,
) -> Performance:
    pitch, velocity, onset_s = np.broadcast_arrays(np.atleast_1d(pitch), velocity, onset_s)
    moves = [(0.0, SUSTAIN, 127), (pedal_until_s, SUSTAIN, 0)] if pedal_until_s else []
    controls = np.array(moves, CONTROL_DTYPE)
    return Performance.from_arrays(
        onset_s=onset_s,
        offset_s=onset_s + held_s,
        pitch=pitch,
        velocity=velocity,
        controls=controls,
    )


def heard(performance: Performance) -> np.ndarray:
    return audio.render(performance).samples.sum(axis=0)


def energy(sound: np.ndarray, begin_s: float, end_s: float) -> float:
    return float((sound[round(begin_s * RATE) : round(end_s * RATE)] ** 2).mean())


def spectrum(sound: np.ndarray, rate: int = RATE) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(2 * rate, 1 / rate), np.abs(np.fft.rfft(sound[: rate // 2], 2 * rate))


def centroid_hz(sound: np.ndarray) -> float:
    hertz, amplitude = spectrum(sound)
    return float((hertz * amplitude**2).sum() / (amplitude**2).sum())


@pytest.mark.parametrize("pitch", [36, 60, 84])
def test_a_harder_touch_is_louder_and_brighter(pitch: int) -> None:
    sounds = [heard(keys(pitch, velocity)) for velocity in (20, 45, 60, 80, 110)]
    loudness = [energy(sound, 0, 0.5) for sound in sounds]
    assert (np.diff(loudness) > 0).all()
    centroids = [centroid_hz(sound) for sound in sounds]
    assert (np.diff(centroids) > 0).all()
    assert centroids[-1] > 1.15 * centroids[0]


def test_loudness_has_no_steps_between_touches() -> None:
    for edge in audio.TOUCHES[:-1]:
        below, above = (energy(heard(keys(60, v)), 0, 0.5) for v in (edge, edge + 1))
        assert 1.0 < above / below < 1.3  # the square of the square of velocity, and a little


@pytest.mark.parametrize("pitch", [30, 60, 80])
def test_the_pedal_holds_what_the_dampers_would_end(pitch: int) -> None:
    without, held = heard(keys(pitch)), heard(keys(pitch, pedal_until_s=2.0))
    assert np.allclose(without[: RATE // 2], held[: RATE // 2], atol=1e-6)
    assert energy(held, 1.2, 1.5) > 30 * energy(without, 1.2, 1.5)
    assert energy(held, 2.9, 3.0) < 0.01 * energy(held, 1.9, 2.0)


def test_the_highest_strings_have_no_dampers() -> None:
    short, long = (heard(keys(96, held_s=held_s)) for held_s in (0.05, 1.0))
    assert energy(short, 0.2, 0.6) > 0.3 * energy(long, 0.2, 0.6)


@pytest.mark.parametrize(("pitch", "hertz"), [(45, 110.0), (60, 261.63), (69, 440.0), (82, 932.33)])
@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_keys_sound_at_their_pitch(pitch: int, hertz: float, rate: int) -> None:
    sound = audio.render(keys(pitch), sample_rate=rate).samples.sum(axis=0)
    frequencies, amplitude = spectrum(sound, rate)
    near = np.abs(frequencies - hertz) < 0.04 * hertz
    assert amplitude[near].max() > 0.1 * amplitude.max()
    assert abs(frequencies[near][amplitude[near].argmax()] - hertz) < 0.012 * hertz


@pytest.mark.slow
def test_every_key_sounds_at_every_touch() -> None:
    pitch, velocity = np.meshgrid([0, 20, *range(21, 109), 109, 127], audio.TOUCHES)
    onset_s = np.arange(pitch.size) * 0.1
    sound = heard(keys(pitch.ravel(), velocity.ravel(), onset_s, held_s=0.04))
    assert all(energy(sound, begin, begin + 0.1) > 1e-9 for begin in onset_s)


def test_notes_begin_when_they_are_struck() -> None:
    sound = heard(keys(60, onset_s=[0.5, 1.0]))
    assert np.abs(sound[: RATE // 2]).max() < 1e-7
    assert energy(sound, 0.5, 0.51) > 1e-8
    assert np.abs(sound).argmax() > RATE // 2


def test_sound_is_the_sum_of_its_notes() -> None:
    both, first, second = (heard(p) for p in (keys([60, 60], [60, 90]), keys(60, 60), keys(60, 90)))
    n = min(len(both), len(first), len(second))
    assert np.allclose(both[:n], first[:n] + second[:n], atol=1e-5)


def test_rendering_again_gives_the_same() -> None:
    assert (heard(keys([40, 77])) == heard(keys([40, 77]))).all()


def test_the_loudest_chord_does_not_clip_and_soft_ones_stay_soft() -> None:
    loudest = audio.render(keys(np.arange(21, 109), 127, pedal_until_s=3.0))
    assert 0.8 < loudest.peak < 1.0
    assert audio.render(keys(60, 20)).peak < 0.02


def test_high_keys_are_to_the_right() -> None:
    for pitch, softer, louder in ((30, 1, 0), (90, 0, 1)):
        sides = (audio.render(keys(pitch)).samples ** 2).sum(axis=1)
        assert sides[louder] > 1.5 * sides[softer]


def test_the_tail_is_kept() -> None:
    sound = audio.render(keys(60)).samples
    assert sound.shape[1] > 1.0 * RATE
    assert np.abs(sound[:, -RATE // 100 :]).max() < 1e-3 * np.abs(sound).max()


def test_a_wave_file_holds_the_samples(tmp_path: Path) -> None:
    made = keys(60).to_audio(sample_rate=22_050)
    made.write(tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (2, 2, 22_050, made.samples.shape[1])
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    assert np.abs(read / 32767 - made.samples).max() <= 0.51 / 32767


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3"])
def test_other_formats_by_soundfile(tmp_path: Path, kind: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    made = audio.render(keys(60))
    made.write(tmp_path / f"a.{kind}")
    read, rate = soundfile.read(tmp_path / f"a.{kind}")
    assert rate == RATE
    assert abs(len(read) / rate - made.seconds) < 0.1
    n = min(len(read), made.samples.shape[1])
    assert np.corrcoef(read[:n].sum(axis=1), made.samples[:, :n].sum(axis=0))[0, 1] > 0.99


def test_the_suffix_decides_what_a_performance_is_written_as(tmp_path: Path) -> None:
    for name, begin in (("a.wav", b"RIFF"), ("A.WAV", b"RIFF"), ("a.Mid", b"MThd")):
        keys(60).write(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begin)
    for name in ("a", "a.txt", ".mid"):
        with pytest.raises(EspressivoError, match=r"end the name in one of .*\.mid.*\.wav"):
            keys(60).write(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_wrong_suffix_and_a_missing_library_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AudioError, match=r"a\.aac.*\.wav, \.flac, \.ogg, \.mp3"):
        audio.render(keys(60)).write(tmp_path / "a.aac")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(AudioError, match=r"a\.flac: only \.wav .*espressivo\[audio\]"):
        audio.render(keys(60)).write(tmp_path / "a.flac")
    assert not list(tmp_path.iterdir())


def test_a_rate_that_a_format_does_not_have_is_said(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    sound = audio.Audio(np.zeros((2, 1000), np.float32), 12_345)
    with pytest.raises(AudioError, match=r"a\.mp3: cannot be written: .*44100"):
        sound.write(tmp_path / "a.mp3")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_rendered_is_said(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="nothing to hear"):
        audio.render(Performance.from_arrays(onset_s=[], offset_s=[], pitch=[], velocity=[]))
    with pytest.raises(AudioError, match="4000 s are too long: at most 3600"):
        audio.render(keys(60, onset_s=3999.5))
    with pytest.raises(AudioError, match=r"sample rate 100 is not within 8000\.\.192000"):
        audio.render(keys(60), sample_rate=100)
    with pytest.raises(AudioError, match=r"none\.sf2: no such soundfont"):
        audio.render(keys(60), soundfont=tmp_path / "none.sf2")


def test_a_soundfont_that_is_none_is_said(tmp_path: Path) -> None:
    whole = audio.bundled().read_bytes()
    for damaged in (b"", b"RIFF", whole[:100], whole[:-100], b"x" * 5000):
        path = tmp_path / "damaged.sf2"
        path.write_bytes(damaged)
        with pytest.raises(AudioError, match=r"damaged\.sf2: not a soundfont that can be read: \w"):
            audio.render(keys(60), soundfont=path)


def test_a_soundfont_of_one_s_own_sounds_as_the_bundled_one(tmp_path: Path) -> None:
    path = tmp_path / "own.sf3"
    path.write_bytes(audio.bundled().read_bytes())
    chord = keys([40, 60, 77], [20, 60, 110])
    assert (audio.render(chord, soundfont=path).samples == audio.render(chord).samples).all()


def test_a_soundfont_that_crashes_its_player_is_said(tmp_path: Path) -> None:
    path = tmp_path / "crash.sf2"
    damaged = bytearray(soundfont())
    damaged[-65] = 41  # a sample goes on far behind the end of the file
    path.write_bytes(damaged)
    with pytest.raises(AudioError, match=r"^[^\n]*crash\.sf2: the soundfont is damaged: [^\n]*$"):
        audio.render(keys([60, 72], 100), soundfont=path)


@pytest.mark.skipif(os.name != "posix", reason="a script stands for the player")
@pytest.mark.parametrize(
    "answer",
    ["exit", "echo sound x", "echo sound 9; echo .", "printf 'sound 1\\n\\0\\0\\300\\177'", ""],
)
def test_a_player_that_gives_no_sound_is_said(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, player = tmp_path / "own.sf2", tmp_path / "player"
    path.write_bytes(soundfont())
    player.write_text(f"#!/bin/sh\nread request\n{answer or 'exec sleep 60'}\n")
    player.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(player))
    if not answer:
        monkeypatch.setattr("espressivo.views.soundfont._PATIENCE_S", 0.1)
    with pytest.raises(AudioError, match=r"own\.sf2: the soundfont is damaged: [^\n]*$"):
        audio.render(keys(60), soundfont=path)


def test_a_soundfont_without_a_piano_is_said(tmp_path: Path) -> None:
    path = tmp_path / "organ.sf3"
    name = b"Grand Piano".ljust(20, b"\0")
    preset = audio.bundled().read_bytes().replace(name + bytes(2), name + b"\x13\0", 1)
    path.write_bytes(preset)
    with pytest.raises(AudioError, match=r"organ\.sf3: holds no sound of a piano"):
        audio.render(keys(60), soundfont=path)


def test_the_bundled_piano_is_small_and_says_whose_it_is() -> None:
    assert audio.bundled().stat().st_size < 12e6
    assert b"Alexander Holm" in audio.bundled().read_bytes()
    assert "Alexander Holm" in (audio.bundled().parent / "LICENSE").read_text(encoding="utf-8")
