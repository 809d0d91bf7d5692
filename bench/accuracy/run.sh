#!/bin/sh
# Perplexity and retrieval from nothing, in eight minutes at most on one Hopper GPU with PyTorch: checks the way of decoding, trains the
# model, evaluates it with every KV format. Needs build/accuracy (carry.sh), no network.
#
#   sh bench/accuracy/run.sh [--pack DIR] OUTDIR [OPTIONS]       SNAPMLA_PYTHON names a Python with torch and numpy; OPTIONS of evaluate.py
#   sh bench/accuracy/run.sh --dry [--pack DIR] OUTDIR [OPTIONS] a trial of the same on the CPU and the emulator: seconds, and figures of no meaning
#
# A model.pt that lies in OUTDIR already is evaluated and not trained anew. What each phase wrote stays, whatever
# follows; `--resume` goes on with what an earlier call had no time for, `--resume --cases CASE...` with the cases named. RUN_SECONDS (475) bounds
# the whole, TRAIN_SECONDS (200) the training; what is left is the evaluation's, or EVALUATE_SECONDS. --pack DIR also puts into DIR, in five files
# of 15 MiB at most: model.pt in parts (`cat model.pt.* >model.pt`), and the rest as results.tar.gz.
set -u
dry='' pack=''
if [ "${1:-}" = --dry ]; then
  dry=1
  shift
fi
if [ "${1:-}" = --pack ] && [ $# -ge 2 ]; then
  mkdir -p "$2" && pack=$(cd "$2" && pwd) || exit 1
  shift 2
fi
[ $# -ge 1 ] || { echo "usage: sh bench/accuracy/run.sh [--dry] [--pack DIR] OUTDIR [OPTIONS of evaluate.py]" >&2; exit 2; }
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
end=$((begun + ${RUN_SECONDS:-475}))
failed=0

# phase NAME SECONDS SCRIPT ARGUMENTS...: under its time limit, told and logged.
phase() {
  name=$1 limit=$2
  shift 2
  left=$((end - $(now)))
  [ "$limit" -le "$left" ] || limit=$left
  [ "$limit" -gt 0 ] || limit=1
  timeout -k 5 "$limit" "$python" "bench/accuracy/$@" >"$out/$name.log" 2>&1
  code=$?
  tail -n 80 "$out/$name.log"
  say "$name: exit status $code, $(($(now) - begun)) s since the start"
  [ $code = 0 ] || failed=1
}

if [ -n "$dry" ]; then
  phase check 120 check.py --device cpu --tokens 20
  [ -e "$out/model.pt" ] ||
    phase train 120 train.py "$carried/tokens.npz" "$out" --device cpu --steps 2 --layers 2 --dim 64 --heads 2 --lengths 64 128 --batch 256
  phase evaluate 300 evaluate.py "$out/model.pt" "$carried/tokens.npz" "$out" --device cpu --length 96 --sequences 1 \
    --needle-lengths 128 --needle-sequences 1 --needles 4 --batch 32 --block 16 "$@"
else
  phase check 60 check.py
  train=${TRAIN_SECONDS:-200}
  [ -e "$out/model.pt" ] || phase train $((train + 40)) train.py "$carried/tokens.npz" "$out" --seconds "$train"
  # The last sequence of all ways takes some seconds more than the evaluation is given.
  evaluate=$((end - $(now) - 25))
  phase evaluate $((evaluate + 25)) evaluate.py "$out/model.pt" "$carried/tokens.npz" "$out" --seconds "${EVALUATE_SECONDS:-$evaluate}" "$@"
fi
if [ -n "$pack" ]; then
  rm -f "$pack"/model.pt.*
  split -b 15m "$out/model.pt" "$pack/model.pt." || failed=1
  (cd "$out" && tar -czf "$pack/results.tar.gz" --exclude model.pt --exclude model.pt.part .) || failed=1
fi
exit $failed
