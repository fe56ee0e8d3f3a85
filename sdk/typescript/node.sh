#!/usr/bin/env bash
# Runs Node 20 or newer: the one of the system, or the one that the end-to-end tests bring.
set -euo pipefail
brought="$(dirname "${BASH_SOURCE[0]}")/../../e2e/clients/node_modules/node/bin/node"
for node in "${NODE:-}" "$brought" node; do
  if [ -n "$node" ] && command -v "$node" >/dev/null && [ "$("$node" -p 'parseInt(process.versions.node)')" -ge 20 ]; then
    exec "$node" "$@"
  fi
done
echo "sdk/typescript: Node 20 or newer is missing; install it, or run make e2e-setup" >&2
exit 1
