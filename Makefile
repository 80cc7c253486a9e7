# Everything that a person or a machine does with this tree. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(or $(WEIR_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir-tools)

.PHONY: help demo test test-alerts test-chart test-compose test-kube test-suite check check-rules fix docs pictures bench build setup-%

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup-demo ## files -> topics -> Postgres and search, live in this terminal (DEMO_SECONDS=30: ends by itself and proves exactly once)
	@cargo build --release --locked -p weir -p weir-tests --bin weir --bin weir-demo
	@exec $(TARGET)/release/weir-demo

test: setup-test check check-rules test-chart test-suite test-compose ## all tests, with real processes and real clients

test-suite: setup-test ## of those, the ones in Rust
	@cargo build --locked -p weir
	@cargo test --locked --workspace

test-chart: setup-chart ## the Helm chart without a cluster: lint, its unit tests, Kubernetes' schemas, the configurations that it writes
	@cargo build --locked -p weir
	@$(TOOLS)/kube/python/bin/python tests/kube/chart.py $(TARGET)/debug/weir

test-kube: setup-kube ## the Helm chart against a real Kubernetes API server: install, upgrade, rollback, uninstall; and its pods, on a node in small (first time 10 minutes more)
	@cargo build --locked -p weir
	@$(TOOLS)/kube/python/bin/python tests/kube/cluster.py
	@$(TOOLS)/kube/python/bin/python tests/kube/pods.py $(TARGET)/debug/weir

test-alerts: setup-test ## real faults, and the alerts that they raise, thirty times as fast as they are shipped (takes 8 minutes)
	@cargo build --release --locked -p weir
	@WEIR_BINARY=$(abspath $(TARGET))/release/weir cargo test --locked -p weir-tests --test alerts -- --nocapture

test-compose: setup-compose ## the files of deploy/, and the image and the compose file with a Docker daemon of its own (first time 5 minutes more)
	@cargo build --locked -p weir
	@$(TOOLS)/compose/python/bin/python tests/compose/files.py $(TARGET)/debug/weir
	@$(TOOLS)/compose/python/bin/python tests/compose/system.py $(TARGET)/debug/weir

check: ## formatting, lints, file sizes and layers; never writes
	@cargo fmt --check
	@python3 tests/check/house.py
	@cargo clippy --locked --workspace --all-targets --quiet -- -D warnings

check-rules: ## alert rules and dashboards: syntax, cases in which each alert fires and stays quiet, queries, Grafana's types
	@promtool check rules --lint-fatal dashboards/alerts/*.yml >/dev/null
	@promtool test rules dashboards/alerts/tests/*.test.yml >/dev/null
	@python3 tests/check/queries.py
	@python3 tests/check/rules.py
	@python3 tests/check/dashboards.py
	@python3 tests/check/uses.py --check
	@cp tests/dashboards/schema/check.mjs tests/dashboards/schema/shape.ts $(TOOLS)/grafana
	@cd $(TOOLS)/grafana && node check.mjs $(CURDIR)/dashboards/*.json

fix: ## formats and applies what clippy can mend
	@cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged --quiet
	@cargo fmt

docs: ## writes the references of keys and metrics in docs/, and the dashboards, from their sources
	@python3 dashboards/build.py
	@cargo build --locked -p weir
	@$(TARGET)/debug/weir reference configuration > docs/configuration.md
	@$(TARGET)/debug/weir reference connectors > docs/connectors-reference.md
	@$(TARGET)/debug/weir reference metrics > docs/metrics-reference.md
	@python3 tests/check/uses.py

pictures: setup-pictures ## draws the dashboards from a system under load into dashboards/pictures (takes 5 minutes)
	@cargo build --release --locked -p weir -p weir-tests --bin weir --bin weir-demo
	@$(TOOLS)/python/bin/python tests/dashboards/pictures.py $(TARGET)/release/weir-demo $(TOOLS)/draw dashboards/pictures

bench: setup-bench ## the figures of docs/benchmarks.md, beside Apache Kafka on this machine
	@cargo build --release --locked -p weir
	@python3 tests/bench/run.py

build: ## the binary, in release mode
	@cargo build --release --locked -p weir
	@echo "$(TARGET)/release/weir"

setup-%:
	@tests/setup.sh $*
