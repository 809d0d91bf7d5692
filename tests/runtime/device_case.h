/* A decode case of tests/reference on a device: its tensors in buffers, results read back and held against the
 * oracle. */
#ifndef SMLA_TESTS_RUNTIME_DEVICE_CASE_H
#define SMLA_TESTS_RUNTIME_DEVICE_CASE_H

#include <snapmla/snapmla.h>

#include "reference/cases.h"

enum { DEVICE_CASE_BUFFERS = 7 };

typedef struct device_case {
  decode_case *host;
  snapmla_buffer *buffers[DEVICE_CASE_BUFFERS]; /* kv, query, block table, lengths, out, lse, workspace */
  snapmla_stream *stream;
  snapmla_decode_args args; /* device pointers */
} device_case;

/* Uploads `host`; the workspace is as large as `plan` asks, and full of ones: a call may count on nothing there. Fails the test on
 * an error. */
device_case device_case_create(snapmla_context *context, const snapmla_plan *plan, decode_case *host);
void device_case_destroy(device_case *c);

/* Schedules, decodes and synchronises; the first failure. */
snapmla_status device_case_run(const snapmla_plan *plan, const device_case *c);

/* Results hold: out within level `fast` of the oracle of the same quantised data, lse within its limit, zeros and -inf
 * for empty requests. */
void device_case_check(const device_case *c);

/* The bits of out, [batch, q_len, heads, latent_rank] bf16; freed by the caller. */
uint16_t *device_case_out(const device_case *c);

#endif
