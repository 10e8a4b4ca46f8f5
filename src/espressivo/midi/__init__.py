"""MIDI files, read and written, and what they say of themselves."""

from __future__ import annotations

from espressivo.midi.bridges import (
    from_note_array,
    from_pretty_midi,
    from_symusic,
    to_note_array,
    to_pretty_midi,
    to_symusic,
)
from espressivo.midi.edit import (
    appended,
    replaced,
)
from espressivo.midi.info import (
    ChannelInfo,
    FileInfo,
    describe,
)
from espressivo.midi.parts import (
    Part,
    SongNote,
    main_part,
    notes_of,
    part_performance,
    piano,
)
from espressivo.midi.performed import (
    Played,
    performed_song,
    song_of,
)
from espressivo.midi.provenance import (
    Provenance,
    read_provenance,
)
from espressivo.midi.reading import (
    from_bytes,
    read,
)
from espressivo.midi.score import (
    read_score,
    score_from_bytes,
    score_of,
)
from espressivo.midi.smf import (
    MAX_BYTES,
    MAX_SECONDS,
    TEXT,
    load,
)
from espressivo.midi.song import (
    Message,
    Song,
    Track,
    parsed_song,
)
from espressivo.midi.tempo_map import TempoMap
from espressivo.midi.writing import (
    TICKS_PER_SECOND,
    to_bytes,
    write,
)

__all__ = [
    "MAX_BYTES",
    "MAX_SECONDS",
    "TEXT",
    "TICKS_PER_SECOND",
    "ChannelInfo",
    "FileInfo",
    "Message",
    "Part",
    "Played",
    "Provenance",
    "Song",
    "SongNote",
    "TempoMap",
    "Track",
    "appended",
    "describe",
    "from_bytes",
    "from_note_array",
    "from_pretty_midi",
    "from_symusic",
    "load",
    "main_part",
    "notes_of",
    "parsed_song",
    "part_performance",
    "performed_song",
    "piano",
    "read",
    "read_provenance",
    "read_score",
    "replaced",
    "score_from_bytes",
    "score_of",
    "song_of",
    "to_bytes",
    "to_note_array",
    "to_pretty_midi",
    "to_symusic",
    "write",
]
