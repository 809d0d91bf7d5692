#!/bin/sh
# The Dockerfile: the packages to build are those of scripts/lib.sh and what the wheel needs, its last stage has a user without
# rights, the base is Debian 12 by its plain name; and hadolint, where it is installed, finds nothing.
set -eu
. scripts/lib.sh

fail() {
  echo "Dockerfile: $*" >&2
  exit 1
}
installs=$(tr '\n' ' ' <Dockerfile | sed 's/\\//g' | grep -oE 'no-install-recommends [^&]+' | sed 's/no-install-recommends //')
built=$(printf '%s\n' "$installs" | sed -n 1p | tr -s ' ' '\n' | sed '/^$/d' | sort)
# shellcheck disable=SC2086 # a list of words
wanted=$(printf '%s\n' $build_packages python3 python3-venv python3-numpy | sort)
[ "$built" = "$wanted" ] || fail "it builds with: $built
instead of: $wanted"
[ "$(grep '^FROM ' Dockerfile | awk '{print $2}' | sort -u)" = debian:12-slim ] || fail "a base other than debian:12-slim"
sed -n '/^FROM /h; /^FROM /!H; ${x;p;}' Dockerfile | grep -qE '^USER [1-9][0-9]*:[1-9][0-9]*$' || fail "its last stage runs as root"
if grep -nE '^[^#]*://' Dockerfile; then fail "it names a host"; fi
if command -v hadolint >/dev/null; then hadolint Dockerfile; fi
