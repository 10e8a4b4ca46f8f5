PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help setup demo test test-all lint bench clean

help:
	@echo "make demo      play: a performance by the bundled model, as MIDI and picture, in demo/"
	@echo "make test      the quick tests; make test-all also the slow ones (ESPRESSIVO_DATA=...)"
	@echo "make lint      ruff and mypy"
	@echo "make bench     the benchmarks against other packages (ESPRESSIVO_DATA=...)"
	@echo "make setup     everything into $(VENV)"

setup: $(VENV)/.everything

# Playing needs little; testing and training need torch; the benchmarks also need other packages.
$(VENV)/.player: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[plot]'
	touch $@

$(VENV)/.developer: $(VENV)/.player
	$(PIP) torch
	$(PIP) --editable '.[dev]'
	touch $@

$(VENV)/.everything: $(VENV)/.developer
	$(PIP) --editable '.[dev,peers]'
	touch $@

demo: $(VENV)/.player
	mkdir -p demo
	$(BIN)/espressivo generate --seconds 30 --seed 7 -o demo/performance.mid
	$(BIN)/espressivo plot demo/performance.mid -o demo/performance.png

# A process on each core, and in each one thread: threads of torch would wait for one another.
test: $(VENV)/.developer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto

test-all: $(VENV)/.developer
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto -m ''

lint: $(VENV)/.developer
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.everything
	$(BIN)/python bench/codec.py
	$(BIN)/python -W ignore bench/note_seq_equality.py
	$(BIN)/python bench/bad_inputs.py
	$(BIN)/python bench/likelihood.py
	$(BIN)/python bench/generate.py
	$(BIN)/python bench/stream.py
	$(BIN)/python bench/page.py
	$(BIN)/python bench/train.py

clean:
	rm -rf $(VENV) demo dist
