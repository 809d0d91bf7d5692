#!/bin/sh
# test_tune_shipped.sh WORK: scripts/tune_shipped.sh with a program that tunes nothing: what it asks for, and when it replaces the file.
set -eu
work=$1
rm -rf "$work"
mkdir -p "$work"
cat >"$work/snapmla" <<'PROGRAM'
#!/bin/sh
# tune: notes the problem; wisdom -o FILE: a winner of each noted problem but the first $MISSING, $TWICE once more, and losers.
notes=$SNAPMLA_CACHE_DIR/notes
case $1 in
tune)
  case " $* " in *" --again "*) ;; *) exit 3 ;; esac
  shift
  echo "$*" >>"$notes"
  ;;
wisdom)
  {
    tail -n +$((MISSING + 1)) "$notes"
    head -n "$TWICE" "$notes"
  } | awk 'BEGIN { printf "{\"kind\": \"snapmla wisdom\", \"schema\": 1, \"measurements\": [" }
    { heads = $0; sub(/.*--heads /, "", heads); sub(/ .*/, "", heads); name = "h" heads "-" $0
      printf "%s{\"problem\": \"%s\", \"won\": true}, {\"problem\": \"%s\", \"won\": false}", (NR > 1 ? ", " : ""), name, name }
    END { print "]}" }' >"$3"
  ;;
esac
PROGRAM
chmod +x "$work/snapmla"
file=$work/out.json

# expect CODE TEXT: the script's exit status, and what it prints.
expect() {
  got=0
  SNAPMLA="$work/snapmla" sh scripts/tune_shipped.sh "$file" emulator >"$work/log" 2>&1 || got=$?
  if [ $got != "$1" ] || ! grep -qF -- "$2" "$work/log"; then
    cat "$work/log"
    echo "exit status $got, not $1, or no '$2' in it" >&2
    exit 1
  fi
}
echo before >"$file"
export MISSING TWICE
MISSING=99 TWICE=0
expect 1 "34 problems were tuned, and 0 measurements of 0 problems won: $file is as it was"
MISSING=1
expect 1 "34 problems were tuned, and 33 measurements of 33 problems won"
MISSING=0 TWICE=1
expect 1 "34 problems were tuned, and 35 measurements of 34 problems won"
[ "$(cat "$file")" = before ]
MISSING=0 TWICE=0
expect 0 "wrote $file"
[ "$(grep -c '"won": true' "$file")" = 34 ]
if grep -q '"won": false' "$file"; then exit 1; fi
[ ! -e "$file.new" ]

# Of some heads: what the file has of others stays, and of theirs nothing does.
export HEADS=64
echo '{"measurements": [{"problem": "h16-old", "won": true}, {"problem": "h64-old", "won": true}]}' >"$file"
expect 0 "wrote $file"
[ "$(grep -c '"won": true' "$file")" = 12 ]
grep -q h16-old "$file"
if grep -q h64-old "$file"; then exit 1; fi
echo before >"$file"
expect 1 "$file is no wisdom whose other heads could stay"
[ "$(cat "$file")" = before ]
rm -rf "$work"
