#!/bin/sh
# pack_strace.sh STRACE SNAPMLA SNAPMLA-RUN WORK: running a pack opens no file for writing, makes none, starts no
# process, and opens neither NVRTC nor Lua.
set -eu
strace=$1 snapmla=$2 run=$3 work=$4

rm -rf "$work"
mkdir -p "$work"
problem='--heads 16 --latent 256'
# shellcheck disable=SC2086 # the options are words
SNAPMLA_CACHE_DIR=$work/cache "$snapmla" export $problem --batch 2 --max-context 512 --target emulator -o "$work/p.smlapack" >/dev/null

traced() { # NAME COMMAND...: the system calls that open, make or change files or start something
  name=$1
  shift
  "$strace" -f -qq -o "$work/$name.trace" -e trace=%file,%process,memfd_create "$@" >"$work/$name.out" 2>"$work/$name.err" ||
    { cat "$work/$name.err"; return 1; }
}
# This test sees what it looks for where it is done: compiling opens files for writing, and starts processes.
# shellcheck disable=SC2086
traced compiled env SNAPMLA_CACHE_DIR="$work/other" TMPDIR="$work" "$snapmla" run $problem --context 100,30 --device emulator --emulator-sms 8
grep -qE 'O_WRONLY|O_RDWR|O_CREAT' "$work/compiled.trace" || { echo "strace shows no write where there are some"; exit 1; }

check() { # NAME
  trace=$work/$1.trace
  grep -q 'p.smlapack' "$trace" || { echo "$1: the pack was not opened: this test looks at nothing"; exit 1; }
  for pattern in 'O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE' '^[0-9]+ +(creat|mkdir|mkdirat|rename|renameat|renameat2|link|linkat|symlink|symlinkat|unlink|unlinkat|rmdir|mknod|mknodat|truncate|chmod|fchmodat|chown|fchownat)\(' \
    'nvrtc' 'liblua' '(^[0-9]+ +| )(fork|vfork)\(' 'lib/gcc|/cc1|/g\+\+|/clang'; do
    if grep -E "$pattern" "$trace"; then
      echo "$1: running a pack does what it must not ($pattern)"
      exit 1
    fi
  done
  # The program itself is the one execve (strace's), and threads are the only clones.
  [ "$(grep -c 'execve(' "$trace")" -le "$2" ] || { echo "$1: it starts programs"; grep 'execve(' "$trace"; exit 1; }
  if grep -E 'clone3?\(' "$trace" | grep -v CLONE_THREAD; then
    echo "$1: it starts processes"
    exit 1
  fi
}
# shellcheck disable=SC2086
traced strict "$run" --pack "$work/p.smlapack" --strict --allow-host-code $problem --context 100,30 --device emulator --emulator-sms 8
check strict 1
grep -q '^ok' "$work/strict.out"
echo "no file written, no process started, no NVRTC, no Lua: $(grep -c . "$work/strict.trace") calls looked at"
