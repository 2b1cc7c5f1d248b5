# `make help` lists what there is. Everything that CI runs is `make test`.
SHELL := /bin/bash
SWIFT ?= swift
.DEFAULT_GOAL := help
.PHONY: help clinic-day lean-link test-change test-sentinel deb-receiver demo fleet test-fleet load demo-clinic gateway test-gateway bench-gateway test model models models-check models-statistics arm64 test-arm64 deb-arm64 docs test-faults test-package test-vm bench bench-device check-broken-files bench-delivery deb reference error-catalogue test-kernels test-arm bench-kernels bench-kernels-model bench-inference test-tuf-conformance fuzz-inference fuzz-configuration fuzz-trust mutate-trust bench-trust remote-walk configuration-walk test-repository compare-inference build lint packages clean

## Try it

help: ## list the targets
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} /^[a-z0-9-]+:.*## /{printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## one guided capture, simulated, all the way to a broker and a receiver
	@Scripts/install-packages build demo
	@Scripts/demo

## Build and test

build: ## the release binary, Swift runtime linked in: .build/release/thermograph
	@Scripts/install-packages build
	$(SWIFT) build -c release --static-swift-stdlib --product thermograph

clinic-day: ## a day without a line, played and recorded into Docs/clinic-day.md: full card, stick, wrong tag
	@Scripts/install-packages build demo
	@Scripts/clinic-day

lean-link: ## captures of record and master alone over 9,600 bit/s with 10 % loss, measured; CAPTURES=, RATE=, LOSS=, LIMIT= (root)
	@Scripts/install-packages build demo delivery
	@Scripts/lean-link

demo-clinic: ## simulated devices all the way to a doctor: broker, worker, PostgreSQL, archive, the reader's page, a screenshot
	@Scripts/install-packages build receiver demo gateway gateway-test
	@Scripts/demo-clinic

fleet: ## the far side on loopback: brokers, PostgreSQL on three nodes, workers, three simulated devices; HOLD=yes stays (root)
	@Scripts/install-packages build receiver demo fleet
	$(SWIFT) build -c release --static-swift-stdlib --product thermograph
	$(SWIFT) build -c release --static-swift-stdlib --product thermograph-receiver
	@Scripts/fleet

gateway: ## the Python environment of thermograph-gateway, in .venv-gateway
	@Scripts/install-packages gateway
	@Scripts/gateway-environment

test-gateway: ## the gateway's own part of `make test`: types, tests, browser, archive, PostgreSQL
	@Scripts/test-gateway

test: ## everything that CI runs: format, build, unit, house and end-to-end tests
	@Scripts/install-packages build demo test arm gateway gateway-test repository
	@Scripts/test

lint: ## swift format in strict mode
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

packages: ## install the Debian packages that build, demo and tests need
	@Scripts/install-packages build demo test arm gateway

clean: ## remove what was built
	rm -rf .build demo-output

## Packages

deb: build ## the Debian package, in out/
	@Scripts/install-packages package
	@Scripts/build-deb

deb-receiver: ## the far side's worker as a Debian package of its own, in out/
	@Scripts/install-packages build receiver package
	$(SWIFT) build -c release --static-swift-stdlib --product thermograph-receiver
	@Scripts/build-deb-receiver

test-package: deb ## install, upgrade, remove and purge it in a clean chroot (root)
	@Scripts/install-packages package
	@Scripts/test-package $(lastword $(sort $(wildcard out/thermograph_*_$(shell dpkg --print-architecture).deb)))

arm64: ## the same sources for arm64, in out/arm64: 5 GB and a compiler from the archive, once (root)
	@Scripts/install-packages build arm64
	@Scripts/build-arm64

test-arm64: build arm64 ## a capture and the golden vectors on it under emulation, beside this machine's own
	@Scripts/test-arm64

deb-arm64: arm64 ## the Debian package for arm64, in out/
	@Scripts/install-packages package arm64
	@BINARY=out/arm64/thermograph ARCHITECTURE=arm64 SYSROOT=.build-arm64/sysroot \
	  SWIFT_RELEASE=$$(cat out/arm64/swift-release) RUN='qemu-aarch64-static -L .build-arm64/sysroot' Scripts/build-deb

