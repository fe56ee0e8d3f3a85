# `make` prints what there is. Everything CI runs is `make ci`.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
VERSION ?= dev
IMAGE ?= ostiary:$(VERSION)
FUZZTIME ?= 20s
FUZZINPUTS ?= 20000x

# Tools that do not belong in go.mod, pinned. Built once, then kept in Go's build cache.
GOLANGCI := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help
help: ## Print this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z0-9-]*:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##—— Run

.PHONY: dev
dev: ## Start everything on an embedded Postgres with the demo tenant
	$(GO) run ./cmd/ostiary dev

.PHONY: build
build: ## Build bin/ostiary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/ostiary ./cmd/ostiary

.PHONY: docker
docker: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: secrets
secrets: ## Write random passwords and a master key into ./secrets, once, for docker compose
	@umask 077; mkdir -p secrets; \
	random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }; \
	keep() { if [ -e "secrets/$$1" ]; then cat >/dev/null; echo "secrets/$$1 kept"; else cat > "secrets/$$1"; chmod 0444 "secrets/$$1"; echo "secrets/$$1 written"; fi; }; \
	for name in postgres_password owner_password app_password; do random | keep $$name; done; \
	head -c 32 /dev/urandom | base64 | tr -d '\n' | keep master_key; \
	printf 'postgres://ostiary_app:%s@postgres:5432/ostiary?sslmode=disable' "$$(cat secrets/app_password)" | keep database_url; \
	printf 'postgres://ostiary_owner:%s@postgres:5432/ostiary?sslmode=disable' "$$(cat secrets/owner_password)" | keep migrate_database_url; \
	echo "Keep a copy of secrets/master_key: without it the stored keys of every environment are lost."

##—— Check

.PHONY: generate
generate: ## Generate the templates' Go code
	cd templates && $(GO) tool templ generate

.PHONY: verify
verify: ## Prove that generated code, formatting and go.mod are current
	@cd templates && $(GO) tool templ generate -log-level error
	@stale=$$(git status --porcelain -- '*_templ.go'); \
	if [ -n "$$stale" ]; then echo "generated code is not current, run make generate and commit:"; echo "$$stale"; exit 1; fi
	@unformatted=$$(git ls-files '*.go' | grep -v '_templ\.go$$' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	@$(GO) mod tidy -diff
	@$(GO) mod verify

.PHONY: lint
lint: ## Run the linters
	$(GOLANGCI) run --allow-parallel-runners

.PHONY: test
test: test-fast test-issuers sdk-python sdk-typescript examples e2e ## All tests; installs what they need on Debian as root

.PHONY: test-fast
test-fast: ## Go tests without a browser
	$(GO) test ./...

.PHONY: test-race
test-race: ## Go tests without a browser, under the race detector
	$(GO) test -race -timeout 15m ./...

.PHONY: test-issuers
test-issuers: ## The authorization server's suite on host and custom-domain issuers, on two nodes each
	OSTIARY_TEST_ISSUERS=host OSTIARY_TEST_NODES=2 $(GO) test -count=1 ./oauth
	OSTIARY_TEST_ISSUERS=domain OSTIARY_TEST_NODES=2 $(GO) test -count=1 ./oauth

.PHONY: e2e-setup
e2e-setup: ## Install Chromium, Node and the official clients for the end-to-end tests
	@e2e/setup.sh

.PHONY: e2e
e2e: e2e-setup examples-setup ## Drive the real binary with official MCP clients through a real browser
	$(GO) test -tags e2e -count=1 -timeout 20m ./e2e/... ./examples/forward-auth

.PHONY: examples-setup
examples-setup: ## Install what the example servers and their tests need
	@examples/setup.sh

.PHONY: examples
examples: examples-setup ## Lint, type-check and test the example MCP servers
	examples/check.sh
	cd examples && .venv/bin/pytest

.PHONY: sdk-python
sdk-python: vectors ## Lint, type-check and test the Python SDK
	@sdk/python/setup.sh
	cd sdk/python && .venv/bin/ruff check --quiet . && .venv/bin/ruff format --check --quiet . && .venv/bin/mypy
	cd sdk/python && OSTIARY_VECTORS=$(CURDIR)/dist/vectors .venv/bin/pytest

.PHONY: sdk-typescript
sdk-typescript: vectors ## Build, lint and test the TypeScript SDK
	@sdk/typescript/setup.sh
	cd sdk/typescript && ./node.sh node_modules/prettier/bin/prettier.cjs --log-level warn --check src test bench
	cd sdk/typescript && ./node.sh node_modules/eslint/bin/eslint.js --max-warnings 0 .
	cd sdk/typescript && rm -rf build && ./node.sh node_modules/typescript/bin/tsc -p tsconfig.test.json
	cd sdk/typescript && OSTIARY_VECTORS=$(CURDIR)/dist/vectors ./node.sh --test --test-reporter=spec build/test/*.test.js

.PHONY: bench
bench: ## Print throughput, latency, statements and commits of the hot paths
	$(GO) run ./bench

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (20s, or 1000x) each; each also runs its kept corpus in every test run
	@$(GO) list -f '{{.Dir}}' ./... | while read -r dir; do \
	  { grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go 2>/dev/null || true; } | sed 's/^func //' | while read -r target; do \
	    echo "$$dir $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir"; \
	  done; \
	done

.PHONY: vectors
vectors: ## Write decision vectors to dist/vectors, the random ones afresh; SEED repeats some
	@mkdir -p dist/vectors && cp app/policy/testdata/vectors.json dist/vectors/
	$(GO) run ./app/policy/vectors -n 2000 -seed $(or $(SEED),0) -o dist/vectors/fuzzed.json

# By number of inputs and not by time: a slow machine takes longer, and finds as much.
.PHONY: fuzz-smoke
fuzz-smoke: ## Run every fuzz target on FUZZINPUTS (20000x) new inputs
	@$(MAKE) fuzz FUZZTIME=$(FUZZINPUTS)

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is called
	@out=$$(mktemp); trap 'rm -f "$$out"' EXIT; \
	if $(GOVULNCHECK) ./... >"$$out" 2>&1; then tail -n 1 "$$out"; \
	elif grep -qE 'fetching vulnerabilities|vuln\.go\.dev|no such host|connection refused|dial tcp|i/o timeout|Forbidden' "$$out"; then \
	  echo "vuln: the vulnerability database cannot be reached, nothing was checked"; \
	else cat "$$out"; exit 1; fi

.PHONY: ci
ci: verify lint test-race test-issuers fuzz-smoke sdk-python sdk-typescript examples e2e vuln ## What CI runs

.PHONY: clean
clean: ## Remove what make built (not the data of make dev)
	rm -rf bin dist sdk/typescript/dist sdk/typescript/build sdk/typescript/node_modules e2e/clients/node_modules e2e/artifacts examples/.venv examples/typescript/node_modules
