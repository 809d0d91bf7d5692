#!/bin/sh
# test_wheel.sh PYTHON LIBRARY VERSION WORK: the wheel, installed into a fresh environment without an index, runs the example.
set -eu
python=$1 library=$2 version=$3 work=$4

rm -rf "$work"
mkdir -p "$work"
"$python" python/build_wheel.py "$library" "$version" "$work/wheel"
"$python" python/build_wheel.py "$library" "$version" "$work/again" >"$work/again.log"
cmp "$work"/wheel/*.whl "$work"/again/*.whl
# numpy is the system's.
"$python" -m venv --system-site-packages "$work/env"
"$work/env/bin/python" -m pip install --disable-pip-version-check --no-index "$work"/wheel/*.whl
cp examples/attention.py "$work/"
cd "$work"
unset PYTHONPATH SNAPMLA_LIBRARY
SNAPMLA_CACHE_DIR=$work/cache
export SNAPMLA_CACHE_DIR
env/bin/python -c 'import snapmla, sys; sys.exit(not snapmla.__file__.startswith(sys.prefix))'
said=$(env/bin/python attention.py)
echo "$said"
env/bin/python -m snapmla
[ "$said" = "(1, 1, 16, 512) (1, 16, 1) finite" ]
