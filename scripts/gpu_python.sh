#!/bin/sh
# The Python package on a GPU: every test that takes torch's tensors there (operators of attention, of the layer's step and of merging
# shards, LayerPlan, graphs, streams, the engine), in one command, without network. Needs a Python with torch and numpy, a portable build
# and build/carry (scripts/carry_library.sh); a C++ compiler, where the emulator is held against.
#
#   sh scripts/gpu_python.sh OUTDIR [TEST...]           on the GPU machine; SNAPMLA_BUILD, SNAPMLA_LIBRARY, SNAPMLA_PYTHON name others
#   sh scripts/gpu_python.sh --dry [OUTDIR [TEST...]]   where torch sees no GPU: the same on the emulator
#
# A log of each test in OUTDIR, and python.tsv: for each program its result, seconds, and tests that ran, passed and were skipped, which
# bench/report.py tells as docs/performance/DEVICE/python.tsv. Tests that were skipped are told with their reasons, and on a GPU machine one
# that missed its GPU fails.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/scripts/lib.sh"
visit_start "sh scripts/gpu_python.sh OUTDIR [TEST...] | --dry [OUTDIR [TEST...]]" "$root/build/python-dry" 99 "$@"
[ $dry = 0 ] || shift
[ $# = 0 ] || shift
cd "$root" || exit 1
arguments=${*:+ $*}
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
# Two lines: torch, the package.
versions=$("$python" -c 'import torch, snapmla
print(torch.__version__, f"snapmla {snapmla.version()}", sep="\n")') || die "$python cannot load torch and the package"
torch_version=$(say "$versions" | head -n 1)
device=emulator
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then device=cuda:0; fi
[ "$dry" = 1 ] || [ $device = cuda:0 ] || die "torch sees no GPU; --dry tries the emulator"

parts_start "$out/python.tsv"
parts_origin "sh scripts/gpu_python.sh$([ "$dry" = 0 ] || echo ' --dry') OUTDIR$arguments" "$device" "$(say "$versions" | tail -n 1)"
parts_head torch "$torch_version"
grep '^# ' "$out/python.tsv"
for name in "$@"; do
  begun=$(now)
  timeout -k 5 "${SECONDS_EACH:-120}" "$python" "tests/python/test_$name.py" -v >"$out/python-$name.log" 2>&1
  code=$?
  log=$out/python-$name.log
  result=ok
  [ "$code" = 0 ] || result=failed
  [ "$code" != 124 ] || result=timeout
  tests=$(sed -nE 's/^Ran ([0-9]+) tests? .*/\1/p' "$log" | tail -n 1)
  skipped=$(sed -nE 's/^(OK|FAILED) \(.*skipped=([0-9]+).*/\2/p' "$log" | tail -n 1)
  passed=$(grep -cE '(^|\.\.\. )ok$' "$log")
  say "$name: $result, exit status $code, $(($(now) - begun)) s; ${tests:-none} ran, $passed passed, ${skipped:-0} skipped"
  sed -nE "s/^.*\.\.\. skipped ['\"](.*)['\"]$/  skipped: \1/p" "$log" | sort -u
  grep -E '^(ERROR|FAIL): |^[A-Za-z_.]*(Error|Exception)' "$log" | head -n 20
  if [ "$dry" = 0 ] && grep -qE "skipped .*(sees no GPU|torch is (missing|not))" "$log"; then
    say "  on a GPU machine nothing may be skipped for want of torch or a GPU"
    result=failed
  fi
  part_record "python-$name" "$result" "$(($(now) - begun))" "${tests:-0}" "$passed" "${skipped:-0}"
done
parts_table | tee "$out/python.txt"
! parts_failed
