"""Steer an endless stream while it plays: python steer.py [SECONDS].

Each event is printed when it is due; an instrument would be sent it instead.
"""

import sys

import espressivo

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
stream = espressivo.load().stream(seed=7, density=3, loudness=45)
livelier = False
for event in stream:  # waits until the next event is due
    print(f"{event.time_s:7.2f} s  {event.kind:8} {event.pitch:3} {event.velocity:3}")
    if not livelier and event.time_s > seconds / 2:
        stream.steer(density=12, loudness=85)
        livelier = True
    if event.time_s > seconds:
        stream.stop()  # its notes end first
