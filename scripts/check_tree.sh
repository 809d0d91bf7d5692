#!/bin/sh
# What can be said of the tree without building it: no machine's own paths, no dead references to documents, one reader of
# the environment, no overlong files.
set -u
cd "$(dirname "$0")/.." || exit 1

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  files=$(git ls-files --cached --others --exclude-standard)
else
  files=$(find . \( -path ./build -o -path ./.git \) -prune -o -type f -print | sed 's|^\./||')
fi
failed=0
complain() {
  printf '%s\n' "$*"
  failed=1
}

# Absolute paths of somebody's machine. The pattern does not match itself.
found=$(printf '%s\n' "$files" | xargs grep -nIE '(^|[^A-Za-z0-9._~}-])/(home|root|work|Users|mnt)/[A-Za-z0-9]' 2>/dev/null |
  grep -v '^scripts/check_tree.sh:' || true)
[ -z "$found" ] || complain "paths of a machine:
$found"

# What a tool leaves behind.
found=$(printf '%s\n' "$files" | grep -E '(^|/)__pycache__/|\.(pyc|o|a|so|cubin|emulator\.cu|sm90a\.cu)$' || true)
[ -z "$found" ] || complain "built, not written: take it out, and name its like in .gitignore:
$found"

# Relative links of Markdown files, code left out.
for file in $(printf '%s\n' "$files" | grep '\.md$'); do
  for link in $(sed '/^```/,/^```/d; /^    /d; s/`[^`]*`//g' "$file" | grep -oE '\]\([^)#: ]+[)#]' | sed 's/^](//; s/[)#]$//'); do
    [ -e "$(dirname "$file")/$link" ] || complain "$file: links to $link, which is not there"
  done
done

# Pages that sources refer to.
for page in $(printf '%s\n' "$files" | grep -E '\.(c|h|lua|tmpl|inc|sh|cmake|txt)$' | xargs grep -hoE 'docs/[a-z_]+\.md' | sort -u); do
  [ -e "$page" ] || complain "$page: referred to, but not there: $(printf '%s\n' "$files" | xargs grep -l "$page" | tr '\n' ' ')"
done

# The environment is read in one file. The program sees public headers alone, and its one temporary directory is where TMPDIR says.
found=$(printf '%s\n' "$files" | grep -E '\.[ch]$' | grep -v -e '^tests/' -e '^util/env.c$' | xargs grep -nE '\b(secure_)?getenv *\(' |
  grep -v '^cli/bench.c:.*secure_getenv("TMPDIR")' || true)
[ -z "$found" ] || complain "the environment is read by smla_env (util/env.h) alone:
$found"

# One concept per file.
for file in $(printf '%s\n' "$files" | grep -E '\.(c|h|lua|tmpl|inc|sh|cmake)$' | grep -v '^generated/'); do
  lines=$(wc -l <"$file")
  [ "$lines" -le 500 ] || complain "$file: $lines lines; split what is over 500 into concepts"
done

exit $failed
