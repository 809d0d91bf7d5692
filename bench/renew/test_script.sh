#!/bin/sh
# test_script.sh PROGRAM WORK [nvrtc]: scripts/renew_wisdom.sh in a repository of its own, with this tree's templates and wisdom. With
# nvrtc, kernels of other texts are compared as machine code too.
set -eu
program=$1 work=$2 nvrtc=${3:-}
here=$PWD
rm -rf "$work"
mkdir -p "$work/autotune/wisdom" "$work/scripts"
cp -R templates "$work/"
cp scripts/renew_wisdom.sh scripts/lib.sh "$work/scripts/"
wisdom=autotune/wisdom/h100.json
cp "$wisdom" "$work/$wisdom"
all=$(grep -c '"won": true' "$wisdom")
cd "$work"
export SNAPMLA_RENEW="$program" GIT_CEILING_DIRECTORIES="${work%/*}" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

# expect CODE TEXT ARGUMENT...: the script's exit status, and a text that it prints.
expect() {
  code=$1 text=$2 got=0
  shift 2
  sh scripts/renew_wisdom.sh "$@" >out 2>&1 || got=$?
  if [ $got != "$code" ] || ! grep -qF -- "$text" out; then
    cat out
    echo "exit status $got, not $code, or no '$text' in it" >&2
    exit 1
  fi
}
# The wisdom is as it was last committed, or is not.
unchanged() { git diff --quiet -- "$wisdom" || { echo "the wisdom was changed" >&2; exit 1; }; }
changed() { if git diff --quiet -- "$wisdom"; then echo "the wisdom was not changed" >&2; exit 1; fi; }
commit() { git add -A && git -c user.name=test -c user.email=test@localhost commit --allow-empty -qm "$1"; }
digests() { grep -o '"templates": "[0-9a-f]*"' "$wisdom" | sort -u; }

expect 2 "this is no git repository"
git init -q .
commit start
sh scripts/renew_wisdom.sh --from HEAD >/dev/null # whatever state this tree's wisdom is in
commit current
expect 0 "all wisdom is of the templates in the working tree"
unchanged

# A comment that is not committed; then one that was committed over others, from two revisions back.
echo '// a comment' >>templates/schedule/scan.inc
expect 0 "$all measurements: $all renewed"
changed
grep -q 'same machine code' out && { echo "a comment is no other text" >&2; exit 1; }
[ "$(digests)" = "\"templates\": \"$("$program" --digest templates)\"" ]
sh scripts/renew_wisdom.sh >/dev/null
git checkout -q "$wisdom"
commit comment
echo '-- a comment' >>templates/mla_decode/space.lua
commit another
expect 0 "$all measurements: $all renewed"
commit renewed

# What a decode step is not made of changes nothing.
echo '// a comment' >>templates/kv_append/kv_append.cu.tmpl
expect 0 "all wisdom is of the templates in the working tree"

# Another text, of the same program or not: what differs, or cannot be compared, stays as it is.
kernel=templates/mla_combine/mla_combine.cu.tmpl
echo 'DEVICE u32 unused() { return 1; }' >>$kernel
if [ "$nvrtc" ]; then
  expect 0 "same machine code  mla_combine:"
  changed
  commit unused
  sed -i 's/^KERNEL[A-Z_]*(.*{$/&\n  if (clock_cycles() == 1) __trap();/' $kernel
  expect 1 "mla_combine: its machine code is another"
else
  SNAPMLA_NVRTC=$work/none expect 1 "mla_combine: its text is another, and its machine code cannot be compared"
fi
grep -qF "$all measurements: $all stale" out
unchanged
git checkout -q templates

# A kernel that some measurements have, and others have not: the former alone are stale.
if [ "$nvrtc" ]; then
  sed -i 's/^KERNEL[A-Z_]*(.*{$/&\n% if rows == 8 then\n  if (clock_cycles() == 1) __trap();\n% end/' $kernel
  expect 1 "mla_combine: its machine code is another"
  grep -qE "$all measurements: [0-9]+ renewed [0-9]+ stale" out
  changed
  [ "$(digests | wc -l)" = 2 ]
  git checkout -q templates autotune
fi

# Where history knows a digest, nobody's word makes another kernel the one that was timed; that it is stale can be acknowledged.
stale=autotune/wisdom/stale.txt
acknowledges() { grep -qxF "templates $("$program" --digest templates)" $stale && grep -qxF "reason $1" $stale; }
export SNAPMLA_NVRTC="$work/none"
echo 'DEVICE u32 another() { return 2; }' >>$kernel
commit 'another merge'
expect 1 "history knows all digests: nothing goes by your word on HEAD" --from HEAD
unchanged
expect 2 "--acknowledge needs a reason" --acknowledge ''
expect 2 "--acknowledge needs a reason" --acknowledge 'two
lines'
expect 2 "leave the files out" --acknowledge because "$wisdom"
[ ! -e $stale ]
expect 0 "wrote $stale" --acknowledge 'the merge is another'
acknowledges 'the merge is another'
unchanged
expect 0 "is acknowledged ($stale)"
echo 'DEVICE u32 a_third() { return 3; }' >>$kernel
expect 1 "some wisdom is not of the templates in the working tree"
expect 0 "wrote $stale" --acknowledge 'and so is the next'
acknowledges 'and so is the next'
git checkout -q HEAD~ -- $kernel
expect 0 "removed $stale: nothing is stale"
[ ! -e $stale ]
commit 'the merge of before'

# Wisdom of an unknown revision, and one that is vouched for.
echo '// never committed' >>templates/schedule/scan.inc
sh scripts/renew_wisdom.sh >/dev/null
git checkout -q templates
commit foreign
expect 1 "no revision has templates of the digest"
unchanged
expect 2 "is no revision with templates" --from nowhere
expect 2 "usage: " --form HEAD
expect 2 "--from needs a revision" --from
expect 0 "that they are those of HEAD is your word" --from HEAD
changed
expect 0 "all wisdom is of the templates in the working tree"
expect 2 "No such file" autotune/wisdom/none.json
cd "$here"
rm -rf "$work"
