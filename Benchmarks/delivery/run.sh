#!/bin/sh
# The outbox's share of the delivery benchmark. Arguments: the benchmark program, a scratch folder.
set -eu
program=$1
scratch=${2:-/dev/shm}
folder=$(mktemp -d "$scratch/delivery-benchmark.XXXXXX")
trap 'rm -rf "$folder"' EXIT INT TERM
cc -O2 -shared -fPIC -o "$folder/sync_model.so" "$(dirname "$0")/sync_model.c" -ldl
SYNC_MODEL_MICROSECONDS=10000 LD_PRELOAD="$folder/sync_model.so" "$program" syncs "$folder"
SYNC_MODEL_MICROSECONDS=0 LD_PRELOAD="$folder/sync_model.so" "$program" writes "$folder"
"$program" latency "$folder"
"$program" audit "$folder"
