#!/bin/sh
# Everything worth knowing from one visit to a Hopper machine that has the CUDA Toolkit and no network, from a portable build
# (`cmake --preset portable && cmake --build --preset portable`, build/portable copied along): conformance, correctness,
# compute-sanitizer, benchmark. Every part runs under a timeout, all of them within nine and a half minutes; a table ends it.
#
#   sh scripts/gpu.sh OUTDIR            on the GPU machine; SNAPMLA_BUILD names another build, SNAPMLA_GPU another device
#   sh scripts/gpu.sh --dry [OUTDIR]    without a GPU: the same script on the emulator, what needs a GPU left out and said
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/scripts/lib.sh"
visit_start "sh scripts/gpu.sh OUTDIR | --dry [OUTDIR]" "$root/build/gpu-dry" 1 "$@"
cd "$root" || exit 1

visit_build
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
export PATH

parts_start "$out/parts.tsv" "$out" 560
parts_origin "sh scripts/gpu.sh$([ "$dry" = 0 ] || echo ' --dry') OUTDIR" "$device" "$("$program" --version)"

say "device $device, build $build, output $out"
{ date -u; uname -srm; nvidia-smi; nvidia-smi -q -d CLOCK,POWER; } >"$out/machine.log" 2>&1 || true

part doctor 30 "$program" doctor
"$program" doctor --json >"$out/doctor.json" 2>/dev/null || true

# A first run compiles the kernels: no later part pays for it, and where it fails nothing later can work.
if ! part first-run 60 "$program" run --device "$device" --heads 16 --context 700,65 --json && [ "$dry" = 0 ]; then
  parts_table | tee "$out/table.txt"
  die "the program does not run on $device: see $out/first-run.log and $out/doctor.log"
fi

if [ -x "$build/bin/snapmla-conformance" ]; then
  part conformance 60 "$build/bin/snapmla-conformance" --device "$device"
else
  skip conformance "$build/bin/snapmla-conformance is not built"
fi

if [ "$dry" = 1 ]; then
  part benchmark 60 sh scripts/gpu_benchmark.sh "$program" "$device" "$out" one
else
  part benchmark 240 sh scripts/gpu_benchmark.sh "$program" "$device" "$out"
fi

# What stands before the first kernel: cold, warm and packed plans in fresh processes (bench/README.md).
if have python3; then
  part start 60 python3 bench/start/run.py "$build/bin/snapmla-bench-start" --device "$device" --repeat 1
else
  skip start "there is no python3"
fi

part pack 30 sh scripts/gpu_pack.sh "$build" "$device" "$out"

# verify NAME OPTIONS...: against the oracle; the JSON is in the log.
verify() {
  name=verify-$1
  shift
  gpu_part "$name" 60 "$program" verify --device "$device" --json "$@"
}
[ "$dry" = 0 ] || part verify-small 120 "$program" verify --device "$device" --json --heads 16 --context 0,1,65
verify h128 --heads 128 --context 0,1,63,64,65,700,4096
verify h64 --heads 64 --context 0,1,63,64,65,700,4096
verify h16 --heads 16 --context 0,1,63,64,65,700,4096,32768
verify q2-page128 --heads 64 --q-len 2 --page 128 --context 2,65,700,4096
# So long a context that the plan has units whose blocks take turns.
verify q34-h128 --heads 128 --q-len 34 --context 1,34,130,700,4096 --max-context 65536 --data normal --sigma 1
verify q128-h16-bf16 --heads 16 --q-len 128 --format bf16 --context 20,128,700 --data normal --sigma 1
verify rank256 --heads 64 --latent 256 --context 1,65,700,4096
verify rank384-page16 --heads 64 --latent 384 --page 16 --context 1,17,700,4096
verify rank128-page32 --heads 64 --latent 128 --page 32 --context 1,33,700,4096
for format in bf16 fp8_tensor fp8_tile; do
  verify "$format-h128" --format "$format" --heads 128 --context 0,1,63,64,65,700,4096
  verify "$format-h16-page16" --format "$format" --heads 16 --page 16 --context 0,1,17,700,4096
done
verify sparse-h128 --heads 128 --sparse 2048 --context 0,1,63,700,4096
for format in fp8_tile fp8_tensor bf16 fp8_token_r4; do
  verify "sparse-$format-h128" --format "$format" --heads 128 --sparse 300 --context 0,1,63,700
  verify "sparse-$format-h16-page16" --format "$format" --heads 16 --page 16 --sparse 300 --context 1,65,700
