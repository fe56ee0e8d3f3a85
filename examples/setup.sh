#!/usr/bin/env bash
# Installs what the examples and their tests need and is not there yet: a virtual environment of Python with our SDK and, in
# typescript/, the packages of its lockfile with ours. On Debian as root it uses apt-get; elsewhere it says in one line what is missing.
set -euo pipefail
cd "$(dirname "$0")"

say() { echo "examples setup: $*" >&2; }

need() { # PROGRAM-CHECK PACKAGE...
  local check=$1
  shift
  eval "$check" >/dev/null 2>&1 && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: $* - install it, or run this as root on Debian"
    exit 1
  fi
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need 'python3 -c "import sys, venv, ensurepip; assert sys.version_info >= (3, 10)"' python3 python3-venv

# Our SDK is installed as it stands in this repository; what it needs is among the pinned packages.
sdk=../sdk/python
locks=(requirements.txt python-homegrown/requirements.txt fastmcp/requirements.txt)
stamp=.venv/ostiary-lock
if ! cat "${locks[@]}" "$sdk/pyproject.toml" | cmp -s - "$stamp" 2>/dev/null; then
  say "installing the Python packages"
  python3 -m venv --clear .venv
  .venv/bin/pip install --quiet --disable-pip-version-check $(printf -- '-r %s ' "${locks[@]}")
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --editable "$sdk"
  cat "${locks[@]}" "$sdk/pyproject.toml" > "$stamp"
fi

need 'command -v npm && command -v node' nodejs npm
# Node of the system only runs npm: the example runs on the Node 22 that the npm package `node` brings.
stamp=typescript/node_modules/.ostiary-lock
if ! cmp -s typescript/package-lock.json "$stamp" 2>/dev/null; then
  say "installing the TypeScript packages"
  (cd typescript && npm ci --no-audit --no-fund --loglevel error)
  cp typescript/package-lock.json "$stamp"
fi
if [ ! -x typescript/node_modules/node/bin/node ]; then
  say "the npm package node brought no binary for this machine: check that npm may run its install script"
  exit 1
fi
# The SDK that the example's package.json points at, built.
NODE="$PWD/typescript/node_modules/node/bin/node" ../sdk/typescript/setup.sh
