"""The page: a local server that lets a browser play with a model, live.

``messages`` checks what a page sends and writes what it is sent, ``controls`` says what of a model
can be steered, ``session`` plays for one listener, ``app`` is HTTP and WebSocket. The page itself
lies in ``web``. The server remembers nothing of what was played: the page does, and gives the
end of it along when it asks the model to go on. So a lost connection loses nothing.

Messages are JSON over one WebSocket per listener, each with a ``type``. Music is a list of events
``[time_s, status, data1, data2]``: seconds, and a MIDI message on channel 1, which is a note-on
(144), a note-off (128) or a movement of the sustain pedal (176, 64).

=========  ================================  ======================================================
to server  fields                            effect
=========  ================================  ======================================================
begin      run, time_s, events, settings,    go on after the events, from `time_s` on; ends the
           seed                              run before. The events that come carry `run`
stop                                         end the run; nothing more comes of it
steer      settings                          change some of the settings
model      name                              play with another model from the next `begin` on
play       pitch, velocity                   let the model hear a key; velocity 0 releases it
save       events                            asks for the events as a MIDI file
(binary)   a MIDI file                       asks for its events
=========  ================================  ======================================================

=========  ================================  ======================================================
to page    fields                            meaning
=========  ================================  ======================================================
hello      version, models                   comes first
model      name, controls                    what is played with, and what of it can be steered
begun      run                               events of this run follow
events     run, events                       music, at most `LEAD_S` before its time
file       events                            the music of a file
error      message                           a message was refused; nothing else has changed
(binary)   a MIDI file                       as asked for by `save`
=========  ================================  ======================================================
"""

from __future__ import annotations

from espressivo.server.app import make, run
from espressivo.server.session import Models

__all__ = ["Models", "make", "run"]
