/* The little linear algebra that `analyze` needs, from the LAPACK of the machine, opened when it is needed: nothing else of the program
 * wants it. Matrices are column-major, in double precision. */
#ifndef SMLA_CLI_LAPACK_H
#define SMLA_CLI_LAPACK_H

#include <snapmla/status.h>

/* Opens libopenblas or liblapack with 32-bit integers, once; later calls do nothing. Not thread-safe.
 * Error: NOT_FOUND, with what to install. */
snapmla_status smla_lapack_open(void);

/* Singular values of a [m, n], largest first, into s [min(m, n)]; `a` is overwritten. `u`, unless NULL, gets the left singular vectors
 * [m, min(m, n)]. Errors: OUT_OF_MEMORY, IO (it did not converge, or `a` is not finite). */
snapmla_status smla_lapack_svd(int m, int n, double *a, double *s, double *u);

/* c [m, n] = a b for a [m, k] and b [k, n]; with `b_transposed` b is [n, k] and c = a b^T. */
void smla_lapack_multiply(int m, int n, int k, const double *a, const double *b, int b_transposed, double *c);

#endif
