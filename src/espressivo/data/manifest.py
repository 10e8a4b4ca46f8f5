"""Manifest: the table that says of every file what became of it, as CSV or as Parquet.

Parquet needs pyarrow. Whatever the kind, rows are written and read a few at a time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from espressivo.data.layout import MANIFESTS
from espressivo.errors import DataError

__all__ = ["COLUMNS", "check_kind", "manifest_rows", "writing_rows"]

COLUMNS: Mapping[str, type] = {
    "path": str,
    "status": str,
    "reason": str,
    "detail": str,
    "split": str,
    "composition": str,
    "start": int,
    "events": int,
    "notes": int,
    "outside": int,
    "seconds": float,
    "sha256": str,
    "ids_sha256": str,
}
"""Names of the columns, and what they hold."""

_AT_ONCE = 10_000  # rows


def check_kind(kind: str) -> None:
    """Refuse a kind of manifest that there is not; `DataError` says what to do."""
    if kind not in MANIFESTS:
        raise DataError(f"a manifest is one of {', '.join(MANIFESTS)}, not {kind!r}")
    if kind == "parquet":
        _arrow("a manifest in Parquet")


@contextmanager
def writing_rows(path: Path, kind: str) -> Iterator[Callable[[list[Any]], None]]:
    """Give a function that writes a row, a value for each of `COLUMNS`, into a new file."""
    if kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            yield writer.writerow
        return
    pa, parquet = _arrow(str(path))
    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, types[of]) for name, of in COLUMNS.items()])
    rows: list[list[Any]] = []
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            columns = [list(column) for column in zip(*rows, strict=True)]
            if columns:
                writer.write_table(pa.table(columns, schema=schema))
            rows.clear()

        def write(row: list[Any]) -> None:
            rows.append(row)
            if len(rows) == _AT_ONCE:
                flush()

        yield write
        flush()


def manifest_rows(content: bytes, kind: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a manifest by their columns; numbers of CSV are still texts.

    Raises
    ------
    ValueError
        If it is damaged.
    DataError
        If pyarrow is missing; it begins with `name`.
    """
    if kind == "csv":
        yield from csv.DictReader(io.StringIO(content.decode(), newline=""))
        return
    pa, parquet = _arrow(name)
    try:
        for batch in parquet.ParquetFile(io.BytesIO(content)).iter_batches(_AT_ONCE):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no Parquet: {' '.join(str(error).split())}") from None


def _arrow(name: str) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{name}: needs pyarrow: pip install 'espressivo[cluster]'") from None
    return pyarrow, parquet
