"""Progress of long work: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Console", "Progress", "Silent", "counted"]

_LINE_EVERY_S = 10.0


class Progress(Protocol):
    """What long work tells while it runs: `start`, any number of the others, `close`."""

    def start(self, total: int, unit: str, label: str) -> None:
        """Begin a task of `total` units, such as "files", under a label."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Say that `n` more units are done; `note` is a short word on how it stands."""

    def expect(self, total: int) -> None:
        """Say that there are `total` units after all."""

    def note(self, line: str) -> None:
        """Say a line that stays in view."""

    def close(self) -> None:
        """End the task, finished or not. Closing twice does nothing more."""


class Silent:
    """A `Progress` that says nothing."""

    def start(self, total: int, unit: str, label: str) -> None:
        """Say nothing."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Say nothing."""

    def expect(self, total: int) -> None:
        """Say nothing."""

    def note(self, line: str) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class Console:
    """A `Progress` on a text stream.

    A terminal shows a bar. Elsewhere, as in a log file, a line is written at most every 10
    seconds, and one at the end.

    Parameters
    ----------
    stream : text stream
        Usually the standard error stream, so that results can be piped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tqdm[None] | None = None
        self._running = False

    def start(self, total: int, unit: str, label: str) -> None:
        """Begin a task of `total` units under a label; a task still running is closed first."""
        self.close()
        self._total, self._unit, self._label = total, unit, label
        self._done, self._note, self._running = 0, "", True
        self._began_s = self._said_s = time.monotonic()
        if self._stream.isatty():
            from tqdm import tqdm  # only a terminal needs it

            self._bar = tqdm(total=total, unit=f" {unit}", desc=label, file=self._stream)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Say that `n` more units are done; the last `note` given stands beside the count."""
        self._done += n
        self._note = note or self._note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(n)
        elif time.monotonic() - self._said_s >= _LINE_EVERY_S:
            self._say()

    def expect(self, total: int) -> None:
        """Count towards another total from now on."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total
            self._bar.refresh()

    def note(self, line: str) -> None:
        """Write a line, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """End the task; without a bar, write how far it came and how fast."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self._running:
            self._say()
        self._running = False

    def _say(self) -> None:
        self._said_s = time.monotonic()
        rate = self._done / max(self._said_s - self._began_s, 1e-9)
        line = f"{self._label}: {self._done} of {self._total} {self._unit}, {rate:.3g} a second"
        print(f"{line}, {self._note}" if self._note else line, file=self._stream, flush=True)


@contextlib.contextmanager
def counted(progress: Progress, unit: str, label: str) -> Iterator[Callable[[float, float], None]]:
    """Give a function that is told how much is done and how much there is, and shows it."""
    shown: int | None = None

    def tell(done: float, total: float) -> None:
        nonlocal shown
        if shown is None:
            progress.start(round(total), unit, label)
            shown = 0
        if round(done) > shown:
            progress.advance(round(done) - shown)
            shown = round(done)

    try:
        yield tell
    finally:
        progress.close()
