"""Play a piece, and keep it as MIDI and as sound: python play.py."""

import espressivo

model = espressivo.load()
piece = model.generate(seconds=20, seed=7, key="A minor")
piece.write("piece.mid")
piece.write("piece.wav")
print(f"{len(piece)} notes in {piece.seconds:.1f} s: piece.mid, piece.wav")
