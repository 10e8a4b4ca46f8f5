"""Continue a MIDI file of your own: python continue.py mine.mid."""

import sys

import espressivo

mine = espressivo.read(sys.argv[1])
model = espressivo.load()
whole = model.generate(primer=mine, include_primer=True, seconds=20, seed=1)
whole.write("continued.mid")
print(f"{mine.seconds:.1f} s of yours, {whole.seconds - mine.seconds:.1f} s more: continued.mid")
