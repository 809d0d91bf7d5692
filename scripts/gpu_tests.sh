#!/bin/sh
# gpu_tests.sh BUILD: runs the test programs that use a device, on the one that SNAPMLA_TEST_TARGET names.
set -u
cd "$(dirname "$0")/.." || exit 1

failed=0 count=0
for test in "$1"/bin/tests/test_runtime* "$1"/bin/tests/test_templates* "$1"/bin/tests/test_cli*; do
  [ -x "$test" ] || continue
  count=$((count + 1))
  echo "== ${test##*/}"
  timeout 60 "$test" || {
    echo "FAILED: ${test##*/}"
    failed=1
  }
done
[ $count -gt 0 ] || { echo "no test program in $1/bin/tests: configure with -DSNAPMLA_TESTS=ON"; exit 1; }
exit $failed
