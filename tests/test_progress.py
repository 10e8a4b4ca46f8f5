import io

import pytest

from espressivo import progress
from espressivo.progress import Console, Silent, counted


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_than_on_a_terminal_a_line_at_most_every_ten_seconds_and_one_at_the_end(clock):
    stream = io.StringIO()
    console = Console(stream)
    console.start(10, "files", "preparing")
    for _ in range(8):
        clock[0] += 3
        console.advance(note="loss 2")
    console.close()
    console.close()
    assert stream.getvalue().splitlines() == [
        "preparing: 4 of 10 files, 0.333 a second, loss 2",
        "preparing: 8 of 10 files, 0.333 a second, loss 2",
        "preparing: 8 of 10 files, 0.333 a second, loss 2",
    ]


def test_a_terminal_shows_a_bar():
    stream = Terminal()
    console = Console(stream)
    console.start(4, "files", "preparing")
    console.advance(4, "done soon")
    console.note("a line that stays")
    console.close()
    text = stream.getvalue()
    assert "preparing: 100%" in text
    assert "4/4" in text
    assert "a line that stays\n" in text


def test_notes_are_lines():
    stream = io.StringIO()
    Console(stream).note("saved")
    assert stream.getvalue() == "saved\n"


def test_tasks_follow_one_another(clock):
    stream = io.StringIO()
    console = Console(stream)
    console.start(2, "files", "one")
    console.advance(2)
    clock[0] += 1
    console.start(3, "steps", "two")
    console.close()
    assert stream.getvalue().splitlines() == [
        "one: 2 of 2 files, 2 a second",
        "two: 0 of 3 steps, 0 a second",
    ]


def test_silence():
    silent = Silent()
    silent.start(1, "files", "preparing")
    silent.advance()
    silent.note("nothing")
    silent.close()


def test_what_is_told_in_amounts_is_shown_in_whole_units(clock):
    stream = io.StringIO()
    with counted(Console(stream), "seconds", "generate") as tell:
        for done in (0, 0.4, 0.9, 1.2, 2.6, 2.7):
            tell(done, 3.2)
        clock[0] += 15
        tell(3.2, 3.2)
    assert stream.getvalue().splitlines() == ["generate: 3 of 3 seconds, 0.2 a second"]
    with pytest.raises(KeyError), counted(Console(stream), "notes", "render") as tell:
        tell(1, 2)
        raise KeyError
    assert stream.getvalue().splitlines()[1:] == ["render: 1 of 2 notes, 1e+09 a second"]
    with counted(Console(stream), "notes", "render"):
        pass  # nothing is told, nothing is shown
    assert len(stream.getvalue().splitlines()) == 2
