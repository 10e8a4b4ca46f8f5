"""Keep in a MIDI file how it was made, and make it again from that: python provenance.py."""

import espressivo
from espressivo.midi import read_provenance
from espressivo.play import arguments_of, provenance_of

model = espressivo.load()
arguments = {"seconds": 10, "density": 5, "key": "D minor"}
piece = model.generate(seed=3, **arguments)
piece.write("made.mid", provenance=provenance_of(model, 3, arguments))

made = read_provenance("made.mid")
again = model.generate(seed=made.seed, **arguments_of(made, model))
print(
    f"{made.model}, seed {made.seed}, {made.settings}: {'the same' if again == piece else 'other'}"
)