done
for rope in 0 32 128; do
  verify "rope$rope-h64" --heads 64 --rope $rope --context 0,1,63,65,700,4096
  verify "rope$rope-bf16-h16" --heads 16 --rope $rope --format bf16 --context 0,1,63,65,700
  verify "sparse-rope$rope-h128" --heads 128 --rope $rope --sparse 300 --context 0,1,63,700
  verify "sparse-rope$rope-fp8_tensor-h64" --heads 64 --rope $rope --format fp8_tensor --sparse 300 --context 0,1,63,700
  for format in bf16 fp8_token_r4; do
    verify "sparse-rope$rope-$format-h16-page16" --heads 16 --rope $rope --format $format --page 16 --sparse 300 --context 1,65,700
  done
done
for level in balanced max; do
  verify "fp8_tile-$level-h16" --heads 16 --format fp8_tile --accuracy $level --context 0,1,63,65,700
done
# One request of a million tokens: the oracle's part of it takes most of the time, on all cores.
verify h16-1M --heads 16 --context 1048576 --data normal --sigma 1 --value-offset 1
verify sparse-h16-q2-page16 --heads 16 --q-len 2 --page 16 --sparse 300 --context 2,65,700,4096

# The layer step, against its reference; then its times.
layer() {
  name=layer-$1
  shift
  gpu_part "$name" 30 "$program" layer --device "$device" --json "$@"
}
[ "$dry" = 0 ] || part layer-small 60 "$program" layer --device "$device" --json --heads 4 --context 0,1,65
layer h128 --heads 128 --context 0,1,65,4096 --layers 4
layer h16-batch64 --heads 16 --batch 64 --context 700
layer h128-fp8 --heads 128 --context 1,700 --q-len 2 --weights fp8
layer h16-output --heads 16 --hidden 7168 --context 1,700
layer h16-output-split --heads 16 --hidden 2048 --batch 64 --context 130
layer h128-output-fp8 --heads 128 --hidden 7168 --context 1,700 --q-len 2 --weights fp8
layer h16-output-cublaslt --heads 16 --hidden 7168 --batch 3 --context 700 --output-by cublaslt
layer h64-nope192 --heads 64 --nope 192 --v 256 --latent 512 --weights fp8 --rope-pairs half --context 65,700
for format in bf16 fp8_tensor; do
  layer "$format" --format "$format" --heads 64 --context 1,65,700
done
if [ "$dry" = 1 ]; then
  part layer-times 60 "$build/bin/snapmla-bench-layer" --device "$device" --small --csv "$out/layer-one-shape.csv"
else
  # All its shapes would take minutes: bench/README.md.
  part layer-times 45 "$build/bin/snapmla-bench-layer" --device "$device" --shape 1,128,131072 --layers 8 --csv "$out/layer-one-shape.csv"
  for by in generated cublaslt; do
    part "layer-output-$by" 30 "$build/bin/snapmla-bench-layer" --device "$device" --shape 1,16,8192 --layers 8 --hidden 7168 --only bf16,bf16 \
      --output-by $by --csv "$out/layer-output-$by.csv"
  done
fi

# Bits that must not change: over calls and replays on concurrent streams, and of one capture over all lengths. Further visits go
# on from the state file of the first (bench/README.md). The limits are those of an opening that compiles slowly, behind which each problem
# has its turn all the same.
if [ "$dry" = 1 ]; then
  part soak 90 "$build/bin/snapmla-soak" --device "$device" --small --seconds 2 --state "$out/soak.json"
  part growth 90 "$build/bin/snapmla-growth" --device "$device" --small
else
  part soak 80 "$build/bin/snapmla-soak" --device "$device" --problems 6 --within 32 --state "$out/soak.json"
  # The last of the list, whose rows fill more tiles than any other's.
  part soak-last 25 "$build/bin/snapmla-soak" --device "$device" --problem h96-q8 --within 10 --state "$out/soak.json"
  for heads in 64 128; do
    part "growth-h$heads" 60 "$build/bin/snapmla-growth" --device "$device" --heads $heads
  done
fi

