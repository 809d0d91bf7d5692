#!/bin/sh
# The Python package on a GPU: every test that takes torch's tensors there (operators of attention, of the layer's step and of merging
# shards, LayerPlan, graphs, streams, the engine), in one command, without network. Needs a Python with torch and numpy, a portable build
# and build/carry (scripts/carry_library.sh); a C++ compiler, where the emulator is held against.
#
#   sh scripts/gpu_python.sh OUTDIR [TEST...]           on the GPU machine; SNAPMLA_BUILD, SNAPMLA_LIBRARY, SNAPMLA_PYTHON name others
#   sh scripts/gpu_python.sh --dry [OUTDIR [TEST...]]   where torch sees no GPU: the same on the emulator
#
# A log of each test in OUTDIR. Tests that were skipped are told with their reasons, and on a GPU machine one that missed its GPU fails.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
dry=0
if [ "${1:-}" = --dry ]; then
  dry=1
  shift
  [ $# -gt 0 ] || set -- "$root/build/python-dry"
fi
[ $# -ge 1 ] || { echo "usage: sh scripts/gpu_python.sh OUTDIR [TEST...] | --dry [OUTDIR [TEST...]]" >&2; exit 2; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
shift
cd "$root" || exit 1
. scripts/lib.sh
[ $# -gt 0 ] || set -- layer_torch torch shards_torch layer shards tokens engine package

build=${SNAPMLA_BUILD:-build/portable}
python=${SNAPMLA_PYTHON:-python3}
library=${SNAPMLA_LIBRARY:-build/carry/libsnapmla.so}
[ -e "$library" ] || die "$library is not there: sh scripts/carry_library.sh, and copy build/carry along"
[ -x "$build/bin/snapmla" ] || die "$build/bin/snapmla is not there: cmake --preset portable && cmake --build --preset portable"
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
python_with_library "$library" "$scratch"
SNAPMLA_PROGRAM=$PWD/$build/bin/snapmla
SNAPMLA_CACHE_DIR=${SNAPMLA_CACHE_DIR:-$scratch/store}
export SNAPMLA_PROGRAM SNAPMLA_CACHE_DIR
"$python" -c 'import torch, snapmla
name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "the emulator: torch sees no GPU"
print(f"torch {torch.__version__}, snapmla {snapmla.version()}, on {name}")' || die "$python cannot load torch and the package"
[ "$dry" = 1 ] || "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || die "torch sees no GPU; --dry tries the emulator"

parts_start "$out/python.tsv"
for name in "$@"; do
  begun=$(now)
  timeout -k 5 "${SECONDS_EACH:-120}" "$python" "tests/python/test_$name.py" -v >"$out/python-$name.log" 2>&1
  code=$?
  log=$out/python-$name.log
  result=ok
  [ "$code" = 0 ] || result=failed
  [ "$code" != 124 ] || result=timeout
  say "$name: $result, exit status $code, $(($(now) - begun)) s; $(grep -E '^Ran ' "$log" | cut -d' ' -f1-3), $(grep -cE '(^|\.\.\. )ok$' "$log") passed"
  sed -nE "s/^.*\.\.\. skipped ['\"](.*)['\"]$/  skipped: \1/p" "$log" | sort -u
  grep -E '^(ERROR|FAIL): |^[A-Za-z_.]*(Error|Exception)' "$log" | head -n 20
  if [ "$dry" = 0 ] && grep -qE "skipped .*(sees no GPU|torch is (missing|not))" "$log"; then
    say "  on a GPU machine nothing may be skipped for want of torch or a GPU"
    result=failed
  fi
  part_record "python-$name" "$result" "$(($(now) - begun))"
done
parts_table | tee "$out/python.txt"
! parts_failed
