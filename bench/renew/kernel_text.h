/* Whether two kernel sources are the same program as texts: the same but for comments and blanks. */
#ifndef SNAPMLA_BENCH_RENEW_KERNEL_TEXT_H
#define SNAPMLA_BENCH_RENEW_KERNEL_TEXT_H

#include <snapmla/status.h>

#include "buffer.h"

/* Appends C++ text without its comments, every run of blanks one blank; the line ends stay that end a preprocessor's directive or stand
 * before one. Texts of which that is equal are one sequence of tokens, hence one program; the inverse does not hold ("a+b",
 * "a + b"). Raw strings, and '/' before a continued line's end, are beyond it: UNSUPPORTED. Other error: OUT_OF_MEMORY. */
snapmla_status renew_text_strip(const char *text, smla_buffer *out);

/* *same: nonzero where both strip to the same. Errors: as above. */
snapmla_status renew_text_compare(const char *a, const char *b, int *same);

#endif
