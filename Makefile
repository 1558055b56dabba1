# SPDX-License-Identifier: GPL-3.0-or-later
# A thin front over CMake. The two commands of the README are `make study` and `make test`.
.DEFAULT_GOAL := all
.PHONY: all deps study quick test test-unit test-asan test-live test-live-all lint format bench fresh install dist clean help

PREFIX := /usr/local

BUILD := build
CMAKE := cmake -G Ninja -S .

# IL_OFFLINE=1 skips the package check, for machines without apt or without a network.
DEPS := $(if $(IL_OFFLINE),true,sh tools/deps.sh)

all: $(BUILD)/build.ninja ## build build/inferlaw
	@ninja -C $(BUILD) --quiet
	@echo "built $(BUILD)/inferlaw"

$(BUILD)/build.ninja:
	@$(DEPS) build
	@$(CMAKE) -B $(BUILD) -DIL_TESTS=OFF > /dev/null

deps: ## install the packages a build needs
	@sh tools/deps.sh build

study: ## make the seven TR121 checkpoints, measure them, analyse, write the report
	@$(DEPS) study
	@$(MAKE) --no-print-directory all
	@$(BUILD)/inferlaw model make --suite tr121 --out models
	@$(BUILD)/inferlaw run configs/first_study.yaml

quick: all ## a first honest table in under a minute
	@$(BUILD)/inferlaw run configs/quick.yaml

test: ## install what tests need, build with warnings as errors, run every test twice (the second time under sanitizers)
	@$(DEPS) test
	@$(MAKE) --no-print-directory lint test-unit test-asan
	@echo "all tests passed"

test-unit: ## unit and script tests on the ordinary build
	@$(CMAKE) -B $(BUILD)-test -DIL_WERROR=ON -DIL_TESTS=ON > /dev/null
	@ninja -C $(BUILD)-test --quiet
	@ctest --test-dir $(BUILD)-test --output-on-failure -j1

test-asan: ## the unit tests under address and undefined-behaviour sanitizers
	@$(CMAKE) -B $(BUILD)-asan -DIL_WERROR=ON -DIL_TESTS=ON -DIL_SANITIZE=ON > /dev/null
	@ninja -C $(BUILD)-asan --quiet
	@ctest --test-dir $(BUILD)-asan --output-on-failure -j2 -L unit

test-live: ## install and test real runtimes: Ollama, llama.cpp's server, ONNX Runtime, the light PyTorch (kept in the runtimes directory, or IL_RUNTIMES)
	@$(DEPS) live
	@$(CMAKE) -B $(BUILD)-test -DIL_WERROR=ON -DIL_TESTS=ON > /dev/null
	@ninja -C $(BUILD)-test --quiet
	@bash tools/test_live.sh $(BUILD)-test light

test-live-all: ## the same with current PyTorch and torch.compile, vLLM, and llama.cpp compiled for this machine
	@$(DEPS) live
	@$(CMAKE) -B $(BUILD)-test -DIL_WERROR=ON -DIL_TESTS=ON > /dev/null
	@ninja -C $(BUILD)-test --quiet
	@bash tools/test_live.sh $(BUILD)-test all

lint: ## formatting and the layer rules
	@sh tools/lint.sh

format: ## rewrite every C file in the house format
	@git ls-files '*.c' '*.h' '*.inc' | grep -v -e param_table.h -e synth_vectors.inc | xargs clang-format -i

bench: all ## kernels and whole-model speed against ceilings measured in the same run
	@$(BUILD)/inferlaw-bench kernels
	@$(BUILD)/inferlaw-bench decode
	@$(BUILD)/inferlaw-bench prefill

fresh: ## prove `make study` and `make test` in a bare Debian made by debootstrap (as root)
	@bash tools/fresh.sh

install: all ## install into PREFIX (/usr/local), below DESTDIR where that is set
	@$(CMAKE) -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX) > /dev/null
	@ninja -C $(BUILD) --quiet
	@cmake --install $(BUILD) > /dev/null
	@echo "installed in $(DESTDIR)$(PREFIX)"

dist: ## a relocatable tarball with every library it needs, build/inferlaw-VERSION-linux-x86_64.tar.gz
	@$(DEPS) build
	@bash tools/dist.sh $(BUILD)

clean: ## remove the build directories
	@rm -rf $(BUILD) $(BUILD)-test $(BUILD)-asan

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
