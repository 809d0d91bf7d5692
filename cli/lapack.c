#include "lapack.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include "console.h"

/* Fortran's calls: everything by address, the lengths of texts last. */
typedef void svd_call(const char *jobu, const char *jobvt, const int *m, const int *n, double *a, const int *lda,
                      double *s, double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
                      int *info, size_t jobu_length, size_t jobvt_length);
typedef void multiply_call(const char *transa, const char *transb, const int *m, const int *n, const int *k,
                           const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
                           const double *beta, double *c, const int *ldc, size_t transa_length, size_t transb_length);

static svd_call *dgesvd;
static multiply_call *dgemm;

/* dlsym returns a data pointer: POSIX lets it be copied into a function pointer. */
static void symbol(void *library, const char *name, void *function) { *(void **)function = dlsym(library, name); }

snapmla_status smla_lapack_open(void) {
  static const char *const names[] = {"libopenblas.so.0", "liblapack.so.3"};
  for (size_t i = 0; i < sizeof names / sizeof *names && !(dgesvd && dgemm); ++i) {
    void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    symbol(library, "dgesvd_", &dgesvd);
    symbol(library, "dgemm_", &dgemm);
  }
  if (dgesvd && dgemm) return SNAPMLA_OK;
  return smla_console_fail(
      SNAPMLA_NOT_FOUND,
      "singular values need LAPACK, and neither libopenblas.so.0 nor liblapack.so.3 is found: install it "
      "(Debian: libopenblas0)");
}

snapmla_status smla_lapack_svd(int m, int n, double *a, double *s, double *u) {
  snapmla_status status = SNAPMLA_OK;
  double room = 0, none = 0;
  int info = 0, query = -1, one = 1;
  const char *jobu = u ? "S" : "N";
  dgesvd(jobu, "N", &m, &n, a, &m, s, u ? u : &none, u ? &m : &one, &none, &one, &room, &query, &info, 1, 1);
  int lwork = info ? 0 : (int)room;
  double *work = lwork > 0 ? malloc((size_t)lwork * sizeof *work) : NULL;
  if (!work) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the singular values of [%d, %d]", m, n);
  dgesvd(jobu, "N", &m, &n, a, &m, s, u ? u : &none, u ? &m : &one, &none, &one, work, &lwork, &info, 1, 1);
  if (info)
    status = smla_console_fail(SNAPMLA_IO, "LAPACK's dgesvd of [%d, %d] failed with %d: are all weights finite?", m, n,
                               info);
  free(work);
  return status;
}

void smla_lapack_multiply(int m, int n, int k, const double *a, const double *b, int b_transposed, double *c) {
  const double one = 1, zero = 0;
  dgemm("N", b_transposed ? "T" : "N", &m, &n, &k, &one, a, &m, b, b_transposed ? &n : &k, &zero, c, &m, 1, 1);
}
