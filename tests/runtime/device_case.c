#include "device_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "narrow_float.h"

enum { KV, QUERY, TABLE, LENGTHS, OUT, LSE, WORKSPACE };

/* Level `fast`: docs/accuracy.md. */
static const double out_limit = 3.5e-2;

/* Scores end in an FP8 accumulator, which errs in proportion to them (docs/accuracy.md: 1e-3 + 5e-4 * max |logit|, here the lse). */
static double lse_limit(double lse) { return fmax(5e-3, 1e-3 + 5e-4 * fabs(lse)); }

static void *upload(snapmla_context *context, device_case *c, int which, const void *data, size_t bytes) {
  assert_int_equal(snapmla_buffer_create(context, bytes ? bytes : 16, &c->buffers[which]), SNAPMLA_OK);
  if (data) assert_int_equal(snapmla_buffer_write(c->buffers[which], 0, data, bytes), SNAPMLA_OK);
  return snapmla_buffer_pointer(c->buffers[which]);
}

device_case device_case_create(snapmla_context *context, const snapmla_plan *plan, decode_case *host) {
  device_case c = {.host = host, .args = host->args};
  const snapmla_problem *p = &host->problem;
  int64_t batch = host->args.batch, rows = batch * p->q_len * p->heads;
  size_t query = (size_t)(rows * host->args.q_nope_stride_head) * 2;
  c.args.kv = upload(context, &c, KV, host->kv, (size_t)host->kv_bytes);
  c.args.q_nope = upload(context, &c, QUERY, host->query, query);
  c.args.q_rope = (const uint16_t *)c.args.q_nope + p->latent_rank;
  c.args.block_table =
      upload(context, &c, TABLE, host->block_table, (size_t)(batch * host->args.block_table_stride) * sizeof(int32_t));
  c.args.seqlens = upload(context, &c, LENGTHS, host->seqlens, (size_t)batch * sizeof(int32_t));
  c.args.out = upload(context, &c, OUT, NULL, (size_t)(rows * p->latent_rank) * 2);
  c.args.out_stride_head = p->latent_rank;
  c.args.out_stride_token = c.args.out_stride_head * p->heads;
  c.args.out_stride_batch = c.args.out_stride_token * p->q_len;
  c.args.lse = upload(context, &c, LSE, NULL, (size_t)rows * sizeof(float));
  c.args.lse_stride_token = 1;
  c.args.lse_stride_head = p->q_len;
  c.args.lse_stride_batch = (int64_t)p->q_len * p->heads;
  c.args.workspace_bytes = snapmla_plan_workspace_bytes(plan);
  uint8_t *anything = malloc(c.args.workspace_bytes);
  assert_non_null(anything);
  memset(anything, 0xff, c.args.workspace_bytes); /* NaN, wherever it is read as a number */
  c.args.workspace = upload(context, &c, WORKSPACE, anything, c.args.workspace_bytes);
  free(anything);
  assert_int_equal(snapmla_stream_create(context, &c.stream), SNAPMLA_OK);
  c.args.stream = snapmla_stream_handle(c.stream);
  return c;
}

void device_case_destroy(device_case *c) {
  for (int i = 0; i < DEVICE_CASE_BUFFERS; i++) snapmla_buffer_destroy(c->buffers[i]);
  snapmla_stream_destroy(c->stream);
}

snapmla_status device_case_run(const snapmla_plan *plan, const device_case *c) {
  snapmla_status status = snapmla_plan_schedule(plan, &c->args);
  if (!status) status = snapmla_plan_decode(plan, &c->args);
  return status ? status : snapmla_stream_synchronize(c->stream);
}

static void *download(const device_case *c, int which) {
  size_t bytes = snapmla_buffer_bytes(c->buffers[which]);
  void *data = malloc(bytes);
  assert_non_null(data);
  assert_int_equal(snapmla_buffer_read(c->buffers[which], 0, data, bytes), SNAPMLA_OK);
  return data;
}

uint16_t *device_case_out(const device_case *c) { return download(c, OUT); }

void device_case_check(const device_case *c) {
  decode_case *host = c->host;
  case_decode(host, SNAPMLA_REFERENCE_QUANTIZED);
  uint16_t *out = device_case_out(c);
  float *lse = download(c, LSE);
  double *wide = malloc((size_t)host->out_count * sizeof *wide);
  assert_non_null(wide);
  for (int64_t i = 0; i < host->out_count; i++) wide[i] = (double)smla_bf16_to_float(out[i]);
  double error = relative_l2(wide, host->out, host->out_count);
  if (!(error <= out_limit)) fail_msg("out is %g from the oracle, the limit is %g", error, out_limit);
  for (int64_t i = 0; i < host->lse_count; i++) {
    if (isinf(host->lse[i]) ? (double)lse[i] == host->lse[i]
                            : fabs((double)lse[i] - host->lse[i]) <= lse_limit(host->lse[i]))
      continue;
    fail_msg("lse[%lld] is %g, the oracle's %g", (long long)i, (double)lse[i], host->lse[i]);
  }
  int64_t request = host->out_count / host->args.batch;
  for (int32_t b = 0; b < host->args.batch; b++)
    for (int64_t i = 0; host->seqlens[b] == 0 && i < request; i++) assert_int_equal(out[b * request + i] & 0x7fff, 0);
  free(wide);
  free(lse);
  free(out);
}
