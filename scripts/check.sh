#!/bin/sh
# Sets up a bare Debian 12 (packages, NVRTC) and runs every check there is. Logs go to build/check/.
#
#   sh scripts/check.sh            all
#   sh scripts/check.sh quick      the release build and its tests alone
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

mode=${1:-all}
case $mode in
all | quick) ;;
*) die "usage: sh scripts/check.sh [quick]" ;;
esac

logs=build/check
mkdir -p "$logs"
parts_start "$logs/parts"

# check NAME SECONDS COMMAND...: one part, with its log; its last lines are shown where it fails.
check() {
  name=$1 limit=$2
  shift 2
  step "$name"
  begun=$(now)
  log=$logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9' _).log
  timeout "$limit" "$@" >"$log" 2>&1
  code=$?
  if [ "$code" = 0 ]; then
    result=ok
    grep -E '^[0-9]+% tests passed' "$log"
  elif [ "$code" = 124 ]; then
    result=timeout
  else
    result=failed
  fi
  if [ "$result" != ok ]; then
    tail -n 80 "$log"
    say "$result: $* (the whole log: $log)"
  fi
  part_record "$name" "$result" "$(($(now) - begun))"
  [ "$result" = ok ]
}
skip() {
  say "left out: $1: $2"
  part_record "$1" "left out" 0
}

jobs=$(cores)
configure_and_build() { check "$1: configure" 120 cmake --preset "$1" -DSNAPMLA_TESTS=ON && check "$1: build" 600 cmake --build --preset "$1"; }
run_tests() {
  preset=$1
  shift
  check "$preset: tests" 2400 ctest --preset "$preset" --no-tests=error -j "$jobs" "$@"
}

step "setup"
begun=$(now)
# shellcheck disable=SC2086 # lists of words
need_packages $build_packages libcmocka-dev python3 python3-numpy python3-venv libopenblas0 valgrind strace libc6-dbg lua-check clang-format binutils ca-certificates
need_nvrtc
need_nvdisasm
part_record setup ok "$(($(now) - begun))"

if configure_and_build release; then
  run_tests release -LE 'valgrind|install'
fi
if [ "$mode" = all ]; then
  check "release: installed tree" 300 ctest --preset release --no-tests=error -L install
  check "release: valgrind" 600 ctest --preset release --no-tests=error -j "$jobs" -L valgrind
  if configure_and_build asan-ubsan; then
    # numerics: what kernels compute, whose text no sanitizer instruments; the emulator under them serves templates_sparse and _layer too
    # those benches: minutes of programs that cli_tune, bench_decode and bench_growth_fake_gpu run as well
    run_tests asan-ubsan -LE 'valgrind|tree|headers|install|nvrtc|generated|numerics' -E '^bench_(cold_tunes|headline|growth)$'
  fi
  if configure_and_build portable; then
    run_tests portable -L 'unit|install'
    check "gpu.sh without a GPU" 300 sh scripts/gpu.sh --dry build/gpu-dry
    check "gpu_matrix.sh without a GPU" 120 sh scripts/gpu_matrix.sh --dry build/matrix-dry
    # its benchmark is gpu.sh's
    check "gpu_tables.sh without a GPU" 60 sh scripts/gpu_tables.sh --dry build/tables-dry tune rows clocks power regret layer
  fi
  check "format" 60 sh scripts/format.sh --check
  check "luacheck" 60 sh scripts/lint_lua.sh
fi

parts_table
if parts_failed; then
  say "FAILED: the logs are in $logs"
  exit 1
fi
say "all checks passed"
