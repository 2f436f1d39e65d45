# The two commands of the README are `make demo` and `make test`. Each sets up .venv by itself, once.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= digits

.PHONY: demo device quick test test-integrations lint docs bench chaos audit clean
.DELETE_ON_ERROR:

demo: .venv/ready-train
	$(BIN)/osakd compare --data $(DATA)

# From data to a file for a device, in under three minutes once .venv is there: train, export, int8, compare.
device: .venv/ready-device
	$(BIN)/osakd train --data $(DATA) --method osakd --out runs/device/network --resume
	$(BIN)/osakd export runs/device/network --data $(DATA) --to runs/device/network.onnx
	$(BIN)/osakd export runs/device/network --data $(DATA) --to runs/device/network-int8.onnx --int8
	$(BIN)/osakd latency runs/device/network runs/device/network.onnx runs/device/network-int8.onnx

# The core alone, in about a minute: labels, losses and methods against their references. Types take longer: `make lint`.
quick: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "not unchecked" tests/labels tests/losses tests/methods

# One worker per core, one thread each. Tests marked `unchecked` run without run-time shape checks: torch.compile does
# not mix with them, and deliberately wrong types must reach our own messages.
test: .venv/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadgroup --durations=10 -m "not unchecked" \
	  --jaxtyping-packages=osakd.labels,osakd.losses,osakd.models,osakd.methods,beartype.beartype tests src
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --durations=3 -m unchecked tests

# With the real Lightning, Transformers and so on, in an environment of their own: made once, in minutes.
# PYTHONPATH: tosa-tools brings a package `tests`, which the processes that tests start would find before ours.
test-integrations: .venv-integrations/ready
	PYTHONPATH="$(CURDIR)" OMP_NUM_THREADS=1 OSAKD_INTEGRATIONS=all .venv-integrations/bin/python -m pytest -q -n 2 --dist loadgroup \
	  -W ignore::DeprecationWarning --durations=10 $(wildcard tests/integrations tests/*/integrations)

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Fills the tables of the documentation from the committed records, writes their report to site/report, draws the
# figures in docs/images and the diagram of the imports, and builds the site, site/docs; a link that leads nowhere is an
# error.
docs: .venv/ready-dev .venv-integrations/ready
	$(BIN)/python docs/imports.py
	$(BIN)/python docs/fill.py
	NO_MKDOCS_2_WARNING=1 .venv-integrations/bin/python -m mkdocs build --strict --quiet

# Takes about a quarter of an hour of an otherwise idle machine.
bench: .venv/ready-train
	$(BIN)/python -m benchmarks.run --out benchmarks/records

# Injects faults for real and prints what became of them; for an otherwise idle machine. SHORT=--short: five minutes.
chaos: .venv-integrations/ready
	OMP_NUM_THREADS=1 .venv-integrations/bin/python -m chaos.run $(SHORT)

# Known vulnerabilities of the pinned versions. Where no advisory service answers nothing is known, which is a failure.
audit: .venv-audit/ready
	@.venv-audit/bin/python -c 'import socket; socket.create_connection(("api.osv.dev", 443), 10)' 2>/dev/null || \
	  { echo "No advisory service answers here: nothing was audited."; exit 1; }
	.venv-audit/bin/pip-audit --strict --vulnerability-service osv --no-deps --disable-pip --requirement constraints.txt

clean:
	rm -rf .venv .venv-integrations .venv-audit .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/ready-train: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("osakd needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": name another one with make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up .venv: this happens once and takes a minute or two."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train]'
	touch $@

.venv/ready-dev: .venv/ready-train
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,dev]'
	touch $@

.venv/ready-device: .venv/ready-train
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,onnx]'
	touch $@

.venv-integrations/ready: pyproject.toml constraints.txt .venv/ready-train
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[train,dev,integrations]'
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --no-deps tosa-tools
	touch $@

.venv-audit/ready:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	touch $@
