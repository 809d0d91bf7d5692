#!/bin/sh
# test_symbols.sh NM LIBRARY HEADERS [deploy]: the library shows exactly the functions that the headers declare; snapmla-deploy
# lacks what makes and tunes kernels.
set -eu
nm=$1 library=$2 headers=$3 kind=${4:-}

declared_in() { # HEADER...
  cat "$@" | tr '\n' ' ' | grep -oE 'SNAPMLA_API [^;]*;' | grep -oE '\bsnapmla_[a-z0-9_]+\(' |
    tr -d '(' | sort -u
}
declared=$(declared_in "$headers"/*.h)
if [ "$kind" = deploy ]; then
  makers=$( (declared_in "$headers/source.h" "$headers/pack_make.h" "$headers/tune.h"; echo snapmla_plan_create; echo snapmla_layer_plan_create) |
    grep -v -x -e snapmla_version -e snapmla_family_names | sort -u)
  declared=$(printf '%s\n' "$declared" | grep -v -x -F "$makers")
fi
case $library in
*.a) shown=$("$nm" --extern-only --defined-only "$library") ;;
*) shown=$("$nm" --dynamic --extern-only --defined-only "$library") ;;
esac
shown=$(printf '%s\n' "$shown" | awk 'NF == 3 { print $3 }' | sort -u)

count=$(printf '%s\n' "$declared" | wc -l)
[ "$count" -gt 20 ] || { echo "only $count declarations found in $headers: this test reads them wrongly"; exit 1; }
if [ "$declared" != "$shown" ]; then
  echo "declared (<) and shown (>) differ:"
  work=$(mktemp -d)
  printf '%s\n' "$declared" >"$work/declared"
  printf '%s\n' "$shown" >"$work/shown"
  diff "$work/declared" "$work/shown" || true
  rm -r "$work"
  exit 1
fi
