#!/bin/sh
# gpu_benchmark.sh PROGRAM DEVICE OUT [one]: measures the ceilings into OUT/ceilings.csv, then times the decode step against
# its targets and those ceilings into OUT/decode.csv, with the programs beside PROGRAM; `one`: tiny sizes, to try the script
# itself. bench/README.md says what the figures mean.
set -u
programs=$(dirname "$1") device=$2 out=$3 only=${4:-all}
. "$(dirname "$0")/lib.sh"

small=
[ "$only" = all ] || small=--small
for program in snapmla-ceilings snapmla-bench-decode; do
  [ -x "$programs/$program" ] || die "$programs/$program is not there: build with SNAPMLA_TESTS=ON"
done

failed=0
say "== ceilings"
timeout -k 5 110 "$programs/snapmla-ceilings" --device "$device" $small --csv "$out/ceilings.csv" </dev/null || {
  say "FAILED: snapmla-ceilings"
  failed=1
}
say
say "== decode"
# Where the ceilings failed there are times without percentages.
set -- --device "$device" $small --set all --flush both --csv "$out/decode.csv"
[ "$failed" = 1 ] || set -- "$@" --ceilings "$out/ceilings.csv"
timeout -k 5 120 "$programs/snapmla-bench-decode" "$@" </dev/null || {
  say "FAILED: snapmla-bench-decode"
  failed=1
}
# The baseline that the FP8 gain is held against, and what engines' FP8 caches hold.
for format in bf16 fp8_tensor; do
  say
  say "== decode, $format"
  set -- --device "$device" $small --format "$format" --flush read --csv "$out/decode-$format.csv"
  [ "$failed" = 1 ] || set -- "$@" --ceilings "$out/ceilings.csv"
  timeout -k 5 60 "$programs/snapmla-bench-decode" "$@" </dev/null || {
    say "FAILED: snapmla-bench-decode --format $format"
    failed=1
  }
done
exit $failed
