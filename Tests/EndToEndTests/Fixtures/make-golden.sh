#!/usr/bin/env bash
# Makes this folder with the program of release 0.1.0 alone: a simulated device without a broker takes two captures, then
# exports them to a stick.
#   make-golden.sh THERMOGRAPH CHECKOUT FOLDER      (THERMOGRAPH and CHECKOUT: of the release, commit 77a3b58)
set -euo pipefail
program=$1 checkout=$2 folder=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077
mkdir -p "$work/state/keys" "$work/run" "$folder/stick" "$folder/state"
# Fixture keys that open nothing but this folder: the bytes 0, 1, ..., 31, and 31, ..., 0.
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(32)))' >"$work/state/keys/outbox.key"
python3 -c 'import sys; sys.stdout.buffer.write(bytes(reversed(range(32))))' >"$work/state/keys/site.key"
cat >"$work/thermograph.toml" <<TOML
schema = 1
[device]
id = "golden"
site = "fixture"
[paths]
state_directory = "$work/state"
runtime_directory = "$work/run"
models_directory = "$checkout/Models"
hardware_directory = "$checkout/Hardware"
[session]
acclimatisation_seconds = 0
[screening]
model = "screening-fold"
[simulation]
seed = 7
captures = 2
tag_interval_milliseconds = 500
TOML
"$program" run --simulate --config "$work/thermograph.toml" >"$work/log" 2>&1 &
device=$!
for _ in $(seq 600); do
  # As a power cut in the first session would leave it.
  [ -e "$folder/state/session.json" ] || cp "$work/state/session.json" "$folder/state/" 2>/dev/null || true
  [ "$(grep -c 'capture saved' "$work/log")" -lt 2 ] || break
  kill -0 "$device"
  sleep 0.2
done
sleep 2
kill -TERM "$device"
wait "$device"
"$program" outbox export --config "$work/thermograph.toml" "$folder/stick"
cp "$work"/state/outbox.sqlite{,-wal,.numbers} "$folder/state/"
"$program" check --schema >"$folder/configuration.schema.json"
cp "$checkout/systemd/thermograph.toml" "$folder/example.toml"
sed "s|$work|/nonexistent|; s|$checkout|/nonexistent|" "$work/thermograph.toml" >"$folder/thermograph.toml"
chmod -R go+rX "$folder"
