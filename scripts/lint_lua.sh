#!/bin/sh
# Runs luacheck over every Lua file.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

have luacheck || die "no luacheck: apt-get install lua-check"
files=$(find generator templates tests bench -type f -name '*.lua' | sort)
[ -n "$files" ] || die "no Lua file found: the folders have moved, and this script has not"
# shellcheck disable=SC2086 # names of this repository have no spaces
luacheck -q --no-color $files
