#!/bin/sh
# From a former version to this one and back, under load, one process after the other, in both orders. Prints what failed at each
# step. Outside of CI: the former version is built first, once, in the cache; then it takes about two minutes.
#
# The former version is the first tag, or the commit that is named: tests/upgrade.sh COMMIT
set -eu
cd "$(dirname "$0")/.."
former=${1:-$(git tag --sort=creatordate | head -n 1)}
# The last commit before there was a chart.
former=$(git rev-parse --short "${former:-3c24def}")
cache=${KINDSMITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kindsmith}/upgrade/$former
if [ ! -e "$cache/src" ]; then
    mkdir -p "$cache/src.new"
    git archive "$former" | tar -x -C "$cache/src.new"
    mv "$cache/src.new" "$cache/src"
fi
(cd "$cache/src" && CARGO_TARGET_DIR="$cache/target" cargo build --locked --workspace --bin kindsmith)
cargo build --workspace --bin kindsmith
KINDSMITH_FORMER_PROGRAM=$cache/target/debug/kindsmith KINDSMITH_FORMER_DEPLOY=$cache/src/deploy \
    cargo test --workspace --test it -- --ignored --nocapture --exact upgrade::a_former_version_is_upgraded_and_back_under_load
