# DermDistill. `make app` starts the dashboard, `make test` runs every check.

PYTHON ?= python3
PORT ?= 8501
FUZZ_SECONDS ?= 600
BIN := .venv/bin
CORE := $(BIN)/python -m core
# Initial weights: Keras' own ImageNet weights, or files such as INIT_RESNET50=weights/resnet50.weights.h5
INIT_RESNET50 ?= imagenet
INIT_MOBILENETV2 ?= imagenet
# Where training keeps its checkpoints: see core/settings.py.
RUNS := $(or $(DERMDISTILL_RUNS),runs)
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install app models leak test soak fuzz mutate lint format lock clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: .venv/installed ## Make .venv with what the dashboard needs

app: install ## Start the dashboard on http://localhost:8501 (another port: make app PORT=8600)
	$(BIN)/streamlit run app.py --server.port $(PORT)

# A first round: what it trains is not shipped, it only teaches the second.
SOFT := --temperature 2 --alpha 0.5 --teacher-size 160
SHORT := --seed 1 --stages 3x128,1x160,1x224 --set views=3 --set reoriented=false --set ema=0.98
# A second round: many epochs on small images. The third and the fourth go on from it at full size, by the recipe itself.
SMALL := --seed 1 --stages 8x128,3x160,1x224 --set views=2 --set learning_rate=5e-4

models: install ## Make every shipped model anew from HAM10000 (some twenty hours on two cores; killed, it goes on)
	$(CORE) train --network mobilenetv2 --name baseline-first --no-publish --init $(INIT_MOBILENETV2) $(SHORT)
	$(CORE) train --network resnet50 --name resnet50-labels --no-publish --init $(INIT_RESNET50)
	$(CORE) distill --network resnet50 --name resnet50-taught --no-publish --init $(RUNS)/resnet50-labels/best.npz \
		--teachers baseline-first $(SOFT) --stages 1x160,1x224 --seed 1 --set learning_rate=2e-4 --set views=5 \
		--set reoriented=false
	$(CORE) soup resnet50-taught resnet50-labels --name resnet50-first --no-publish
	$(CORE) distill --network densenet169 --name densenet169-begun --no-publish \
		--teachers baseline-first $(SOFT) --stages 8x64,2x128,1x224 --seed 1 --set learning_rate=1e-3 \
		--set views=5
	$(CORE) distill --network densenet169 --name densenet169-first --no-publish --init $(RUNS)/densenet169-begun/best.npz \
		--teachers baseline-first $(SOFT) --stages 3x128,1x160 --seed 1 --set learning_rate=6e-4 \
		--set views=5
	$(CORE) distill --name student-first --no-publish --init $(INIT_MOBILENETV2) \
		--teachers resnet50-first-soup --temperature 2 --alpha 0.5 --teacher-size 224 $(SHORT)
	$(CORE) distill --network resnet50 --name resnet50-second --no-publish --init $(RUNS)/resnet50-first-soup/best.npz \
		--teachers baseline-first,student-first $(SOFT) --stages 3x160,2x224 --seed 1 --set reoriented=false
	$(CORE) distill --network densenet169 --name densenet169-second --no-publish --init $(RUNS)/densenet169-first/best.npz \
		--teachers baseline-first,student-first $(SOFT) --stages 3x128,3x160,1x224 --seed 1 --set learning_rate=1e-3 \
		--set views=4
	$(CORE) distill --network densenet169 --name densenet169-third --no-publish --init $(RUNS)/densenet169-second/best.npz \
		--teachers baseline-first,student-first $(SOFT) --stages 2x160,1x224 --seed 1 --set learning_rate=6e-4 --set views=4
	$(CORE) soup densenet169-third densenet169-second --name densenet169-mean --no-publish
	$(CORE) train --network mobilenetv2 --name baseline-second --no-publish --init $(INIT_MOBILENETV2) $(SMALL)
	$(CORE) distill --network densenet169 --name densenet169-fourth --no-publish --init $(RUNS)/densenet169-mean-soup/best.npz \
		--teachers resnet50-second,baseline-first $(SOFT) --stages 2x160,2x224 --seed 2 --set learning_rate=5e-4 --set views=2
	$(CORE) soup densenet169-fourth $(RUNS)/densenet169-mean-soup/best.npz densenet169-second --name densenet169-good --no-publish
	$(CORE) distill --network densenet169 --name densenet169-fifth --no-publish --init $(RUNS)/densenet169-good-soup/best.npz \
		--teachers resnet50-second,baseline-first,student-first $(SOFT) --stages 2x160,3x224 --seed 3 --set views=3
	$(CORE) distill --name student-second --no-publish --init $(INIT_MOBILENETV2) \
		--teachers resnet50-second,baseline-first,densenet169-fifth $(SOFT) $(SMALL)
	$(CORE) train --network mobilenetv2 --name baseline-third --no-publish --init $(RUNS)/baseline-second/best.npz --seed 1
	$(CORE) distill --name student-third --no-publish --init $(RUNS)/student-second/best.npz --seed 1 \
		--teachers resnet50-second,densenet169-fifth,baseline-second,student-second $(SOFT)
	$(CORE) distill --network densenet169 --name densenet169 --init $(RUNS)/densenet169-fifth/best.npz --init-note "this project's own" \
		--teachers student-third,baseline-third --temperature 2 --alpha 0.5 --teacher-size 224
	$(CORE) train --network mobilenetv2 --name baseline-fourth --no-publish --init $(RUNS)/baseline-third/best.npz \
		--init-note "this project's own"
	$(CORE) soup baseline-fourth baseline-third --name baseline
	$(CORE) distill --name student-fourth --no-publish --init $(RUNS)/student-third/best.npz --init-note "this project's own" \
		--teachers student-third,baseline-third --temperature 2 --alpha 0.5 --teacher-size 224
	$(CORE) soup student-fourth student-third --name student
	$(CORE) distill --network resnet50 --name resnet50-third --no-publish --init $(RUNS)/resnet50-second/best.npz \
		--teachers student,baseline --temperature 2 --alpha 0.5 --teacher-size 224 --stages 2x160,3x224 --seed 5 \
		--set precision=float32
	$(CORE) distill --network resnet50 --name resnet50-fourth --no-publish --init $(RUNS)/resnet50-third/best.npz \
		--init-note "this project's own" --teachers student,baseline --temperature 2 --alpha 0.5 --teacher-size 224
	$(CORE) soup resnet50-fourth resnet50-third --name resnet50
	$(CORE) statistics --model student --model baseline
	$(CORE) compress --model baseline --model resnet50 --model densenet169
	$(CORE) compress --model student --all
	$(CORE) prune --ship 0.5
	$(CORE) evaluate
	$(CORE) gate fit
	$(CORE) gate report
	$(CORE) project
	$(CORE) turned --model student --model student-int8 --model baseline --model resnet50 --model densenet169
	$(CORE) data summary --publish
	$(CORE) trials --save
	$(CORE) benchmark models --save

