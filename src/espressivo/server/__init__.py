"""The page: a local server that lets a browser play with a model, live.

``messages`` checks what a page sends and writes music as a page reads it, ``controls`` lists what a
page can steer, ``session`` plays for one listener, ``conversation`` is its WebSocket, ``allowance``
keeps one from disturbing another, ``workers`` are processes to deal listeners to, ``notated`` draws
takes as notes, ``heard`` transcribes recordings, and ``app`` is all that a browser reaches, at the
address on which ``listening`` waits. The page itself is in the folder ``web``; ``site`` writes it
as a folder that needs no server, since ``web/engine`` does in the browser what is done here, behind
the same messages. The server does not remember what was played: the page does, and sends the latest
of it whenever it wants the model to go on. So a lost connection loses nothing.

Messages are JSON over one WebSocket per listener, each with a ``type``. Music is a list of events
``[time_s, status, data1, data2]``: seconds, and a MIDI message on channel 1, which is a note-on
(144), a note-off (128) or a movement of the sustain pedal (176, 64).

============  ================================  ===================================================
to server     fields                            effect
============  ================================  ===================================================
begin         run, time_s, events, settings,    the model goes on after the events, from `time_s`
              seed                              on; the run before ends. Events carry `run`
stop                                            the run ends; nothing more of it is sent
steer         settings                          some of the settings change
choose_model  name                              the run ends; the next `begin` is with this model
between       passages, share                   the model plays by the point at that share, 0..1,
                                                of the way between two passages, lists of events
                                                of at most a minute; freely if there are none. A
                                                choice of a model ends it
hear          pitch, velocity                   the model hears a key; velocity 0 releases it
fill          run, events, from_s, to_s,        the run ends; a passage of the events is invented
              keep, amount, settings, seed      anew, or that part of its notes. Of what is around
                                                it, the events of at most a minute
(binary)      a MIDI file                       its events are sent back
load_model    name, data                        as `choose_model`, with a model file; understood by
                                                the engine in the browser only
============  ================================  ===================================================

============  ================================  ===================================================
to page       fields                            meaning
============  ================================  ===================================================
hello         version, models, offers           comes first; `offers` are the types of messages
                                                that are understood, ``file``, and ``sound`` where
                                                recordings are transcribed
model         name, title, licence, trained_on, the model that is chosen, what it is, and what can
              sha256, space, controls           be steered; `space`: whether `between` is possible
begun         run                               events of this run follow
events        run, events                       music, at most `LEAD_S` before its time
returned      run, at_s, from_s, seconds        what was played from `from_s` on is about to
                                                come back
ended         run                               this run has ended by itself: its model has failed,
                                                or nothing can follow. All its notes have ended
file          events                            the music of a file
filled        run, events                       the events of a `fill`, with the new passage
unfilled      run, message                      a `fill` has failed
error         run, message                      `run` is null: a message was refused, and nothing
                                                has changed. Otherwise the model of this run has
                                                failed, and `ended` follows
============  ================================  ===================================================

A message that names a setting which the model does not support is refused.
"""

from __future__ import annotations

from espressivo.server.app import make
from espressivo.server.listening import loopback, run
from espressivo.server.session import Models
from espressivo.server.site import write_site

__all__ = ["Models", "loopback", "make", "run", "write_site"]
