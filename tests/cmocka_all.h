/* What every test program includes: cmocka wants these four before it. */
#ifndef SMLA_TESTS_CMOCKA_ALL_H
#define SMLA_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
