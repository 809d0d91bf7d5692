#!/bin/sh
# pack_prefix.sh PROGRAM TEMPLATES WORK TARGET...: the same tree in two places gives the same pack, byte for byte, whatever the
# cache, the directory of temporary files, the working directory and the order of the problems.
set -eu
program=$1 templates=$2 work=$3
shift 3

rm -rf "$work"
export_from() { # PREFIX PROBLEMS TARGET FILE
  mkdir -p "$1/home" "$1/tmp" "$1/here"
  [ -d "$1/templates" ] || cp -R "$templates" "$1/templates"
  (
    cd "$1/here"
    unset SNAPMLA_CACHE_DIR XDG_CACHE_HOME
    HOME=$1/home TMPDIR=$1/tmp "$program" export --problems "$2" --target "$3" --templates "$1/templates" -o "$4" \
      --c-source "$4.c" --c-name kernels >/dev/null
  )
}
mkdir -p "$work"
one='{"heads": 16, "latent_rank": 256, "max_batch": 4, "max_context": 4096}'
other='{"heads": 16, "latent_rank": 256, "max_batch": 8, "max_context": 1024}'
echo "[$one, $other]" >"$work/forward.json"
echo "[$other, $one]" >"$work/backward.json"
for target; do
  export_from "$work/a" "$work/forward.json" "$target" "$work/a/$target.smlapack"
  export_from "$work/quite/another/prefix" "$work/backward.json" "$target" "$work/b.smlapack"
  # Where the first is cached: not compiled again.
  export_from "$work/a" "$work/forward.json" "$target" "$work/c.smlapack"
  for file in b c; do
    cmp "$work/a/$target.smlapack" "$work/$file.smlapack"
    cmp "$work/a/$target.smlapack.c" "$work/$file.smlapack.c"
  done
  if grep -a -F "$work" "$work/b.smlapack"; then
    echo "a path is in the pack"
    exit 1
  fi
  # And not by chance: another template, another pack.
  rm -rf "$work/changed"
  mkdir -p "$work/changed"
  cp -R "$templates" "$work/changed/templates"
  echo "// changed" >>"$work/changed/templates/schedule/schedule.cu.tmpl"
  export_from "$work/changed" "$work/forward.json" "$target" "$work/d.smlapack"
  if cmp -s "$work/a/$target.smlapack" "$work/d.smlapack"; then
    echo "a changed template changes nothing in the pack"
    exit 1
  fi
  echo "$target: $(wc -c <"$work/b.smlapack") bytes, equal"
done