VM_SECONDS ?= 900

test-vm: deb-arm64 ## it in an emulated machine: systemd, I2C, button, a capture; limit VM_SECONDS=900 (root)
	@Scripts/install-packages vm
	@Scripts/test-vm $(VM_SECONDS)

## Models

models: ## every model from nothing, its card and the report (Python registry only)
	$(MAKE) -C Models/training all

NAME ?= screening-fold

model: ## one model from nothing: NAME=screening-fold
	$(MAKE) -C Models/training $(NAME)

models-check: build ## each model's hash, manifest and golden outputs on the device's engine; cards and report against figures
	python3 Models/training/cards.py --check
	python3 Models/training/report.py --check
	.build/release/thermograph model verify --directory Models

models-statistics: ## the synthetic thermograms beside real ones: table and sheet, fails when one drifts
	$(MAKE) -C Models/training statistics

## Longer proofs

FAULT_CAPTURES ?= 250
FAULT_SLOW_CAPTURES ?= 250
FAULT_ROUNDS ?= 50
FAULT_KILLS ?= 200
FAULT_POWER_CUTS ?= 200
FAULT_FILLS ?= 20
FAULT_DISK_ERRORS ?= 20
FAULT_DAMAGE_CAPTURES ?= 350
FAULT_BACKLOG ?= 20000
FAULT_DEVICES ?= 100
FAULT_FLIPS ?= all
FAULT_ROWS ?= FaultTests|KillTests|DamageTests|FullDiskTests|UpgradeTests|ReconnectStormTests

