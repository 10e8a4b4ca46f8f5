"""What mypy must say of arguments: it is checked by `make lint`, and never run.

An argument that exists is taken, and one that does not is an error on its line: a comment that
allows an error where there is none is one too.
"""

import espressivo


def arguments(model: espressivo.Model) -> None:
    model.generate(temperature=1.0)
    model.generate_batch(2, temperature=1.0)
    model.generate_ids(temperature=1.0)
    model.stream(temperature=1.0)
    model.beam_search(events=3, temperature=1.0)
    model.generate(changes={2.0: {"temperature": 1.0}})

    model.generate(temprature=1.0)  # type: ignore[call-arg]
    model.generate_batch(2, temprature=1.0)  # type: ignore[call-arg]
    model.generate_ids(temprature=1.0)  # type: ignore[call-arg]
    model.stream(temprature=1.0)  # type: ignore[call-arg]
    model.beam_search(events=3, temprature=1.0)  # type: ignore[call-arg]
    model.generate(changes={2.0: {"temprature": 1.0}})  # type: ignore[typeddict-unknown-key]