# Short, so that both splits are trained in an evening; what counts is the difference.
leak: install ## Train one short recipe on both splits, measure what the report's adds (three hours on two cores)
	set -e; for split in lesion report; do \
		$(CORE) train --network resnet50 --name resnet50-$$split --split $$split --no-publish \
			--init $(INIT_RESNET50) --stages 4x96,1x128 --set precision=float32; \
		$(CORE) distill --name student-$$split --split $$split --no-publish --init $(INIT_MOBILENETV2) --seed 1 \
			--teachers resnet50-$$split --temperature 2 --alpha 0.5 --teacher-size 128 --stages 2x128,2x224 \
			--set views=2; \
	done
	$(CORE) leak --save

test: lint ## Check style and run all tests
	$(BIN)/python -m pytest

soak: .venv/installed-dev ## A server under load: 20 visitors for 5 minutes, and crowds (shorter: make soak SOAK_SECONDS=60)
	$(BIN)/python -m pytest -q -s tests/attacks/soak.py

fuzz: .venv/installed-dev ## Damaged files into intake for 10 minutes (shorter: make fuzz FUZZ_SECONDS=120)
	$(BIN)/python tests/attacks/fuzz.py $(FUZZ_SECONDS)

mutate: .venv/installed-dev ## Take each defence away in turn, in a copy, and see a test go red (five minutes)
	$(BIN)/python tests/attacks/mutate.py

lint: .venv/installed-dev ## Check style and format, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/installed-dev ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/installed-dev ## Write requirements.lock anew from requirements.txt
	@echo '# All that requirements.txt needs, with hashes; written by `make lock`, installed by `make app`.' > requirements.lock.new
	$(BIN)/uv pip compile requirements.txt --quiet --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-header >> requirements.lock.new
	mv requirements.lock.new requirements.lock

clean: ## Delete .venv and caches (never data, runs or artifacts)
	rm -rf .venv .pytest_cache .ruff_cache .cache

# The stamps make an install happen once, and again when the pins change.
.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: expected Python 3.11 to 3.13, found $$($(PYTHON) --version 2>&1); try make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements.lock
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(PIP) install -r requirements-dev.txt
	@touch $@
