#!/bin/sh
# gpu_benchmark.sh PROGRAM DEVICE OUT [one]: times the decode step over the shapes below, into OUT/benchmark.csv; `one`: over
# a single small shape, to try the script itself.
set -u
program=$1 device=$2 out=$3 only=${4:-all}
. "$(dirname "$0")/lib.sh"

# batch heads tokens target_us: the targets are for an H200 with a cold L2, combine included.
shapes='1 16 131072 42
1 64 131072 46
1 128 131072 50
1 128 8192 16
16 64 8192 33
32 64 8192 52
32 64 16384 92
64 64 32768 345
128 16 8192 168
128 128 4096 133
128 128 8192 255
128 128 32768 980
32 128 131072 970'
[ "$only" = all ] || shapes='1 16 65 0'

failed=0
result=$out/benchmark.json
echo "batch,heads,tokens,time_us,time_kind,target_us,bytes,gb_per_s,variant" | tee "$out/benchmark.csv"
while read -r batch heads tokens target; do
  if ! timeout 60 "$program" run --device "$device" --batch "$batch" --heads "$heads" --context "$tokens" --repeat 50 --no-check \
    --json </dev/null >"$result"; then
    echo "FAILED: batch $batch, $heads heads, $tokens tokens"
    failed=1
    continue
  fi
  time=$(json_field time_us <"$result") bytes=$(json_field bytes <"$result")
  rate=$(awk -v bytes="$bytes" -v time="$time" 'BEGIN { if (time > 0) printf "%.0f", bytes / time / 1000 }')
  kind=$(json_field time_kind <"$result") variant=$(json_field variant <"$result")
  echo "$batch,$heads,$tokens,$time,$kind,$target,$bytes,$rate,\"$variant\"" | tee -a "$out/benchmark.csv"
done <<TXT
$shapes
TXT
rm -f "$result"
exit $failed
