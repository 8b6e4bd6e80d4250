#!/bin/sh
# Builds the workspace into a directory: from nothing, or after a change in ns-core.
# Usage: build.sh clean|touch DIRECTORY
set -e
case $1 in
clean) rm -rf "$2/target" ;;
touch) touch crates/ns-core/src/lib.rs ;;
esac
CARGO_TARGET_DIR=$2/target exec cargo build --quiet --locked --offline
