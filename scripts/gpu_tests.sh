#!/bin/sh
# gpu_tests.sh BUILD: the test programs that run on the device that SNAPMLA_TEST_TARGET names.
set -u
cd "$(dirname "$0")/.." || exit 1

failed=0
for name in templates_decode templates_sparse templates_formats runtime_plan runtime_threads; do
  echo "== $name"
  timeout 100 "$1/bin/tests/test_$name" || {
    echo "FAILED: $name"
    failed=1
  }
done
exit $failed
