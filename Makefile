PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help setup demo page wheel dist docs test test-all test-web types-web lint bench report samples clean

help:
	@echo "make demo      play: a performance by the bundled model, as MIDI, sound and picture, in demo/"
	@echo "make page      the engine that espressivo page needs to write the page without a server"
	@echo "make wheel     the package with that engine, in dist/"
	@echo "make dist      wheel and sdist as they are released: built twice, compared and checked"
	@echo "make test      the quick tests; make test-all also the slow ones (ESPRESSIVO_DATA=...)"
	@echo "make docs      the documentation as a site, in build/site"
	@echo "make lint      ruff, mypy, and the types of the page's modules"
	@echo "make bench     the benchmarks against other packages (ESPRESSIVO_DATA=...)"
	@echo "make report    docs/evaluation: all measures of all models, and how long it took (ESPRESSIVO_DATA=...)"
	@echo "make samples   what the default model plays with seeds 0 to 9: docs/samples"
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
	$(BIN)/espressivo demo

# A process on each core, and in each one thread: threads of torch would wait for one another. All
# tests of a file go to one process, so that what they share is made once. Compiled modules are kept:
# the programs that tests start would compile theirs again and again.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n auto --dist loadfile
test: $(VENV)/.developer test-web
	$(PYTEST)

test-all: $(VENV)/.developer test-web
	$(PYTEST) -m '' --hypothesis-profile=thorough

# The logic of the page, and the types of its modules, by node 20 or later; playing needs no node.
NODE := $(shell node -p 'parseInt(process.version.slice(1)) >= 20 ? process.execPath : ""' 2> /dev/null)
NO_NODE = @echo "node 20 or later is not installed: the modules of the page are not checked here"

test-web:
ifdef NODE
	node --test tests/web/*.test.js
else
	$(NO_NODE)
endif

types-web: $(if $(NODE),node_modules/.package-lock.json)
ifdef NODE
	npx --no-install tsc --project tests/web
else
	$(NO_NODE)
endif

node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# The engine of the page without a server: ONNX Runtime for browsers, by the hash in package-lock.json,
# and its licences, which its package for Python brings. Once built, nothing needs node.
ORT := src/espressivo/server/web/onnxruntime
page: $(ORT)/ort.wasm

$(ORT)/ort.wasm: $(VENV)/.player $(if $(NODE),node_modules/.package-lock.json)
ifdef NODE
	mkdir -p $(ORT)
	cp node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs $(ORT)/ort.js
	for file in LICENSE ThirdPartyNotices.txt; do \
		cp $(VENV)/lib/python*/site-packages/onnxruntime/$$file $(ORT)/$$file || exit 1; done
	cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm $@
else
	@echo "node 20 or later is not installed: the page without a server cannot be built" && exit 1
endif

wheel: page
	$(PIP) build
	$(BIN)/python -m build --wheel

# As released: all files inside have the time of the last commit, so that whoever builds that commit
# gets the same bytes, which a second build shows.
EPOCH := $(shell git log -1 --format=%ct 2> /dev/null || echo 315532800)
dist: page $(VENV)/.developer
	rm -rf dist build/again
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build --outdir dist
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/python -m build --outdir build/again
	for file in dist/*; do cmp "$$file" "build/again/$${file##*/}" || exit 1; done
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

# Without a warning: a link inside that leads nowhere is one.
docs: $(VENV)/.player
	$(PIP) --editable '.[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . build/site
	@echo "build/site/docs/index.html"

lint: $(VENV)/.developer types-web
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.everything
	$(BIN)/python bench/codec.py
	$(BIN)/python -W ignore bench/note_seq_equality.py
	$(BIN)/python bench/bad_inputs.py --only "command line"
	$(BIN)/python bench/bad_inputs.py --share 0.01
	$(BIN)/python bench/kills.py --moments 40
	$(BIN)/espressivo evaluate seed "$$ESPRESSIVO_DATA/maestro" --samples 0 \
		--csv "$$ESPRESSIVO_DATA/maestro/maestro-v3.0.0.csv" --split validation
	$(BIN)/python bench/generate.py
	$(BIN)/python bench/stream.py
	$(BIN)/python bench/live.py
	$(BIN)/python bench/render.py
	$(BIN)/python bench/page.py
	$(BIN)/python bench/train.py
	$(BIN)/python bench/controls.py
	$(BIN)/python bench/hour.py

# docs/evaluation: half B of the validation pieces. DATA is a dataset
# prepared from MAESTRO's training split in the vocabulary seed (made if missing), MODELS what is
# measured, and judged, beside the baselines. Pages but the first model's are left out, to keep docs
# small. EVENTS=2000 scores only so many events of each piece, for a machine with little time.
DATA ?= data
MODELS ?= espressivo seed
EVENTS ?=
MAESTRO = "$$ESPRESSIVO_DATA/maestro" --csv "$$ESPRESSIVO_DATA/maestro/maestro-v3.0.0.csv"
report: $(VENV)/.developer
	begin=$$(date +%s); test -f $(DATA)/dataset.json \
		|| $(BIN)/espressivo prepare $(MAESTRO) --vocabulary seed --out $(DATA) || exit 1; \
	reports=; for model in $(MODELS) 4gram:$(DATA) unigram:$(DATA) uniform:$(DATA); do \
		out=docs/evaluation/$$(basename $${model%%:*} .onnx); \
		judge=; case $$model in *:*) ;; *) judge=--judge ;; esac; \
		$(BIN)/espressivo evaluate $$model $(MAESTRO) --split validation --half B \
			--train $(DATA) $(if $(EVENTS),--events $(EVENTS)) $$judge --out $$out || exit 1; \
		test -z "$$reports" || rm $$out/report.html; reports="$$reports $$out"; \
	done; $(BIN)/espressivo compare $$reports --out docs/evaluation || exit 1; \
	echo "the report took $$(( ($$(date +%s) - begin) / 60 )) minutes"

# What the default model plays with seeds 0 to 9, as it comes: nothing is chosen.
samples: $(VENV)/.developer
	mkdir -p docs/samples
	for seed in 0 1 2 3 4 5 6 7 8 9; do name=docs/samples/seed-$$seed; \
		$(BIN)/espressivo generate --seconds 45 --seed $$seed -o $$name.mid && \
		$(BIN)/espressivo render $$name.mid -o $$name.ogg && \
		$(BIN)/espressivo plot $$name.mid -o $$name.png || exit 1; done

clean:
	rm -rf $(VENV) demo dist node_modules
