#!/usr/bin/env bash
# One client of each language against `kindsmith dev`: a namespace as typed programs make it, an instance made, read,
# changed, watched and deleted. Where a language or its registry is missing, one line says so.
#
#   tests/clients.sh [PATH OF THE PROGRAM kindsmith]
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
program="${1:-}"
if [ -z "$program" ]; then
  cargo build --quiet --manifest-path "$here/../Cargo.toml" -p kindsmith
  program="${CARGO_TARGET_DIR:-$here/../target}/debug/kindsmith"
fi
work="$(mktemp -d)"
dev=
trap 'if [ -n "$dev" ]; then kill "$dev" 2>/dev/null || true; wait "$dev" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

"$program" dev --listen 127.0.0.1:0 --data-dir "$work/data" --kubeconfig "$work/kubeconfig" \
  >"$work/dev.log" 2>"$work/dev.err" &
dev=$!
for _ in $(seq 300); do
  grep -q 'Ctrl-C stops it' "$work/dev.log" && break
  kill -0 "$dev" 2>/dev/null || { cat "$work/dev.log" "$work/dev.err" >&2; exit 1; }
  sleep 0.1
done
export KUBECONFIG="$work/kubeconfig"

failed=0
# try NAME: says how the rest of the arguments, a command, went.
try() {
  local name="$1"
  shift
  if timeout 300 "$@" >"$work/$name.log" 2>&1; then
    echo "$name: $(tail -n 1 "$work/$name.log")"
  else
    failed=1
    echo "$name: FAILED"
    tail -n 30 "$work/$name.log"
  fi
}
skip() {
  echo "$1: NOT TRIED: $2"
}

if ! command -v python3 >/dev/null; then
  skip python "there is no python3"
elif ! { python3 -m venv "$work/python" && "$work/python/bin/pip" install --quiet kubernetes; } >"$work/install.log" 2>&1; then
  skip python "the package kubernetes cannot be installed"
else
  try python "$work/python/bin/python" "$here/clients/client.py"
fi

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  skip node "there is no node with npm"
elif ! (mkdir "$work/node" && cp "$here/clients/client.mjs" "$work/node/" && cd "$work/node" && npm init -y &&
  npm install --no-audit --no-fund @kubernetes/client-node@1) >"$work/install.log" 2>&1; then
  skip node "the package @kubernetes/client-node cannot be installed"
else
  try node node "$work/node/client.mjs"
fi

if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
  skip java "there is no java with mvn"
elif ! (cp -r "$here/clients/java" "$work/java" && cd "$work/java" && mvn --batch-mode --quiet compile \
  dependency:build-classpath -Dmdep.outputFile=classpath) >"$work/install.log" 2>&1; then
  skip java "io.fabric8:kubernetes-client cannot be installed"
else
  try java java -cp "$work/java/target/classes:$(cat "$work/java/classpath")" Client
fi
exit "$failed"
