#!/bin/sh
# gpu_tests.sh BUILD [NAME...]: the test programs, or those named, that run on the device that SNAPMLA_TEST_TARGET names. Those
# labelled numerics (templates_formats, templates_levels) take minutes each and are run by name; SECONDS_EACH is the limit of one.
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

build=$1
shift
# shellcheck disable=SC2086 # words
[ $# -gt 0 ] || set -- $gpu_test_programs
failed=0
for name in "$@"; do
  echo "== $name"
  timeout "${SECONDS_EACH:-120}" "$build/bin/tests/test_$name" || {
    echo "FAILED: $name"
    failed=1
  }
done
exit $failed
