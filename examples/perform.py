"""Perform a score: python perform.py SCORE.

Twice as the model plays it, and once with half of its timing and all of the score's dynamics, so
that a DAW still shows the bars.
"""

import sys

import espressivo

score = sys.argv[1]
for seed in (1, 2):
    rendition = espressivo.perform(score, seed=seed)
    rendition.write(f"performed-{seed}.mid")
    print(f"seed {seed}: {rendition.performance.seconds:.1f} s, {rendition.tempo:.0f} a minute")
half = espressivo.perform(score, timing=0.5, keep_dynamics=True, seed=1)
half.write("humanised.mid", tempo_map=True)
