#!/bin/sh
# site.sh WORK: every page is in the site's list, and mkdocs, where it is installed, builds it without a warning.
set -eu
work=$1
for page in $(cd docs && find . -name '*.md' | sed 's|^\./||'); do
  grep -qE ": $page\$" mkdocs.yml || { echo "mkdocs.yml: docs/$page is in no list" >&2; exit 1; }
done
grep -oE '[a-z_/]+\.md$' mkdocs.yml | while read -r page; do
  [ -f "docs/$page" ] || { echo "mkdocs.yml: docs/$page is not there" >&2; exit 1; }
done
if command -v mkdocs >/dev/null; then
  rm -rf "$work"
  mkdocs build --quiet --strict --site-dir "$work"
  for file in index.html performance.html performance/h100/latency.svg; do
    [ -s "$work/$file" ] || { echo "the site lacks $file" >&2; exit 1; }
  done
else
  echo "mkdocs is not installed: the site is not built"
fi
