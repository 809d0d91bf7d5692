#!/bin/sh
# Renews the wisdom that ships after templates were edited, where what was timed is still the same program:
# sh scripts/renew_wisdom.sh [--same-schedule] [--from REVISION] [--acknowledge REASON] [FILE...]
#
# A measurement carries a digest of the templates that its kernels are made of (docs/tuning.md). The revision with those templates is looked
# for in git's history. Every kernel that a measurement timed is then expanded from the templates of that revision and from those of
# the working tree. Where all are the same text but for comments and blanks, or else (NVRTC) the same machine code, the measurement
# gets the new digest and key; where one is not, it is named and left as it is. FILEs are autotune/wisdom/*.json unless given.
#
# --same-schedule  the schedule kernel, which a tuning launches before what it times, writes what it wrote (the test templates_schedule, its old
#                results beside its new ones): your word. It may then be another program
# --from         a measurement whose digest no revision has was made with the templates of REVISION: your word (edits that were measured
#                before they were committed). One whose digest history knows goes by history, whatever is said
# --acknowledge  writes autotune/wisdom/stale.txt where wisdom that ships stays stale: the digest of today's templates, and why nobody tuned
#                again yet, in one line. The test runtime_shipped_wisdom wants it; plans take such wisdom as near. It goes when nothing is stale
#
# SNAPMLA_RENEW names the program (build/release/bin/snapmla-renew-wisdom, of the tests' build).
# exit: 0 all wisdom is of the working tree's templates, or what ships and is not is acknowledged, 1 some is not, 2 the command line or
# something needed is wrong
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
fail() {
  echo "renew_wisdom: $*" >&2
  exit 2
}

from='' reason='' schedule=''
newline='
'
while :; do
  case ${1:-} in
  --same-schedule)
    schedule=--same-schedule
    shift
    continue
    ;;
  --from)
    from=${2:-}
    [ -n "$from" ] || fail "--from needs a revision"
    ;;
  --acknowledge)
    reason=${2:-}
    case $reason in '' | *"$newline"*) fail "--acknowledge needs a reason, of one line" ;; esac
    ;;
  -*) fail "usage: sh scripts/renew_wisdom.sh [--same-schedule] [--from REVISION] [--acknowledge REASON] [FILE...]" ;;
  *) break ;;
  esac
  shift 2
done
acknowledged=autotune/wisdom/stale.txt # of what ships
if [ $# -gt 0 ]; then
  [ -z "$reason" ] || fail "--acknowledge is of all wisdom that ships: leave the files out"
  acknowledged=
else
  set -- autotune/wisdom/*.json
fi
git rev-parse --quiet --verify HEAD >/dev/null || fail "this is no git repository, and older templates are in its history alone"
program=${SNAPMLA_RENEW:-build/release/bin/snapmla-renew-wisdom}
[ -x "$program" ] || fail "no program at $program: build with -DSNAPMLA_TESTS=ON, or name it in SNAPMLA_RENEW"
if nvrtc_here; then need_nvrtc; fi # without one, only texts are compared
if [ -n "$from" ]; then
  from_tree=$(git rev-parse --quiet --verify "$from:templates") || fail "$from is no revision with templates"
  [ "$(git rev-parse --is-shallow-repository)" = false ] || fail "--from needs the whole history, which says what it is not for: git fetch --unshallow"
fi
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

# renew_by_history FILE...: those whose templates a revision has; the digests that none has stay in $work/wanted.
renew_by_history() {
  cp "$work/stale" "$work/wanted"
  # every tree of templates once, the newest first
  git rev-list HEAD --all | sed 's/$/:templates/' | git cat-file --batch-check='%(objectname) %(objecttype)' |
    awk '$2 == "tree" && !seen[$1]++ { print $1 }' >"$work/trees"
  while read -r tree && [ -s "$work/wanted" ]; do
    unpack "$tree"
    digest=$("$program" --digest "$work/old" 2>/dev/null) || continue # of a time without these families
    grep -qxF "$digest" "$work/wanted" || continue
    grep -vxF "$digest" "$work/wanted" >"$work/rest" || :
    mv "$work/rest" "$work/wanted"
    echo "made with the templates of tree $(git rev-parse --short "$tree"):"
    renew $schedule --renew "$work/old" templates "$@"
  done <"$work/trees"
}

# renew_by_word FILE...: those of the digests in $work/wanted.
renew_by_word() {
  unpack "$from_tree"
  while read -r digest; do
    echo "no revision has templates of the digest $digest: that they are those of $from is your word"
    renew --vouched "$digest" $schedule --renew "$work/old" templates "$@"
  done <"$work/wanted"
}

# acknowledge: writes down that wisdom which ships is stale.
acknowledge() {
  {
    echo "# Wisdom that ships here was measured with other templates than the tree's, and plans take it as near (docs/tuning.md)."
    echo "# Written by: sh scripts/renew_wisdom.sh --acknowledge REASON"
    echo "templates $("$program" --digest templates)"
    echo "reason $reason"
  } >"$work/acknowledged"
  cp "$work/acknowledged" "$acknowledged"
  echo "wrote $acknowledged"
}

stale_digests "$@"
if [ -s "$work/stale" ]; then
  renew_by_history "$@"
  if [ -n "$from" ]; then
    if [ -s "$work/wanted" ]; then
      renew_by_word "$@"
    else
      echo "history knows all digests: nothing goes by your word on $from"
    fi
  else
    while read -r digest; do
      echo "no revision has templates of the digest $digest: if they were edits of one, not committed, name it with --from"
    done <"$work/wanted"
  fi
  stale_digests "$@"
fi
if [ ! -s "$work/stale" ]; then
  echo "all wisdom is of the templates in the working tree"
  if [ -n "$acknowledged" ] && [ -e "$acknowledged" ]; then
    rm "$acknowledged"
    echo "removed $acknowledged: nothing is stale"
  fi
  exit 0
fi
if [ -n "$reason" ]; then
  acknowledge
  exit 0
fi
if [ -n "$acknowledged" ] && grep -qxF "templates $("$program" --digest templates)" "$acknowledged" 2>/dev/null; then
  echo "what is not of the templates in the working tree is acknowledged ($acknowledged)"
  exit 0
fi
echo "some wisdom is not of the templates in the working tree, as its kernels are others now: tune on such a GPU again" \
  "(sh scripts/tune_shipped.sh FILE), or say why that is still to be done (--acknowledge REASON), or, if the schedule alone is another and writes" \
  "what it wrote, say that (--same-schedule)"
exit 1
