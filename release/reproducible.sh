#!/usr/bin/env bash
# Builds the image of a commit twice, in two folders that have nothing in common, and fails unless both are the same to the byte.
# A step of a release, outside of CI: about 20 minutes for each processor and build on 2 cores.
#
#   release/reproducible.sh            amd64
#   release/reproducible.sh --arch amd64,arm64
set -euo pipefail
cd "$(dirname "$0")/.."

work="$(mktemp -d)"
trap 'for n in first second-folder; do git worktree remove --force "$work/$n" 2>/dev/null || true; done; rm -rf "$work"' EXIT
for name in first second-folder; do
  git worktree add --quiet --detach "$work/$name" HEAD
  echo "reproducible: building in $work/$name"
  (
    cd "$work/$name"
    env -u CARGO_TARGET_DIR cargo run --quiet --locked -p release -- image --output "$work/$name.tar" "$@"
    rm -rf target
  )
done
if ! cmp "$work/first.tar" "$work/second-folder.tar"; then
  echo "reproducible: the two images differ" >&2
  exit 1
fi
echo "reproducible: both are sha256:$(sha256sum "$work/first.tar" | cut -d' ' -f1)"
