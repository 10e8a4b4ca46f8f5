"""Files: read to their end, written whole or not at all, locked while in use, sealed by a hash."""

from __future__ import annotations

from espressivo.files.locks import locked
from espressivo.files.names import ending, is_url, printable
from espressivo.files.reading import regular
from espressivo.files.seals import SEAL, intact, seal
from espressivo.files.writing import check_folder, check_writable, is_stdout, is_stream, replacing

__all__ = [
    "SEAL",
    "check_folder",
    "check_writable",
    "ending",
    "intact",
    "is_stdout",
    "is_stream",
    "is_url",
    "locked",
    "printable",
    "regular",
    "replacing",
    "seal",
]
