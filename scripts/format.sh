#!/bin/sh
# Formats the C sources with clang-format 14; with --check, says what it would change and fails.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

formatter=clang-format
have clang-format-14 && formatter=clang-format-14
have $formatter || die "no clang-format: apt-get install clang-format"

if [ "${1:-}" = --check ]; then
  set -- --dry-run -Werror
else
  set -- -i
fi
find include util reference generator templates emulator autotune launch runtime deploy cli tests examples bench \
  -type f \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null | sort | xargs "$formatter" "$@"
