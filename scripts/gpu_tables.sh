#!/bin/sh
# What docs/performance.md's tables of times, docs/tuning.md and the shipped wisdom are made of, from a portable build on a GPU (`cmake --preset
# portable -DSNAPMLA_TESTS=ON && cmake --build --preset portable`, build/portable copied along): after a change of templates, in one visit. Needs
# python3, no packages. Every part runs under a timeout; a table ends it.
#
#   sh scripts/gpu_tables.sh OUTDIR [PART...]     within 575 seconds; SNAPMLA_BUILD names another build, SNAPMLA_GPU another device
#   sh scripts/gpu_tables.sh --dry [OUTDIR [PART...]]   without a GPU: tiny sizes on the emulator, what needs a GPU left out and said
#
# Parts, as they are named, or the first four: tune (OUTDIR/wisdom.json; the parts after it use it), benchmark (scripts/gpu_benchmark.sh), rows (rows.csv),
# clocks (clocks.csv), power (power.csv), regret (regret.csv), layer (layer.csv). What to do with the files is said at the end.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/scripts/lib.sh"
visit_start "sh scripts/gpu_tables.sh OUTDIR [PART...] | --dry [OUTDIR [PART...]]" "$root/build/tables-dry" 99 "$@"
[ $dry = 0 ] || shift
[ $# = 0 ] || shift
cd "$root" || exit 1

visit_build
have python3 || die "there is no python3, which tuning and the times by rows need: install it, it takes no packages"

arguments=${*:+ $*}
[ $# -gt 0 ] || set -- tune benchmark rows clocks
for name in "$@"; do
  case $name in
  tune | benchmark | rows | clocks | power | regret | layer) ;;
  *) die "$name is no part: tune, benchmark, rows, clocks, power, regret or layer" ;;
  esac
done

parts_start "$out/tables.tsv" "$out" 575
parts_origin "sh scripts/gpu_tables.sh$([ "$dry" = 0 ] || echo ' --dry') OUTDIR$arguments" "$device" "$("$program" --version)"
small=
[ "$dry" = 0 ] || small=--small

for each in "$@"; do
  case $each in
  tune)
    if gpu_part tune 300 env SNAPMLA="$program" sh scripts/tune_shipped.sh "$out/wisdom.json" "$device"; then
      [ "$dry" = 1 ] || part import 20 "$program" import --file "$out/wisdom.json"
    fi
    ;;
  benchmark)
    if [ "$dry" = 1 ]; then
      part benchmark 60 sh scripts/gpu_benchmark.sh "$program" "$device" "$out" one
    else
      part benchmark 240 sh scripts/gpu_benchmark.sh "$program" "$device" "$out"
    fi
    ;;
  # shellcheck disable=SC2086 # none or one word
  rows) part rows 200 python3 bench/tune/rows.py --device "$device" $small --build "$build" "$out/rows.csv" ;;
  clocks) gpu_part clocks 60 python3 bench/decode/clocks.py "$build/bin/snapmla-bench-decode" "$out/clocks.csv" ;;
  power) gpu_part power 120 "$build/bin/snapmla-bench-power" --device "$device" --csv "$out/power.csv" ;;
  # A store of its own: what was tuned here before is not to be found.
  regret) gpu_part regret 120 env SNAPMLA_CACHE_DIR="$out/cache-regret" "$build/bin/snapmla-bench-regret" --device "$device" --csv "$out/regret.csv" ;;
  layer) gpu_part layer 120 "$build/bin/snapmla-bench-layer" --device "$device" --hidden 7168 --csv "$out/layer.csv" ;;
  esac
done

rm -rf "$out/tmp"
parts_table | tee "$out/table.txt"
if parts_failed; then
  say "FAILED: the logs are in $out"
  exit 1
fi
[ "$dry" = 1 ] || say "where the tree is: wisdom.json to autotune/wisdom/DEVICE.json, rows.csv to docs/performance/DEVICE/, then python3 bench/renew_page.py DEVICE $out and python3 bench/accuracy/options.py"
