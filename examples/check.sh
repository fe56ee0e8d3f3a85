#!/usr/bin/env bash
# Lints and type-checks the examples and their tests. Each folder has modules of its own names, so each is checked alone.
set -euo pipefail
cd "$(dirname "$0")"

.venv/bin/ruff check --quiet .
.venv/bin/ruff format --check --quiet .
.venv/bin/mypy --no-error-summary python-homegrown
.venv/bin/mypy --no-error-summary conftest.py testing tests
(cd fastmcp && ../.venv/bin/mypy --no-error-summary --config-file ../pyproject.toml .)
(cd typescript && node_modules/node/bin/node node_modules/typescript/bin/tsc)
