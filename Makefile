# wild3d: `make help` lists the verbs. Variables may be given on the command line: make train-stage1 RUN=mine
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
SYSTEM  ?= vq3d
CONFIG  ?= configs/$(SYSTEM)/stage1_shapeworld.yaml
DATA    ?=
ROOM    ?=
RUN     ?=
DEVICES ?=
NODES   ?=
ARGS    ?=

INSTALLED := $(VENV)/.installed
EMBEDDED  := data/shapeworld
HIDDEN    := data/shapeworld-hidden
DEPTH     := data/depth
FAMILY     = $(notdir $(patsubst %/,%,$(dir $(firstword $(CONFIG)))))
STAGE1     = runs/$(FAMILY)-shapeworld
ROOTS     := roots() { for file; do sed -n 's/^.*[ {]root: *\([^ ,}]*\).*/\1/p' $$file | grep . || \
             roots $$(sed -n "s,^base: *,$${file%/*}/,p" $$file); done; }; roots
IMAGES     = $$($(ROOTS) configs/$(FAMILY)/stage1_shapeworld.yaml)
FEATURES  := shapeworld objects
LADDER    := baseline d g_d g_d_multiview depth view_prior
SPREAD    := -n 2 --dist loadfile  # a file's tests share what its fixtures train
ABLATION   = runs/$(or $(RUN),ablation-$(basename $(notdir $(firstword $(CONFIG)))))
OPTIONS   := $(if $(RUN),--run runs/$(RUN)) $(if $(DATA),--data.root $(DATA)) \
             $(if $(DEVICES),--trainer.devices $(DEVICES)) $(if $(NODES),--trainer.num_nodes $(NODES))

.DEFAULT_GOAL := help
.PHONY: help install data tokens train-stage1 train-stage2 train-gan ablation classifier features train-depth test test-slow coverage fuzz lint bench test-published results

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Create .venv and install wild3d with its tools

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[dev]"
	@touch $@

data: $(INSTALLED) ## Build the embedded data set if the configuration trains on it and it is missing
	@for root in $(or $(DATA),$$($(ROOTS) $(CONFIG))); do case $$root in \
		$(EMBEDDED)) $(BIN)/wild3d shapeworld --root $$root || exit;; \
		$(HIDDEN)) $(BIN)/wild3d shapeworld --root $$root --half_hidden 0.5 || exit;; esac; done

train-stage1: data ## Train an autoencoder, VQ3D's or with SYSTEM=gina3d [CONFIG= DATA= RUN= DEVICES= NODES= ARGS=]
	$(BIN)/wild3d fit --config $(CONFIG) $(OPTIONS) $(ARGS)

tokens: $(INSTALLED)
	@if [ -z "$(DATA)" ] && grep -qw 'root: $(STAGE1)/tokens' $(CONFIG); then \
		[ -f $(STAGE1)/result.json ] || { echo "$(STAGE1) is not finished: run make train-stage1 SYSTEM=$(FAMILY) to its end first"; exit 2; }; \
		root=$(IMAGES); $(BIN)/wild3d tokens --checkpoint $(STAGE1)/checkpoints/best.ckpt --root $$root \
			--out $(STAGE1)/tokens $$([ $$root != $(HIDDEN) ] || echo --min_visible 0.75); fi

train-stage2: CONFIG = configs/$(SYSTEM)/stage2_shapeworld.yaml
train-stage2: tokens ## Train a prior over its tokens [CONFIG= DATA= RUN= DEVICES= NODES= ARGS=]
	$(BIN)/wild3d fit --config $(CONFIG) $(OPTIONS) $(ARGS)

features: data
	@for name in $(if $(filter-out $(EMBEDDED),$(DATA)),,$(FEATURES)); do \
		if grep -qw "features: runs/classifier-$$name/checkpoints/best.ckpt" $(CONFIG) && [ ! -f runs/classifier-$$name/result.json ]; then \
			$(BIN)/wild3d fit --config configs/classifier/$$name.yaml || exit; fi; done

train-gan: CONFIG = configs/wildgan/shapeworld.yaml
train-gan: features ## Train a class-conditional triplane GAN [CONFIG= DATA= RUN= DEVICES= NODES= ARGS=]
	$(BIN)/wild3d fit $(addprefix --config ,$(CONFIG)) $(OPTIONS) $(ARGS)

ablation: CONFIG = configs/wildgan/shapeworld.yaml
ablation: features ## Train the GAN's ablation, a run a step, and print its table [CONFIG= DATA= RUN= LADDER= ARGS=]
	@set -e; for step in $(LADDER); do \
		$(BIN)/wild3d fit $(addprefix --config ,$(CONFIG)) --config configs/wildgan/ladder/$$step.yaml $(OPTIONS) --run $(ABLATION)-$$step $(ARGS); done
	$(BIN)/wild3d compare --runs $(addprefix $(ABLATION)-,$(LADDER)) --out $(ABLATION).md

classifier: CONFIG = configs/classifier/shapeworld.yaml
classifier: data ## Train a classifier to measure generators with [CONFIG= DATA= RUN= DEVICES= NODES= ARGS=]
	$(BIN)/wild3d fit --config $(CONFIG) $(OPTIONS) $(ARGS)

$(DEPTH)/manifest.json: | $(INSTALLED)
	@[ -d "$(ROOM)" ] || { echo "ROOM names no folder: give that of rgbd-room's images/ and depth/, or shards with depth in DATA"; exit 2; }
	$(BIN)/wild3d shapeworld --root data/shapeworld-128 --resolution 128 --images 1500
	$(BIN)/wild3d shards --source $(ROOM)/images --depth $(ROOM)/depth --out data/room --resolution 128 --val_fraction 0.1
	$(BIN)/wild3d merge --roots data/shapeworld-128 data/room --modalities depth --out $(DEPTH)

train-depth: CONFIG = configs/labels/depth_small.yaml
train-depth: $(if $(DATA),$(INSTALLED),$(DEPTH)/manifest.json) ## Train a network for wild3d label depth [ROOM= CONFIG= DATA= RUN= ARGS=]
	$(BIN)/wild3d fit --config $(CONFIG) $(OPTIONS) $(ARGS)

test: $(INSTALLED) ## Run the quick tests
	$(BIN)/pytest $(SPREAD) -m "not slow"

test-slow: $(INSTALLED) ## Run the others: commands and runs from end to end, kernels of rare sizes
	$(BIN)/pytest $(SPREAD) -m slow

coverage: $(INSTALLED) ## Run all tests and print which branches of the packages they miss
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SPREAD)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under 95

fuzz: $(INSTALLED) ## Feed mutated files to every reader of downloads [ARGS="--inputs 100_000 --seed 0"]
	PYTHONPATH=tests/fuzz:tests:tests/datamodules:tests/lightning_modules $(BIN)/python -m fuzz_run $(ARGS)

lint: $(INSTALLED) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) ## Measure speed against plain references; writes benchmarks/results.json
	$(BIN)/python -m benchmarks

test-published: $(INSTALLED) ## Train the presets of published sizes for a few steps each; writes docs/scaling.md [ARGS="--only NAME"]
	$(BIN)/python -m benchmarks.published $(ARGS)

results: $(INSTALLED) ## Measure every trained configuration and write docs/results.md [ARGS="--lowpoly LOWPOLY --only NAME"]
	$(BIN)/python -m benchmarks.results $(ARGS)
