"""Play many pieces side by side, which takes less time than one after another: python batch.py."""

import espressivo

model = espressivo.load()
for number, piece in enumerate(model.generate_batch(4, seconds=10, seed=1), 1):
    piece.write(f"take-{number}.mid")
    print(f"take-{number}.mid: {len(piece)} notes, {model.score(piece).mean():.2f} nats an event")
