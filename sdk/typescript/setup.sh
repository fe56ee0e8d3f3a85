#!/usr/bin/env bash
# Installs what the SDK is built and checked with, once for each change of the lockfile, and builds dist/. On Debian as root it
# installs Node with apt-get when that is missing; elsewhere it says so in one line.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v npm >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "sdk/typescript: Node 20 or newer with npm is missing - install it, or run this as root on Debian" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
fi

stamp=node_modules/.ostiary-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  npm ci --no-audit --no-fund --loglevel error
  cp package-lock.json "$stamp"
fi
./node.sh node_modules/typescript/bin/tsc -p tsconfig.json
