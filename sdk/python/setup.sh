#!/usr/bin/env bash
# Makes the virtual environment that the SDK is checked in, once for each change of what it holds. On Debian as root it
# installs Python with apt-get when that is missing; elsewhere it says so in one line. PYTHON chooses another Python.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}

if ! "$python" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10)' 2>/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "sdk/python: Python 3.10 or newer with venv is missing - install it, or run this as root on Debian" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
fi

stamp=.venv/.ostiary-lock
if ! cat pyproject.toml requirements-dev.txt | cmp -s - "$stamp"; then
  "$python" -m venv --clear .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -e .
  cat pyproject.toml requirements-dev.txt > "$stamp"
fi