test-faults: ## the long fault matrix: FAULT_ROWS=regex FAULT_CAPTURES=250 FAULT_KILLS=200 ... (Docs/delivery-proof.md)
	@Scripts/install-packages build test delivery
	THERMOGRAPH_FAULT_CAPTURES=$(FAULT_CAPTURES) THERMOGRAPH_FAULT_SLOW_CAPTURES=$(FAULT_SLOW_CAPTURES) \
	  THERMOGRAPH_FAULT_ROUNDS=$(FAULT_ROUNDS) THERMOGRAPH_KILLS=$(FAULT_KILLS) \
	  THERMOGRAPH_POWER_CUTS=$(FAULT_POWER_CUTS) THERMOGRAPH_FAULT_FILLS=$(FAULT_FILLS) \
	  THERMOGRAPH_FAULT_DISK_ERRORS=$(FAULT_DISK_ERRORS) THERMOGRAPH_DAMAGE_CAPTURES=$(FAULT_DAMAGE_CAPTURES) \
	  THERMOGRAPH_FAULT_BACKLOG=$(FAULT_BACKLOG) THERMOGRAPH_FAULT_DEVICES=$(FAULT_DEVICES) \
	  THERMOGRAPH_INDEX_FLIPS=$(FAULT_FLIPS) \
	  $(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-tests --no-parallel \
	  --filter '$(FAULT_ROWS)'

UPDATE_KILLS ?= 500
UPDATE_POWER_CUTS ?= 100
UPDATE_SESSIONS ?= 200
UPDATE_BAD_ROUNDS ?= 5

test-updates: ## updates of models under attack: UPDATE_KILLS=500 UPDATE_POWER_CUTS=100 UPDATE_SESSIONS=200 UPDATE_BAD_ROUNDS=5 (of ten)
	@Scripts/install-packages build test
	THERMOGRAPH_UPDATE_KILLS=$(UPDATE_KILLS) THERMOGRAPH_UPDATE_POWER_CUTS=$(UPDATE_POWER_CUTS) \
	  THERMOGRAPH_UPDATE_SESSIONS=$(UPDATE_SESSIONS) THERMOGRAPH_BAD_MODELS=$(UPDATE_BAD_ROUNDS) \
	  $(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-tests --no-parallel \
	  --filter 'Update|ModelUnitFile'

CHANGE_PEOPLE ?= 100
CHANGE_CASES ?= 10000

test-change: ## the comparison over time: CHANGE_PEOPLE=100 of each of two generators over years, CHANGE_CASES=10000 of anything
	@Scripts/install-packages build test
	$(MAKE) -C Models/training change-sessions PEOPLE=$(CHANGE_PEOPLE) FOLDER=$(CURDIR)/out/change
	THERMOGRAPH_CHANGE_PEOPLE=$(CHANGE_PEOPLE) THERMOGRAPH_CHANGE_CASES=$(CHANGE_CASES) \
	  THERMOGRAPH_CHANGE_SESSIONS=$(CURDIR)/out/change/sessions.npy \
	  $(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-tests --filter 'Change(Years|Hostile|Golden)Tests'

SENTINEL_OUTPUT ?= out/sentinel
SENTINEL_STEP ?= 10000
SENTINEL_CALM ?= 40
SENTINEL_ATTACK ?= 36
SENTINEL_BESIDE ?= 4
SENTINEL_SCENARIOS ?=

test-sentinel: build ## real attacks on the built program: SENTINEL_STEP=10000 ms, SENTINEL_CALM=40 and _ATTACK=36 steps, _BESIDE=4, _SCENARIOS=a,b
	@Scripts/install-packages build demo test
	@Scripts/test-sentinel .build/release/thermograph $(SENTINEL_OUTPUT) --step-milliseconds $(SENTINEL_STEP) --calm $(SENTINEL_CALM) \
	  --attack $(SENTINEL_ATTACK) --beside $(SENTINEL_BESIDE) $(if $(SENTINEL_SCENARIOS),--scenarios $(SENTINEL_SCENARIOS))

FLEET_PARTS ?= A2 A6 A7
FLEET_LARGE ?= 1000

test-fleet: ## the far side under attack: FLEET_PARTS="A2 A6 A7" FLEET_LARGE=1000 devices for A1, IDLE_SECONDS=600 (root)
	@Scripts/install-packages build receiver demo test fleet
	ulimit -n "$$(ulimit -Hn)" && THERMOGRAPH_FLEET_DEVICES=$(FLEET_LARGE) THERMOGRAPH_FLEET_REAL=3 THERMOGRAPH_FLEET_SPREAD=60 THERMOGRAPH_FLEET_LIMIT=240 THERMOGRAPH_FLEET_P95=1 \
	  THERMOGRAPH_HOSTILE=long $(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-tests --no-parallel --filter 'FleetTests|HostileTests'
	@Scripts/test-fleet $(FLEET_PARTS)

load: ## captures a second of two workers, with brokers, database and generator here: LOAD_DEVICES=300 LOAD_CAPTURES=20 (root)
	@Scripts/install-packages build receiver demo test fleet
	$(SWIFT) build -c release -Xswiftc -enable-testing --scratch-path .build-tests --product FleetLoad
	$(SWIFT) build -c release -Xswiftc -enable-testing --scratch-path .build-tests --product thermograph-receiver
	@Scripts/load

KERNEL_CASES ?= 400
KERNEL_SEED ?= 1

test-kernels: ## the C kernels against a model, sanitized and with VNNI emulated: KERNEL_CASES=400 KERNEL_SEED=1
	@Scripts/test-kernels $(KERNEL_CASES) $(KERNEL_SEED)

test-arm: ## the NEON kernels under emulation of Cortex-A53, A72 and A76: KERNEL_CASES=400 KERNEL_SEED=1
	@Scripts/test-arm $(KERNEL_CASES) $(KERNEL_SEED)

MUTATIONS ?= 200000
FUZZ_SEED ?= 1
FUZZ_SECONDS ?= 120

test-tuf-conformance: ## the client of signed metadata against a checkout of tuf-conformance: CONFORMANCE=DIR
	@Scripts/test-tuf-conformance $(CONFORMANCE)

fuzz-inference: ## mutated models: MUTATIONS=200000 FUZZ_SEED=1, then libFuzzer for FUZZ_SECONDS=120 (0: not)
	@Scripts/fuzz-inference $(MUTATIONS) $(FUZZ_SEED) $(FUZZ_SECONDS)

fuzz-configuration: ## libFuzzer over the configuration's reader: FUZZ_SECONDS=120
	@Scripts/fuzz-configuration $(FUZZ_SECONDS)

TRUST_MUTATIONS ?= 1000000

mutate-trust: ## damaged metadata, lists of keys and envelopes: TRUST_MUTATIONS=1000000
	THERMOGRAPH_TRUST_MUTATIONS=$(TRUST_MUTATIONS) $(SWIFT) test -c release -Xswiftc -enable-testing \
	  --scratch-path .build-tests --no-parallel --filter TrustMutationTests

fuzz-trust: ## libFuzzer over what decides whom a device believes: FUZZ_SECONDS=120
	@Scripts/fuzz-trust $(FUZZ_SECONDS)

bench-trust: ## how long a full set of metadata takes to be verified
	$(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-tests --no-parallel --filter aFullSetIsVerified

remote-walk: ## a model's roll-out to three simulated devices, over broker, worker and PostgreSQL; some fifteen minutes
	@Scripts/install-packages build receiver demo gateway
	$(SWIFT) build --product thermograph
	$(SWIFT) build --product thermograph-receiver
	@Scripts/remote-walk

configuration-walk: ## a configuration from afar that holds, one with mistakes, one that takes itself back; three minutes
	@Scripts/install-packages build demo
	$(SWIFT) build --product thermograph
	@Scripts/configuration-walk

test-repository: ## Scripts/repository's own part of `make test`
	@Scripts/test-repository

GRAPHS ?= 500
GRAPH_SEED ?= 1

compare-inference: ## fresh random graphs against LiteRT's reference kernels: GRAPHS=500 GRAPH_SEED=1
	@Scripts/compare-inference $(GRAPHS) $(GRAPH_SEED)

check-broken-files: build ## what check says of ten broken configurations
	@Scripts/check-broken-files .build/release/thermograph

## Benchmarks

bench: ## the camera's maths beside a scalar peer, last sub-page to verdict, 1 MB for each tag decoder, a sentinel's window
	THERMOGRAPH_BENCHMARKS=1 $(SWIFT) run -c release --scratch-path .build-bench ThermographBenchmarks

bench-device: build ## start-up, memory, idle load, stop and check of the device: DEVICE_RUNS=11
	@Scripts/bench-device .build/release/thermograph $(or $(DEVICE_RUNS),11)

bench-gateway: ## worklist, comparison, report and export over a folder and over PostgreSQL, each with its limit
	@Scripts/bench-gateway

bench-delivery: ## outbox and drain beside their peers, and the daemon's figures: BENCH_ROUNDS=5 BENCH_MESSAGES=8000
	@Scripts/install-packages build demo test delivery
	@Scripts/bench-delivery

MODELS ?=
ROUNDS ?= 5

bench-inference: ## our kernels beside LiteRT, interleaved: MODELS="file-or-folder ..." ROUNDS=5
	@ROUNDS=$(ROUNDS) Scripts/bench-inference $(MODELS)

bench-kernels: ## single layers at every level of this processor, measured
	@Scripts/bench-kernels

bench-kernels-model: ## MAC a cycle of the inner loops on ARM and VNNI processors, by scheduling model
	@Scripts/bench-kernels-model

## Documentation

docs: build ## the reference of every module from the doc comments, in out/docs; a warning of DocC is an error
	@Scripts/docs

reference: build ## Docs/configuration-keys.md from the table of keys; Docs/lights.md and its picture from the patterns
	@.build/release/thermograph check --schema | Scripts/configuration-reference > Docs/configuration-keys.md
	@.build/release/thermograph panel list --markdown | Scripts/lights-page
	@Scripts/lights-picture > Docs/images/lights.svg

error-catalogue: ## every error message, from the source
	@Scripts/error-catalogue
