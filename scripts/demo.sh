#!/bin/sh
# Sets up what is missing (a bare Debian 12 will do), builds, and decodes a batch of DeepSeek-V3-shaped requests of mixed
# lengths: 128 heads, latent rank 512, RoPE 64. On a Hopper GPU up to 128K tokens, otherwise on the emulator up to 4K.
#
#   sh scripts/demo.sh [DEVICE]    DEVICE: cuda:N or emulator; left out: a GPU where one works
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

device=${1:-}
program=build/release/bin/snapmla

step "1. setup"
# shellcheck disable=SC2086 # a list of words
need_packages $build_packages
if [ "$device" != emulator ] && have nvidia-smi && nvidia-smi -L >/dev/null 2>&1; then
  need_nvrtc
fi

step "2. build"
begun=$(now)
mkdir -p build
# The demo needs no tests; a folder that is already configured stays as it is.
if [ -f build/release/CMakeCache.txt ]; then set --; else set -- -DSNAPMLA_TESTS=OFF; fi
if ! { cmake --preset release "$@" && cmake --build --preset release; } >build/demo-build.log 2>&1; then
  tail -n 40 build/demo-build.log >&2
  die "the build failed (the whole log: build/demo-build.log)"
fi
say "$program, built in $(($(now) - begun)) s"

step "3. what is here"
"$program" doctor || true
if [ -z "$device" ]; then
  device=$("$program" run --heads 16 --context 1 --no-check --json 2>/dev/null | json_field device)
fi
case $device in
cuda:*) lengths=131072,65536,32768,8192,4096,1500,700,65 ;;
*) device=emulator lengths=4096,1500,700,65 ;;
esac

step "4. decode on $device: requests of $lengths tokens"
begun=$(now)
"$program" run --device "$device" --heads 128 --latent 512 --rope 64 --context "$lengths" --progress
code=$?
say
say "$(($(now) - begun)) s of this machine's time, in which the data was made, appended to the cache, decoded, and compared with the"
say "double-precision oracle of the same quantised data. A time is measured on a GPU and modelled on the emulator."
exit $code
