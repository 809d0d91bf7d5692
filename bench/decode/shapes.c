/* Shapes, targets and ceilings. */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "status.h"

static snapmla_status add(shape_list *list, shape s) {
  if (list->count == SHAPES) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "more than %d shapes; take fewer", SHAPES);
  list->at[list->count++] = s;
  return SNAPMLA_OK;
}

snapmla_status shapes_read(shape_list *list, const char *path) {
  char line[512];
  int number = 0;
  FILE *file = fopen(path, "r");
  if (!file) return smla_fail(SNAPMLA_IO, "%s cannot be read; name the targets with --targets", path);
  snapmla_status status = SNAPMLA_OK;
  while (!status && fgets(line, sizeof line, file)) {
    shape s = {.set = "target", .q_len = 1};
    number++;
    if (line[0] == '#' || !strncmp(line, "batch,", 6)) continue;
    if (sscanf(line, "%d,%d,%d,%d,%lf,%lf", &s.batch, &s.heads, &s.tokens, &s.top, &s.target_us, &s.stretch_us) != 6)
      status =
          smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s:%d: not batch,heads,tokens,top,target_us,stretch_us,…", path, number);
    else
      status = add(list, s);
  }
  fclose(file);
  return status;
}

void shapes_add_matrix(shape_list *list) {
  static const struct { int32_t tokens, heads; } columns[] = {{640, 128}, {8192, 64}, {33280, 64}};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
    for (int32_t batch = 1; batch <= 128; batch *= 2)
      (void)add(
          list,
          (shape){.set = "matrix", .batch = batch, .heads = columns[i].heads, .tokens = columns[i].tokens, .q_len = 1});
}

void shapes_add_context(shape_list *list) {
  static const int32_t batches[] = {1, 32}, heads[] = {16, 64, 128};
  for (int b = 0; b < 2; b++)
    for (int h = 0; h < 3; h++)
      for (int32_t tokens = 1024; tokens <= 131072; tokens *= 2)
        (void)add(list,
                  (shape){.set = "context", .batch = batches[b], .heads = heads[h], .tokens = tokens, .q_len = 1});
}

void shapes_add_speculative(shape_list *list) {
  static const int32_t batches[] = {1, 32}, heads[] = {16, 64, 128}, q_lens[] = {2, 4};
  for (int b = 0; b < 2; b++)
    for (int h = 0; h < 3; h++)
      for (int q = 0; q < 2; q++)
        (void)add(
            list,
            (shape){.set = "speculative", .batch = batches[b], .heads = heads[h], .tokens = 8192, .q_len = q_lens[q]});
  (void)add(list, (shape){.set = "speculative", .batch = 1, .heads = 16, .tokens = 131072, .q_len = 4});
}

void shapes_add_small(shape_list *list, int32_t q_len) {
  (void)add(
      list,
      (shape){
          .set = "small", .batch = 1, .heads = 16, .tokens = 65, .q_len = q_len, .target_us = 1e9, .stretch_us = 1e-9});
  (void)add(list, (shape){.set = "small", .batch = 2, .heads = 16, .tokens = 130, .q_len = q_len});
  (void)add(list, (shape){.set = "small", .batch = 2, .heads = 16, .tokens = 130, .top = 70, .q_len = q_len});
}

/* The field-th of a line of comma-separated fields, quotes respected; cut out of `line` in place. NULL: too few. */
static char *field_of(char *line, int field) {
  int quoted = 0;
  char *start = line;
  for (char *at = line;; at++) {
    if (*at == '"') quoted = !quoted;
    if ((*at == ',' && !quoted) || !*at || *at == '\n') {
      int last = *at != ',';
      if (field-- == 0) {
        *at = 0;
        return start;
      }
      if (last) return NULL;
      start = at + 1;
    }
  }
}

static double best(double a, double b) { return a > b ? a : b; }

/* A figure's line: group, variant, median, … */
static void take(ceilings *c, const char *line) {
  char group[512], variant[512], median[512];
  char *const copies[] = {group, variant, median};
  const char *field[3];
  for (int i = 0; i < 3; i++) {
    memcpy(copies[i], line, strlen(line) + 1); /* a line is shorter than 512 */
    if (!(field[i] = field_of(copies[i], i))) return;
  }
  double value = atof(field[2]);
  if (!strcmp(field[0], "read") && strstr(field[1], "cluster=1")) c->gb_per_s = best(c->gb_per_s, value);
  if (!strcmp(field[0], "wgmma") && strstr(field[1], "kind=e4m3")) c->fp8_tflops = best(c->fp8_tflops, value);
  if (!strcmp(field[0], "wgmma") && strstr(field[1], "kind=bf16")) c->bf16_tflops = best(c->bf16_tflops, value);
}

snapmla_status ceilings_read(ceilings *out, const char *path) {
  char line[512];
  *out = (ceilings){0};
  FILE *file = fopen(path, "r");
  if (!file) return smla_fail(SNAPMLA_IO, "%s cannot be read; snapmla-ceilings --csv FILE writes one", path);
  while (fgets(line, sizeof line, file))
    if (line[0] != '#') take(out, line);
  fclose(file);
  if (out->gb_per_s > 0 && out->fp8_tflops > 0 && out->bf16_tflops > 0) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "%s lacks figures of the groups read and wgmma; run snapmla-ceilings with both", path);
}

int32_t shape_seen(const shape *s) { return s->top && s->top < s->tokens ? s->top : s->tokens; }

size_t shape_rows(const shape *s) { return (size_t)s->batch * (size_t)s->q_len * (size_t)s->heads; }

