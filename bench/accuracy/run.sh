#!/bin/sh
# Perplexity and retrieval from nothing, in eight minutes at most on one Hopper GPU with PyTorch: checks the way of decoding, trains the
# model, evaluates it with every KV format. Needs build/accuracy (carry.sh), no network.
#
#   sh bench/accuracy/run.sh OUTDIR [OPTIONS]       SNAPMLA_PYTHON names a Python with torch and numpy; OPTIONS of evaluate.py
#   sh bench/accuracy/run.sh --dry OUTDIR [OPTIONS] a trial of the same on the CPU and the emulator: seconds, and figures of no meaning
#
# A model.pt that lies in OUTDIR already is evaluated and not trained anew. What each phase wrote stays, whatever
# follows; `--resume --cases CASE...` adds what is missing of the cases named.
set -u
dry=
if [ "${1:-}" = --dry ]; then
  dry=1
  shift
fi
[ $# -ge 1 ] || { echo "usage: sh bench/accuracy/run.sh [--dry] OUTDIR [OPTIONS of evaluate.py]" >&2; exit 2; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
shift
cd "$(dirname "$0")/../.." || exit 1
. scripts/lib.sh
carried=$PWD/build/accuracy
[ -e "$carried/tokens.npz" ] || die "$carried/tokens.npz is not there: sh bench/accuracy/carry.sh"
python=${SNAPMLA_PYTHON:-python3}
cache=$(mktemp -d) || exit 1
trap 'rm -rf "$cache"' EXIT
SNAPMLA_LIBRARY=${SNAPMLA_LIBRARY:-$carried/lib/libsnapmla.so}
python_with_library "$SNAPMLA_LIBRARY" "$cache"
PYTHONUNBUFFERED=1
SNAPMLA_CACHE_DIR=$cache/store
export PYTHONUNBUFFERED SNAPMLA_CACHE_DIR
begun=$(now)
failed=0

# phase NAME SECONDS SCRIPT ARGUMENTS...: under its time limit, told and logged.
phase() {
  name=$1 limit=$2
  shift 2
  left=$((begun + 475 - $(now)))
  [ "$limit" -le "$left" ] || limit=$left
  [ "$limit" -gt 0 ] || limit=1
  timeout -k 5 "$limit" "$python" "bench/accuracy/$@" >"$out/$name.log" 2>&1
  code=$?
  tail -n 60 "$out/$name.log"
  say "$name: exit status $code, $(($(now) - begun)) s since the start"
  [ $code = 0 ] || failed=1
}

if [ -n "$dry" ]; then
  phase check 120 check.py --device cpu --tokens 20
  [ -e "$out/model.pt" ] ||
    phase train 120 train.py "$carried/tokens.npz" "$out" --device cpu --steps 2 --layers 2 --dim 64 --heads 2 --lengths 64 128 --batch 256
  phase evaluate 200 evaluate.py "$out/model.pt" "$carried/tokens.npz" "$out" --device cpu --length 96 --sequences 1 \
    --needle-lengths 128 --needle-sequences 1 --needles 4 --batch 32 --block 16 "$@"
else
  phase check 60 check.py
  [ -e "$out/model.pt" ] || phase train 240 train.py "$carried/tokens.npz" "$out" --seconds "${TRAIN_SECONDS:-200}"
  phase evaluate 300 evaluate.py "$out/model.pt" "$carried/tokens.npz" "$out" --seconds "${EVALUATE_SECONDS:-250}" "$@"
fi
exit $failed
