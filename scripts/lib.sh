# What the scripts share; read with `. scripts/lib.sh` from the repository's root. POSIX sh.

# Debian keeps some administration commands where a plain user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
now() { date +%s; }
cores() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "'$*' needs root, and there is no sudo: run it as root once, then this script again"
  fi
}

# need_packages PACKAGE...: installs the Debian packages that are missing.
need_packages() {
  if ! have dpkg-query; then
    say "not a Debian system: install what corresponds to $* yourself if the build asks for it"
    return 0
  fi
  missing=
  for package; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
    *' installed') ;;
    *) missing="$missing $package" ;;
    esac
  done
  if [ -z "$missing" ]; then
    say "packages: all there"
    return 0
  fi
  say "packages: installing$missing"
  mkdir -p build
  # shellcheck disable=SC2086 # a list of words
  if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    $missing; } >build/apt.log 2>&1; then
    tail -n 20 build/apt.log >&2
    die "apt-get could not install$missing (the whole log: build/apt.log)"
  fi
}

build_packages='gcc g++ cmake ninja-build pkg-config liblua5.4-dev libjansson-dev libsodium-dev libzstd-dev'

# nvrtc_here: true where a CUDA Toolkit or an NVRTC wheel of build/cuda-venv is found.
nvrtc_here() {
  for root in "${CUDAToolkit_ROOT:-}" "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda build/cuda-venv/lib/python3*/site-packages/nvidia/*; do
    [ -n "$root" ] || continue
    for file in "$root"/lib64/libnvrtc.so.1[23] "$root"/lib/libnvrtc.so.1[23]; do
      [ -e "$file" ] && return 0
    done
  done
  [ -n "${SNAPMLA_NVRTC:-}" ] && [ -e "$SNAPMLA_NVRTC" ]
}

# The wheel of NVRTC whose kernels this machine's driver can load: a driver before 580 (CUDA 13.0) needs CUDA 12's.
nvrtc_wheel() {
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 | cut -d. -f1)
  case $driver in
  '' | *[!0-9]*) echo nvidia-cuda-nvrtc ;;
  *) if [ "$driver" -lt 580 ]; then echo nvidia-cuda-nvrtc-cu12; else echo nvidia-cuda-nvrtc; fi ;;
  esac
}

# need_nvrtc: gets NVRTC from PyPI into build/cuda-venv where no toolkit is found, and lets programs find it.
need_nvrtc() {
  if ! nvrtc_here; then
    need_packages python3-venv
    wheel=$(nvrtc_wheel)
    say "NVRTC: installing the PyPI wheel $wheel into build/cuda-venv"
    mkdir -p build
    if ! { python3 -m venv build/cuda-venv && build/cuda-venv/bin/pip install --disable-pip-version-check "$wheel"; } \
      >build/pip.log 2>&1; then
      tail -n 20 build/pip.log >&2
      die "pip could not install $wheel (the whole log: build/pip.log); or set CUDAToolkit_ROOT to a CUDA Toolkit"
    fi
    nvrtc_here || die "$wheel is installed, but no libnvrtc.so.12 or .13 lies in build/cuda-venv"
  fi
  for file in build/cuda-venv/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23]; do
    if [ -e "$file" ] && [ -z "${SNAPMLA_NVRTC:-}" ]; then
      SNAPMLA_NVRTC=$PWD/$file
      export SNAPMLA_NVRTC
    fi
  done
}

