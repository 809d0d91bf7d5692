#!/bin/sh
# hostile_store.sh PROGRAM WORK: whatever is wrong with the store's place, the plan is still made, what was stored stays, and
# what happened is said. Needs root, mount namespaces and setpriv for most of it; what it cannot try it names.
set -eu
program=$1 work=$2

if [ "$(id -u)" != 0 ]; then
  echo "skipped: file systems and other users' files need root"
  exit 77
fi
if [ "${3-}" != inside ]; then
  if ! unshare -m true 2>/dev/null; then
    echo "skipped: this system grants no mount namespace"
    exit 77
  fi
  exec unshare -m sh "$0" "$program" "$work" inside
fi
if [ -d "$work" ]; then chmod -R u+w "$work"; rm -rf "$work"; fi
mkdir -p "$work/store" "$work/tmp"
unset XDG_CACHE_HOME SNAPMLA_TEMPLATES
export SNAPMLA_LOG=warning TMPDIR="$work/tmp"

fail() {
  echo "FAILED: $1"
  cat "$work/err" "$work/out"
  exit 1
}
# run PREFIX... -- HEADS: decodes with the store in $cache; what it said is in err.
run() {
  heads=$1
  shift
  "$@" "$program" run --device emulator --emulator-sms 4 --heads "$heads" --latent 128 --context 40 \
    >"$work/out" 2>"$work/err" || fail "no plan was made ($what)"
  grep -q '^ok$' "$work/out" || fail "the result is wrong ($what)"
}
says() { grep -Eq "$1" "$work/err" || fail "nothing says \"$1\" ($what)"; }
silent() { [ ! -s "$work/err" ] || fail "there is something to say ($what)"; }
# What is kept, so that a loss shows.
content() { (cd "$1" && find . -type f ! -path './v1/lock/*' -exec sha256sum {} + | sort -k2); }
tmpfs() { mount -t tmpfs -o "$1" none "$work/store" 2>"$work/err"; }

if tmpfs size=16k; then
  export SNAPMLA_CACHE_DIR="$work/store/cache"
  what="a full file system"
  run 8 env
  says 'No space left'
  "$program" tune --device emulator --emulator-sms 4 --heads 8 --latent 128 --batch 1 --max-context 64 --in-process \
    >"$work/out" 2>"$work/err" || fail "tuning needs a store ($what)"
  says 'No space left'
  what="a file system that was full and has room again"
  mount -o remount,size=64m "$work/store"
  run 8 env
  silent
  [ "$(find "$work/store/cache/v1/obj" -name '*.so' | wc -l)" = 6 ] || fail "the kernels are not stored ($what)"
  [ -z "$(find "$work/store/cache/v1/tmp" -type f -newer "$work/out")" ] || fail "half a file is left ($what)"
  what="a read-only file system"
  content "$SNAPMLA_CACHE_DIR" >"$work/before"
  mount -o remount,ro "$work/store"
  # what is stored there is used: this compiler tells what it is, which the keys need, and compiles nothing
  printf '#!/bin/sh\ncase " $* " in *" -o "*) exit 1 ;; esac\nexec c++ "$@"\n' >"$work/c++"
  chmod 700 "$work/c++"
  run 8 env SNAPMLA_CXX="$work/c++"
  run 16 env
  says 'Read-only file system'
  content "$SNAPMLA_CACHE_DIR" | cmp - "$work/before" || fail "the store is not what it was ($what)"
  umount "$work/store"
else
  echo "not tried: full and read-only file systems: no tmpfs can be mounted here: $(cat "$work/err")"
fi

export SNAPMLA_CACHE_DIR="$work/store/cache"
what="a store of another user"
run 8 env
content "$SNAPMLA_CACHE_DIR" >"$work/before"
chown -R 12345 "$SNAPMLA_CACHE_DIR"
run 8 env
says 'belongs to user 12345'
content "$SNAPMLA_CACHE_DIR" | cmp - "$work/before" || fail "the store is not what it was ($what)"
chown -R 0 "$SNAPMLA_CACHE_DIR"
what="a store that is one's own again"
run 8 env
silent

if ! command -v setpriv >/dev/null; then
  echo "not tried: another user: there is no setpriv (util-linux)"
elif ! setpriv --reuid=65534 --regid=65534 --clear-groups "$program" version >/dev/null 2>&1; then
  echo "not tried: another user: the program is in a directory that it may not enter"
else
  chmod 1777 "$work/tmp"
  what="root's store, for another user"
  run 8 setpriv --reuid=65534 --regid=65534 --clear-groups
  says 'belongs to user 0|Permission denied'
  what="a directory that may not be written"
  mkdir "$work/store/theirs"
  chown 65534:65534 "$work/store/theirs"
  chmod 555 "$work/store/theirs"
  export SNAPMLA_CACHE_DIR="$work/store/theirs"
  run 8 setpriv --reuid=65534 --regid=65534 --clear-groups
  says 'Permission denied'
  [ -z "$(ls -A "$work/store/theirs")" ] || fail "something is in it ($what)"
fi
rm -rf "$work"
echo "plans are made whatever the store is"
