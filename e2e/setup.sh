#!/usr/bin/env bash
# Installs what the end-to-end tests need and is not there yet: Chromium, Node with npm, nginx and Caddy, the pinned official clients.
# On Debian as root it uses apt-get; elsewhere it says in one line what is missing.
set -euo pipefail
cd "$(dirname "$0")"

say() { echo "e2e setup: $*" >&2; }

have_chromium() {
  [ -n "${OSTIARY_E2E_CHROMIUM:-}" ] && [ -x "${OSTIARY_E2E_CHROMIUM}" ] && return 0
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null && return 0
  done
  [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

missing=()
have_chromium || missing+=(chromium fonts-dejavu-core)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
# The reverse proxies of examples/forward-auth.
[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] || missing+=(nginx-light libnginx-mod-http-js)
command -v caddy >/dev/null || missing+=(caddy)

if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: ${missing[*]} - install them, or run this as root on Debian (Chromium elsewhere: set OSTIARY_E2E_CHROMIUM)"
    exit 1
  fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Node of the system only runs npm: the clients run on the Node 22 that the npm package `node` brings.
stamp=clients/node_modules/.ostiary-lock
if ! cmp -s clients/package-lock.json "$stamp" 2>/dev/null; then
  say "installing the official clients"
  (cd clients && npm ci --no-audit --no-fund --loglevel error)
  cp clients/package-lock.json "$stamp"
fi
if [ ! -x clients/node_modules/node/bin/node ]; then
  say "the npm package node brought no binary for this machine: check that npm may run its install script"
  exit 1
fi
