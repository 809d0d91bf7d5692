/* A worker process: reads jobs, a line of JSON each, tries candidates in this process and answers. What kills it is the
 * candidate's doing, and the parent's to notice. */
#include <snapmla/tune.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "context_object.h"
#include "status.h"
#include "tryout.h"

enum { LINE_MAX_BYTES = 1 << 20, MOST_SAMPLES = 4096 };

typedef struct server {
  int input, output;
  snapmla_context *context;
  smla_tryout *tryout;
  double samples[MOST_SAMPLES];
} server;

/* *ended: nonzero at the end of the input. */
static snapmla_status read_line(int fd, smla_buffer *out, int *ended) {
  char c;
  for (;;) {
    ssize_t got = read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return smla_fail(SNAPMLA_IO, "a worker cannot read its jobs: %s", strerror(errno));
    *ended = got == 0;
    if (got == 0 || c == '\n') return SNAPMLA_OK;
    if (out->length >= LINE_MAX_BYTES) return smla_fail(SNAPMLA_BAD_FORMAT, "a worker's job is too long");
    snapmla_status status = smla_buffer_append(out, &c, 1);
    if (status) return status;
  }
}

static snapmla_status answer(const server *s, const smla_verdict *verdict, size_t samples) {
  int32_t batch = 0;
  int64_t tokens = 0;
  if (s->tryout) smla_tryout_shape(s->tryout, &batch, &tokens);
  char reason[SMLA_REASON_MAX];
  snprintf(reason, sizeof reason, "%s", verdict->reason);
  for (char *c = reason; *c; c++)
    if ((unsigned char)*c >= 0x80) *c = '?';
  json_t *json = json_pack("{s:b s:i s:s s:i s:I}", "ok", verdict->ok, "fate", (int)verdict->fate, "reason", reason,
                           "batch", batch, "tokens", (json_int_t)tokens);
  json_t *array = json_array();
  for (size_t i = 0; i < samples; i++) json_array_append_new(array, json_real(s->samples[i]));
  json_object_set_new(json, "samples", array);
  char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
  json_decref(json);
  size_t length = text ? strlen(text) : 0;
  snapmla_status status = text ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a worker's answer");
  if (text) text[length] = '\n'; /* in place of the NUL */
  for (size_t done = 0; !status && done <= length;) {
    ssize_t put = write(s->output, text + done, length + 1 - done);
    if (put < 0 && errno != EINTR) status = smla_fail(SNAPMLA_IO, "a worker cannot answer: %s", strerror(errno));
    if (put > 0) done += (size_t)put;
  }
  free(text);
  return status;
}

static snapmla_status open_device(server *s, const json_t *json) {
  snapmla_context_options o = {.size = sizeof o};
  snapmla_problem p = {.size = sizeof p};
  int order, format, accuracy, flags, problem_flags;
  json_int_t seed, memory;
  if (json_unpack((json_t *)json, "{s:s s?s s:i s:I s:i s:i s:i s:I s:[i,i,i,i,i,i,i,i,i,i,i]}", "device", &o.device,
                  "templates", &o.templates, "order", &order, "seed", &seed, "sms", &o.emulator_sms, "threads",
                  &o.emulator_threads, "flags", &flags, "memory", &memory, "problem", &p.heads, &p.q_len,
                  &p.latent_rank, &p.rope_dim, &p.page_tokens, &format, &accuracy, &p.max_batch, &p.max_context,
                  &p.max_indices, &problem_flags))
    return smla_fail(SNAPMLA_BAD_FORMAT, "a worker's opening lacks a field");
  o.emulator_order = (snapmla_emulator_order)order;
  o.emulator_seed = (uint64_t)seed;
  p.kv_format = (snapmla_kv_format)format;
  p.accuracy = (snapmla_accuracy)accuracy;
  p.flags = (uint32_t)problem_flags;
  const smla_tryout_options options = {.flags = (uint32_t)flags, .memory_limit = (size_t)memory};
  snapmla_status status = s->tryout ? smla_fail(SNAPMLA_BAD_FORMAT, "a worker was opened twice") : SNAPMLA_OK;
  if (!status) status = snapmla_problem_check(&p);
  if (!status) status = snapmla_context_create(&o, &s->context);
  return status ? status : smla_tryout_create(s->context, &p, &options, &s->tryout);
}

static snapmla_status serve(server *s, const char *line, size_t length) {
  json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
  const char *job = "", *text = "";
  int count = 0;
  smla_verdict verdict = {0};
  (void)json_unpack(json, "{s:s s?s s?i}", "job", &job, "text", &text, "count", &count);
  if (!strcmp(job, "open")) {
    verdict.ok = !open_device(s, json);
    if (!verdict.ok) smla_verdict_fail(&verdict, SMLA_FATE_FAILED, snapmla_error_message());
  } else if (!s->tryout || count < 0 || count > MOST_SAMPLES) {
    smla_verdict_fail(&verdict, SMLA_FATE_FAILED, "a worker's job makes no sense");
  } else if (!strcmp(job, "compile")) {
    smla_tryout_compile(s->tryout, &text, 1, &verdict);
  } else if (!strcmp(job, "check")) {
    smla_tryout_check(s->tryout, text, &verdict);
  } else if (!strcmp(job, "time")) {
    smla_tryout_time(s->tryout, text, (size_t)count, s->samples, &verdict);
  } else {
    smla_verdict_fail(&verdict, SMLA_FATE_FAILED, "a worker does not know this job");
  }
  snapmla_status status = answer(s, &verdict, verdict.ok ? (size_t)count : 0);
  json_decref(json);
  return status;
}

snapmla_status snapmla_tune_worker(int input, int output) {
  server *s = calloc(1, sizeof *s);
  if (!s) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a worker");
  s->input = input;
  s->output = output;
  snapmla_status status = SNAPMLA_OK;
  for (int ended = 0; !status && !ended;) {
    smla_buffer line = {0};
    status = read_line(input, &line, &ended);
    if (!status && !ended) status = serve(s, line.data ? line.data : "", line.length);
    smla_buffer_free(&line);
  }
  smla_tryout_destroy(s->tryout);
  snapmla_context_destroy(s->context);
  free(s);
  return status;
}
