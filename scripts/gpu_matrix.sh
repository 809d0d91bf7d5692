#!/bin/sh
# What gpu.sh has no time for: every pair of the decode kernel's options, on a GPU, from a portable build (`cmake --preset portable
# -DSNAPMLA_TESTS=ON && cmake --build --preset portable`, build/portable copied along). The covering set of variants, the matrix of
# batches, query lengths and heads, and the programs of formats, levels, lists, sinks and the layer's products, each under a timeout; a table
# ends it. Needs python3 for the covering set, no packages.
#
#   sh scripts/gpu_matrix.sh OUTDIR [PART...]     within 570 seconds; SNAPMLA_BUILD names another build, SNAPMLA_GPU another device
#   sh scripts/gpu_matrix.sh --dry [OUTDIR [PART...]]   without a GPU: a few variants of the covering set on the emulator
#
# Parts: covering and the names of test programs, as below. What one visit had no time for, another with those parts and an OUTDIR of its own
# goes on with.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/scripts/lib.sh"
visit_start "sh scripts/gpu_matrix.sh OUTDIR [PART...] | --dry [OUTDIR [PART...]]" "$root/build/matrix-dry" 99 "$@"
[ $dry = 0 ] || shift
[ $# = 0 ] || shift
cd "$root" || exit 1

visit_build
covering=$build/bin/covering
[ -x "$covering" ] || die "$covering is not there: cmake --preset portable -DSNAPMLA_TESTS=ON && cmake --build --preset portable"
SNAPMLA_TEST_TARGET=$device
export SNAPMLA_TEST_TARGET

arguments=${*:+ $*}
[ $# -gt 0 ] || set -- covering runtime_matrix templates_formats templates_levels templates_sparse_formats templates_sinks templates_layer_output \
  templates_layer_fused templates_query_tokens
for name in "$@"; do
  [ "$name" = covering ] || [ -x "$build/bin/tests/test_$name" ] || die "$name is neither covering nor a test program of $build/bin/tests"
done

parts_start "$out/matrix.tsv" "$out" 570
parts_origin "sh scripts/gpu_matrix.sh$([ "$dry" = 0 ] || echo ' --dry') OUTDIR$arguments" "$device" "$("$program" --version)"
for each in "$@"; do
  if [ "$each" = covering ]; then
    if ! have python3; then
      skip covering "there is no python3"
    elif [ "$dry" = 1 ]; then
      part covering 120 python3 tests/templates/covering.py "$covering" "$program" --sample 40
    else
      part covering 200 python3 tests/templates/covering.py "$covering" "$program" --device "$device"
    fi
  elif [ "$dry" = 1 ]; then
    skip "$each" "ctest runs it on the emulator"
  else
    part "$each" 200 "$build/bin/tests/test_$each"
  fi
done

rm -rf "$out/tmp"
parts_table | tee "$out/matrix.txt"
if parts_failed; then
  say "FAILED: the logs are in $out"
  exit 1
fi
