#include "size.h"

#include <inttypes.h>

#include "status.h"

static snapmla_status too_large(const char *what, uint64_t a, char operation, uint64_t b) {
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "%s: %" PRIu64 " %c %" PRIu64 " is more than this machine can count; ask for less", what, a,
                   operation, b);
}

snapmla_status smla_size_add(const char *what, size_t a, size_t b, size_t *out) {
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return too_large(what, a, '+', b);
  *out = sum;
  return SNAPMLA_OK;
}

snapmla_status smla_size_multiply(const char *what, size_t a, size_t b, size_t *out) {
  size_t product;
  if (__builtin_mul_overflow(a, b, &product)) return too_large(what, a, '*', b);
  *out = product;
  return SNAPMLA_OK;
}

static snapmla_status check_counts(const char *what, int64_t a, int64_t b) {
  if (a >= 0 && b >= 0) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: %" PRId64 " is negative; a count must be 0 or more", what,
                   a < 0 ? a : b);
}

snapmla_status smla_count_add(const char *what, int64_t a, int64_t b, int64_t *out) {
  int64_t sum;
  snapmla_status status = check_counts(what, a, b);
  if (status) return status;
  if (__builtin_add_overflow(a, b, &sum)) return too_large(what, (uint64_t)a, '+', (uint64_t)b);
  *out = sum;
  return SNAPMLA_OK;
}

snapmla_status smla_count_multiply(const char *what, int64_t a, int64_t b, int64_t *out) {
  int64_t product;
  snapmla_status status = check_counts(what, a, b);
  if (status) return status;
  if (__builtin_mul_overflow(a, b, &product)) return too_large(what, (uint64_t)a, '*', (uint64_t)b);
  *out = product;
  return SNAPMLA_OK;
}

snapmla_status smla_size_align(const char *what, size_t size, size_t alignment, size_t *out) {
  if (!alignment || (alignment & (alignment - 1)))
    return smla_fail(SNAPMLA_INTERNAL, "%s: the alignment %zu is not a power of two", what, alignment);
  size_t raised;
  if (__builtin_add_overflow(size, alignment - 1, &raised)) return too_large(what, size, '+', alignment - 1);
  *out = raised & ~(alignment - 1);
  return SNAPMLA_OK;
}
