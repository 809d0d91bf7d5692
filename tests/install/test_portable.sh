#!/bin/sh
# test_portable.sh OBJDUMP BIN WORK: portable programs need only libc and what lies beside them, run when
# copied, and on systems back to glibc 2.34.
set -eu
objdump=$1 bin=$2 work=$3

failed=0
for program in "$bin"/snapmla* "$bin"/tests/test_*; do
  [ -f "$program" ] || continue
  for library in $("$objdump" -p "$program" | awk '/NEEDED/ { print $2 }'); do
    case $library in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | ld-linux*) ;;
    *) [ -f "$(dirname "$program")/$library" ] || { echo "$program needs $library, which is not beside it"; failed=1; } ;;
    esac
  done
  newest=$("$objdump" -T "$program" | grep -oE 'GLIBC_2\.[0-9]+' | sort -t. -k2 -n | tail -n 1)
  [ "${newest#GLIBC_2.}" -le 34 ] || { echo "$program needs $newest; 2.34 is the newest that may be asked for"; failed=1; }
done

rm -rf "$work"
mkdir -p "$work"
cp -R "$bin" "$work/"
env -i PATH=/usr/bin:/bin "$work/bin/snapmla" --version
env -i PATH=/usr/bin:/bin "$work/bin/tests/test_util_size" >/dev/null
rm -r "$work"
exit $failed
