#!/bin/sh
# Attacks Kindsmith as one tenant, while another one works, beside the same attack on a CustomResourceDefinition of
# kube-apiserver: about ten minutes on two processors, building apart. Prints a table.
set -eu
cd "$(dirname "$0")/.."
cargo build --release --workspace --bin kindsmith
cargo bench --workspace --bench attacks
