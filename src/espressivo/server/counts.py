"""Counts: what has happened in a process that plays, and how Prometheus reads it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

__all__ = ["METRICS_TYPE", "Counts", "metrics"]

METRICS_TYPE = CONTENT_TYPE_LATEST
"""Value of the header Content-Type for what `metrics` returns."""

_OF_WORKERS = {
    "runs": "Runs that have begun.",
    "events": "Events of music that were sent.",
    "gaps": "Times that an event was sent after it was to sound.",
    "failures": "Errors that nobody foresaw, each in the log.",
    "processor_seconds": "Processor time used.",
}


class Counts:
    """How often things have happened since the process began; any thread may add to them."""

    def __init__(self) -> None:
        self._numbers = dict.fromkeys(_OF_WORKERS, 0.0)
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """Count one more ``runs``, ``events``, ``gaps`` or ``failures``."""
        with self._lock:
            self._numbers[name] += 1

    def numbers(self) -> dict[str, float]:
        """Return all of them by name, and the seconds of processor time of this process."""
        return {**self._numbers, "processor_seconds": time.process_time()}


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def metrics(
    playing: Mapping[str, int], refused: int, workers: Mapping[str, Mapping[str, float]]
) -> bytes:
    """Return the text that Prometheus reads.

    Parameters
    ----------
    playing : dict of str to int
        Listeners by the name of the worker that plays for them.
    refused : int
        Listeners for whom there was no room.
    workers : dict of str to dict
        `Counts.numbers` by the name of the worker.
    """
    listeners = GaugeMetricFamily(
        "espressivo_listeners", "Listeners connected now.", labels=["worker"]
    )
    for name, number in playing.items():
        listeners.add_metric([name], number)
    refusals = CounterMetricFamily(
        "espressivo_refused", "Listeners for whom there was no room.", value=refused
    )
    families: list[Metric] = [listeners, refusals]
    for what, meaning in _OF_WORKERS.items():
        family = CounterMetricFamily(f"espressivo_{what}", meaning, labels=["worker"])
        for name, numbers in workers.items():
            family.add_metric([name], numbers[what])
        families.append(family)
    return generate_latest(_Families(families))