# need_nvdisasm: gets the disassembler that the test of spills reads kernels with, where none is found.
need_nvdisasm() {
  command -v nvdisasm >/dev/null && return
  for root in "${CUDAToolkit_ROOT:-}" "${CUDA_HOME:-}" /usr/local/cuda build/cuda-venv/lib/python3*/site-packages/nvidia/*; do
    [ -x "$root/bin/nvdisasm" ] && return
  done
  need_packages python3-venv
  say "nvdisasm: installing the PyPI wheel nvidia-cuda-nvdisasm into build/cuda-venv"
  mkdir -p build
  if ! { { [ -x build/cuda-venv/bin/pip ] || python3 -m venv build/cuda-venv; } &&
    build/cuda-venv/bin/pip install --disable-pip-version-check nvidia-cuda-nvdisasm; } >build/pip-nvdisasm.log 2>&1; then
    tail -n 20 build/pip-nvdisasm.log >&2
    die "pip could not install nvidia-cuda-nvdisasm (the whole log: build/pip-nvdisasm.log)"
  fi
}

# python_with_library LIBRARY SCRATCH: every Python started from here on finds the package of this source tree, with that build of the
# library. Of the libraries carried beside it only those are taken that this machine lacks, by links in SCRATCH/lib: the others would come
# before its own, for PyTorch too.
python_with_library() {
  mkdir -p "$2/lib"
  for file in $(ldd "$1" | awk '/not found/ { print $1 }'); do
    [ -e "$(dirname "$1")/$file" ] || die "$1 needs $file, which is neither here nor beside it: sh scripts/carry_library.sh gathers both"
    ln -sf "$(cd "$(dirname "$1")" && pwd)/$file" "$2/lib/"
  done
  SNAPMLA_LIBRARY=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
  LD_LIBRARY_PATH=$2/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  PYTHONPATH=$PWD/python${PYTHONPATH:+:$PYTHONPATH}
  PYTHONDONTWRITEBYTECODE=1
  export SNAPMLA_LIBRARY LD_LIBRARY_PATH PYTHONPATH PYTHONDONTWRITEBYTECODE
}

# json_field NAME: the first value of that name in the JSON on standard input, without quotes.
json_field() {
  tr '\n' ' ' | awk -v name="$1" '{
    if (!match($0, "\"" name "\": *(\"[^\"]*\"|[^], }]*)")) exit 1
    value = substr($0, RSTART, RLENGTH)
    sub("^\"" name "\": *", "", value)
    gsub("\"", "", value)
    print value
  }'
}

# visit_start USAGE FOLDER MOST ARGUMENT...: what the scripts for a GPU machine begin with, `[--dry] OUTDIR` and more, MOST arguments in all. Sets
# `dry`, 0 or 1, and `out`, OUTDIR as a full path, made if it is not there; with --dry it may be left out, and is FOLDER then.
visit_start() {
  usage=$1 fallback=$2 most=$3 dry=0
  shift 3
  if [ "${1:-}" = --dry ]; then
    dry=1
    shift
    [ $# -gt 0 ] || set -- "$fallback"
  fi
  if [ $# = 0 ] || [ $# -gt "$most" ]; then
    echo "usage: $usage" >&2
    exit 2
  fi
  mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
}

# visit_build: and what they go on with, in the tree's root. Sets `build`, `program` and `device`; nothing outside `out` is written from here on.
visit_build() {
  build=${SNAPMLA_BUILD:-build/portable}
  program=$build/bin/snapmla
  [ -x "$program" ] || die "$program is not there: cmake --preset portable -DSNAPMLA_TESTS=ON && cmake --build --preset portable"
  device=${SNAPMLA_GPU:-cuda:0}
  [ "$dry" = 0 ] || device=emulator
  SNAPMLA_CACHE_DIR=$out/cache TMPDIR=$out/tmp
  export SNAPMLA_CACHE_DIR TMPDIR
  mkdir -p "$TMPDIR"
}
# On the emulator, left out with the reason; else part.
gpu_part() {
  if [ "$dry" = 1 ]; then skip "$1" "it needs a GPU"; else part "$@"; fi
}

# The test programs that gpu.sh runs on a GPU, and gpu_tests.sh where none is named.
# shellcheck disable=SC2034
gpu_test_programs="runtime_plan runtime_threads templates_sparse templates_shards templates_shard_merge templates_decode"

# The table of parts: parts_start FILE [LOGS SECONDS], a folder for what parts say and what all may take; parts_head NAME TEXT…, head lines
# `# NAME: TEXT`; part_record NAME RESULT SECONDS [MORE…]. Then parts_table.
parts_file=
parts_start() {
  parts_file=$1 parts_logs=${2:-} parts_begun=$(now)
  parts_end=$((parts_begun + ${3:-0}))
  : >"$parts_file"
}
parts_head() { printf '# %s: %s\n' "$1" "$2" >>"$parts_file"; }
part_record() {
  printf '%s' "$1" >>"$parts_file"
  shift
  printf '\t%s' "$@" >>"$parts_file"
  printf '\n' >>"$parts_file"
}
parts_table() {
  awk -F '\t' -v total="$(($(now) - parts_begun))" '
    BEGIN { printf "\n%-34s %-10s %7s\n", "part", "result", "seconds" }
    /^#/ { next }
    { printf "%-34s %-10s %7d\n", $1, $2, $3 }
    END { printf "%-34s %-10s %7d\n", "total", "", total }' "$parts_file"
}
# part NAME SECONDS COMMAND...: one part under its timeout, or what the whole has left; its output in LOGS/NAME.log. What the end of
# the whole cut off has not failed.
part() {
  name=$1 limit=$2 late=timeout
  shift 2
  left=$((parts_end - $(now)))
  if [ "$left" -lt 5 ]; then
    skip "$name" "no time left"
    parts_unfinished="${parts_unfinished:-} $name"
    return 1
  fi
  [ "$limit" -le "$left" ] || { limit=$left late="cut off"; }
  begun=$(now)
  timeout -k 5 "$limit" "$@" >"$parts_logs/$name.log" 2>&1
  code=$?
  case $code in
  0) result=ok ;;
  124) result=$late ;;
  137) result=timeout ;; # it did not end when it was told to, or was killed: no lack of time is that
  *) result=failed ;;
  esac
  part_record "$name" "$result" "$(($(now) - begun))"
  [ "$result" != "cut off" ] || parts_unfinished="${parts_unfinished:-} $name"
  say "$name: $result, $(($(now) - begun)) s"
  if [ "$result" != ok ]; then
    say "--- the end of $parts_logs/$name.log"
    tail -n 15 "$parts_logs/$name.log"
    say "---"
  fi
  [ "$result" = ok ]
}
# skip NAME WHY: a part that is left out.
skip() {
  say "$1: left out, $2"
  part_record "$1" "left out" 0
}
# A table that is gone, or in which nothing went well, has not passed. What there was no time for fails nothing, but is told.
parts_failed() {
  [ -z "${parts_unfinished:-}" ] || say "no time was left for:$parts_unfinished"
  ! awk -F '\t' '$2 == "ok" { well++ } $2 == "failed" || $2 == "timeout" { n++ } END { exit n || !well }' "$parts_file"
}

# parts_origin COMMAND DEVICE VERSION: the head of a table that docs/performance keeps. DEVICE: cuda:N or emulator; VERSION: as the program
# tells it, to which the commit is added where the sources are a checkout. What nvidia-smi does not tell is left out.
parts_origin() {
  parts_head date "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  parts_head command "$1"
  product=
  case $2 in
  cuda:*) product=$(nvidia-smi -i "${2#cuda:}" --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1) ;;
  *) parts_head device "$2" ;;
  esac
  if [ -n "$product" ]; then
    parts_head device "$2, ${product%, *}"
    parts_head "driver release" "${product##*, }"
  fi
  commit=$(git rev-parse --short=12 HEAD 2>/dev/null) && commit=", commit $commit"
  if [ -n "$commit" ] && [ -n "$(git status --porcelain -uno 2>/dev/null)" ]; then commit="$commit and changes"; fi
  parts_head build "$3$commit"
}