# sanitize NAME SECONDS TOOLS KERNELS COMMAND...: the tools of compute-sanitizer over a command, a part each; of the kernels named KERNELS
# alone, or of all (-). racecheck knows no transaction barrier: where one lane arrives for its warp, as everywhere in mla_decode, it calls
# each hand-over a race. That kernel's hand-overs are checked by the emulator, those of all others here too.
exclude=$(compute-sanitizer --help 2>&1 | grep -oE -- '--kernel-(name|regex)-exclude' | head -n 1)
exclude=${exclude:---kernel-name-exclude}
sanitize() {
  subject=$1 seconds=$2 tools=$3 kernels=$4
  shift 4
  for tool in $tools; do
    only=
    if [ "$kernels" != - ]; then
      only="${exclude%-exclude} kernel_substring=$kernels"
    elif [ "$tool" = racecheck ]; then
      only="$exclude kernel_substring=mla_decode"
    fi
    if [ "$dry" = 0 ] && ! have compute-sanitizer; then
      skip "sanitizer-$subject-$tool" "compute-sanitizer is neither in PATH nor in CUDA_HOME/bin"
    else
      # shellcheck disable=SC2086 # an option and its value
      gpu_part "sanitizer-$subject-$tool" "$seconds" compute-sanitizer --tool "$tool" $only --error-exitcode 9 "$@"
    fi
  done
}
all_tools="memcheck racecheck synccheck initcheck"
run="$program run --device $device --repeat 1 --no-check --json"
# shellcheck disable=SC2086 # words
{
  sanitize h64 45 "$all_tools" - $run --heads 64 --context 65,1,130
  sanitize h16 20 "$all_tools" - $run --heads 16 --context 700,1,130
  sanitize sparse 20 "$all_tools" - $run --heads 16 --sparse 96 --context 700,1,130
  sanitize sinks 20 "$all_tools" - $run --heads 64 --sinks --context 700,1,130
  sanitize batch-invariant 20 "memcheck synccheck initcheck" - $run --heads 64 --batch-invariant --context 2100,1,130
  for format in bf16 fp8_tensor fp8_tile fp8_token_r4; do
    sanitize "$format-h64" 20 "memcheck synccheck initcheck" - $run --heads 64 --format $format --context 65,1,130
    sanitize "$format-sparse-h16" 20 "memcheck synccheck initcheck" - $run --heads 16 --format $format --sparse 96 --context 700,1,130
  done
  sanitize max-h16 20 "memcheck synccheck initcheck" - $run --heads 16 --format fp8_tile --accuracy max --context 65,1,130
}
sanitize layer 20 "$all_tools" - "$program" layer --device "$device" --json --heads 4 --context 65,1 --hidden 136 --weights fp8 --repeat 1

SNAPMLA_TEST_TARGET=$device
export SNAPMLA_TEST_TARGET
# kv_fetch and shard_merge have neither shared memory nor barriers: what the other two tools look for is asked last.
tests=$build/bin/tests
sanitize merge 20 "memcheck initcheck" shard_merge "$tests/test_templates_shard_merge" merges_as_double_precision empty_shards_are_not_looked_at
sanitize fetch 40 "memcheck initcheck" kv_fetch "$tests/test_templates_layer_cache" cached_tokens_come_back tokens_move_bit_for_bit
gpu_part layer-tests 60 sh scripts/gpu_tests.sh "$build" templates_layer templates_layer_cache

# Last: the test programs take what is left, and most of them take it; the longest comes after the others.
if [ "$dry" = 1 ]; then
  # ctest runs the others on the emulator, where they take minutes.
  part tests 100 sh scripts/gpu_tests.sh "$build" runtime_plan runtime_threads
else
  for each in $gpu_test_programs; do
    [ "$each" = templates_decode ] || part "test-$each" 60 "$tests/test_$each"
  done
fi
sanitize merge 20 "racecheck synccheck" shard_merge "$tests/test_templates_shard_merge" merges_as_double_precision empty_shards_are_not_looked_at
sanitize fetch 40 "racecheck synccheck" kv_fetch "$tests/test_templates_layer_cache" cached_tokens_come_back tokens_move_bit_for_bit
gpu_part test-templates_decode 120 "$tests/test_templates_decode"

rm -rf "$out/tmp"
parts_table | tee "$out/table.txt"
if parts_failed; then
  say "FAILED: the logs are in $out"
  exit 1
fi
