#!/bin/sh
# Renews the wisdom that ships after templates were edited, where what was timed is still the same program:
# sh scripts/renew_wisdom.sh [--from REVISION] [FILE...]
#
# A measurement carries a digest of the templates that its kernels are made of (docs/tuning.md). The revision with those templates is looked
# for among the last LAST (1000) commits of this branch; --from names one instead, at which the wisdom was right whatever its digest
# says: your word. Every kernel that a measurement timed is then expanded from the templates of that revision and from those of
# the working tree. Where all are the same text but for comments and blanks, or else (NVRTC) the same machine code, the measurement
# gets the new digest and key; where one is not, it is named and left as it is. FILEs are autotune/wisdom/*.json unless given.
# SNAPMLA_RENEW names the program (build/release/bin/snapmla-renew-wisdom, of the tests' build).
#
# exit: 0 all wisdom is of the working tree's templates, 1 some is not, 2 the command line or something needed is wrong
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
fail() {
  echo "renew_wisdom: $*" >&2
  exit 2
}

from=
if [ "${1:-}" = --from ]; then
  [ $# -ge 2 ] || fail "--from needs a revision"
  from=$2
  shift 2
fi
case ${1:-} in
-*) fail "usage: sh scripts/renew_wisdom.sh [--from REVISION] [FILE...]" ;;
'') set -- autotune/wisdom/*.json ;;
esac
git rev-parse --quiet --verify HEAD >/dev/null || fail "this is no git repository, and older templates are in its history alone"
program=${SNAPMLA_RENEW:-build/release/bin/snapmla-renew-wisdom}
[ -x "$program" ] || fail "no program at $program: build with -DSNAPMLA_TESTS=ON, or name it in SNAPMLA_RENEW"
if nvrtc_here; then need_nvrtc; fi # without one, only texts are compared
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM

# stale_digests FILE...: those that the measurements have and the working tree has not, into $work/stale.
stale_digests() { "$program" --stale templates "$@" >"$work/stale" || exit 2; }

# unpack TREE: the templates of a git tree, as $work/old.
unpack() {
  rm -rf "$work/old"
  mkdir "$work/old"
  git archive "$1" | tar -x -C "$work/old"
}

# renew OPTION... FILE...: those in the files that were made with $work/old.
renew() {
  code=0
  "$program" "$@" || code=$?
  [ $code -le 1 ] || exit 2
}

stale_digests "$@"
if [ ! -s "$work/stale" ]; then
  echo "all wisdom is of the templates in the working tree"
  exit 0
fi
if [ -n "$from" ]; then
  tree=$(git rev-parse --quiet --verify "$from:templates") || fail "$from is no revision with templates"
  unpack "$tree"
  digest=$("$program" --digest "$work/old") || exit 2
  grep -qxF "$digest" "$work/stale" || echo "the digest of $from is not the wisdom's: that it was right there is your word"
  renew --vouched --renew "$work/old" templates "$@"
else
  cp "$work/stale" "$work/wanted"
  # every tree of templates once, the newest first
  git rev-list --max-count="${LAST:-1000}" HEAD | sed 's/$/:templates/' | git cat-file --batch-check='%(objectname) %(objecttype)' |
    awk '$2 == "tree" && !seen[$1]++ { print $1 }' >"$work/trees"
  while read -r tree && [ -s "$work/wanted" ]; do
    unpack "$tree"
    digest=$("$program" --digest "$work/old" 2>/dev/null) || continue # of a time without these families
    grep -qxF "$digest" "$work/wanted" || continue
    grep -vxF "$digest" "$work/wanted" >"$work/rest" || :
    mv "$work/rest" "$work/wanted"
    echo "made with the templates of tree $(git rev-parse --short "$tree"):"
    renew --renew "$work/old" templates "$@"
  done <"$work/trees"
  while read -r digest; do
    echo "no commit among the last ${LAST:-1000} has templates of the digest $digest: name one with --from"
  done <"$work/wanted"
fi
stale_digests "$@"
[ -s "$work/stale" ] || exit 0
echo "some wisdom is not of the templates in the working tree: where its kernels are others now, tune on such a GPU again" \
  "(sh scripts/tune_shipped.sh FILE)"
exit 1