int64_t shape_pages(const shape *s) { return (s->tokens + PAGE_TOKENS - 1) / PAGE_TOKENS; }

int64_t shape_distinct_pages(const shape *s) {
  return s->batch * shape_pages(s) - (int64_t)(s->batch - 1) * (s->shared / PAGE_TOKENS);
}

double shape_bytes(const shape *s) {
  double rows = (double)shape_rows(s);
  double listed = (double)s->batch * s->q_len * shape_seen(s) / PAGE_TOKENS;
  double pages = s->top ? listed : (double)shape_distinct_pages(s);
  return pages * (double)format_page_bytes(s->format) + rows * (LATENT + ROPE) * 2 + rows * LATENT * 2;
}

/* Pairs of a row and a token that it sees. The first query token of a request sees q_len - 1 tokens fewer than the last. */
static double scores_of(const shape *s) {
  double unseen = s->top ? 0 : (s->q_len - 1) / 2.0;
  return (double)shape_rows(s) * (shape_seen(s) - unseen);
}

/* Content is multiplied twice, RoPE once, each in the number type that the format stores, but that values with several scales are
 * multiplied in bf16. */
static double content_flop(const shape *s) { return 4.0 * LATENT * scores_of(s); }
static double rope_flop(const shape *s) { return 2.0 * ROPE * scores_of(s); }

double shape_fp8_flop(const shape *s) {
  return s->format == SNAPMLA_KV_BF16         ? 0.0
         : s->format == SNAPMLA_KV_FP8_TENSOR ? content_flop(s) + rope_flop(s)
         : s->format == SNAPMLA_KV_FP8_TILE   ? content_flop(s) / 2
                                              : content_flop(s);
}

double shape_bf16_flop(const shape *s) { return content_flop(s) + rope_flop(s) - shape_fp8_flop(s); }

void shapes_choose(shape_list *list, snapmla_kv_format format, snapmla_accuracy accuracy, int32_t q_len) {
  for (size_t i = 0; i < list->count; i++) {
    shape *s = &list->at[i];
    s->format = format;
    s->accuracy = accuracy;
    if (q_len) s->q_len = q_len;
    if (format != SNAPMLA_KV_FP8_TOKEN || accuracy != SNAPMLA_ACCURACY_FAST || s->q_len != 1)
      s->target_us = s->stretch_us = 0;
  }
}

int32_t shape_q_len_read(const char *text) {
  static const char digits[] = "0123456789";
  if (strspn(text, digits) != strlen(text)) return 0;
  long number = strtol(text, NULL, 10);
  return number >= 1 && number <= SHAPE_Q_LEN ? (int32_t)number : 0;
}

void shapes_spread(shape_list *list, float sigma) {
  for (size_t i = 0; i < list->count; i++) {
    list->at[i].sigma = sigma;
    list->at[i].target_us = list->at[i].stretch_us = 0;
  }
}

float shape_sigma_read(const char *text) {
  char *end;
  const float number = strtof(text, &end);
  return *text && !*end && number >= 0.1f && number <= 16 ? number : 0;
}

snapmla_status shapes_share(shape_list *list, int32_t tokens) {
  for (size_t i = 0; i < list->count; i++) {
    shape *s = &list->at[i];
    if (tokens > s->tokens)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "%d tokens are more than the %d of a request of %d,%d,%d: share at most as many, in pages of %d",
                       tokens, s->tokens, s->batch, s->heads, s->tokens, PAGE_TOKENS);
    s->shared = tokens;
    s->target_us = s->stretch_us = 0;
  }
  return SNAPMLA_OK;
}

int32_t shape_shared_read(const char *text) {
  char *end;
  const long number = strtol(text, &end, 10);
  return !*end && number >= PAGE_TOKENS && number <= INT32_MAX && number % PAGE_TOKENS == 0 ? (int32_t)number : 0;
}

snapmla_status shape_problem(const shape *s, snapmla_problem *out) {
  snapmla_problem_init(out);
  out->heads = s->heads;
  out->q_len = s->q_len;
  out->kv_format = s->format;
  out->accuracy = s->accuracy;
  out->max_batch = s->batch;
  out->max_context = s->tokens;
  out->max_indices = s->top ? shape_seen(s) : 0;
  if (s->q_len > s->tokens)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "%d query tokens of a request of %d tokens: they are its last, so give at least as many tokens",
                     s->q_len, s->tokens);
  return snapmla_problem_check(out);
}

snapmla_status shape_read(const char *text, int lists, shape *out) {
  shape s = {.set = "one", .q_len = 1};
  int end = 0, top_end = 0; /* where the third number and the fourth end */
  (void)sscanf(text, "%d,%d,%d%n,%d%n", &s.batch, &s.heads, &s.tokens, &end, &s.top, &top_end);
  if (lists && top_end) end = top_end;
  if (!end || text[end] || s.batch < 1 || s.heads < 1 || s.tokens < 1 || s.top < 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "--shape is \"%s\"; write batch,heads,tokens as in 32,64,8192%s", text,
                     lists ? ", or batch,heads,tokens,top" : "");
  *out = s;
  return SNAPMLA_OK;
}

int64_t shapes_most_pages(const shape *shapes, size_t count) {
  int64_t most = 1;
  for (size_t i = 0; i < count; i++) {
    const int64_t pages = shapes[i].batch * shape_pages(&shapes[i]);
    if (pages > most) most = pages;
  }
  return most;
}

int64_t format_page_bytes(snapmla_kv_format format) {
  snapmla_problem problem;
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_problem_init(&problem);
  problem.kv_format = format;
  return snapmla_page_layout_get(&problem, &layout) ? 0 : layout.page_bytes;
}
