#!/bin/sh
# gpu_benchmark.sh PROGRAM DEVICE OUT [one]: measures the ceilings into OUT/ceilings.csv, then times the decode step against
# its targets and those ceilings into OUT/decode.csv, and into OUT/decode-NAME.csv in the other formats, at the other levels and with
# several query tokens, with the programs beside PROGRAM; `one`: tiny sizes, to try the script itself. bench/README.md says what the
# figures mean, and how long it takes.
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
no_ceilings=$failed # 1: there are times without percentages

# decode FILE SECONDS OPTIONS...: the decode benchmark into OUT/FILE.csv.
decode() {
  file=$1 limit=$2
  shift 2
  say
  say "== $file"
  [ "$no_ceilings" = 1 ] || set -- "$@" --ceilings "$out/ceilings.csv"
  timeout -k 5 "$limit" "$programs/snapmla-bench-decode" --device "$device" $small --csv "$out/$file.csv" "$@" </dev/null || {
    say "FAILED: snapmla-bench-decode $*"
    failed=1
  }
}

decode decode 120 --set all --flush both
# The baseline that the FP8 gain is held against, what engines' FP8 caches hold, DeepSeek's layout, and the precision of bf16.
for format in bf16 fp8_tensor fp8_tile fp8_token_r4; do
  decode "decode-$format" 60 --format "$format"
done
for level in balanced max; do
  decode "decode-$level" 60 --accuracy "$level"
done
decode decode-speculative 60 --set speculative
exit $failed
