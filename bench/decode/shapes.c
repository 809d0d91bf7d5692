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
    shape s = {.set = "target"};
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
      (void)add(list, (shape){.set = "matrix", .batch = batch, .heads = columns[i].heads, .tokens = columns[i].tokens});
}

void shapes_add_context(shape_list *list) {
  static const int32_t batches[] = {1, 32}, heads[] = {16, 64, 128};
  for (int b = 0; b < 2; b++)
    for (int h = 0; h < 3; h++)
      for (int32_t tokens = 1024; tokens <= 131072; tokens *= 2)
        (void)add(list, (shape){.set = "context", .batch = batches[b], .heads = heads[h], .tokens = tokens});
}

void shapes_add_small(shape_list *list) {
  (void)add(list, (shape){.set = "small", .batch = 1, .heads = 16, .tokens = 65, .target_us = 1e9, .stretch_us = 1e-9});
  (void)add(list, (shape){.set = "small", .batch = 2, .heads = 16, .tokens = 130});
  (void)add(list, (shape){.set = "small", .batch = 2, .heads = 16, .tokens = 130, .top = 70});
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

double shape_bytes(const shape *s) {
  double pages = (double)((s->tokens + PAGE_TOKENS - 1) / PAGE_TOKENS);
  double rows = (double)s->batch * s->heads;
  double page_bytes = (double)format_page_bytes(s->format);
  double images = s->top ? shape_seen(s) * page_bytes / PAGE_TOKENS : pages * page_bytes;
  return s->batch * images + rows * (LATENT + ROPE) * 2 + rows * LATENT * 2;
}

/* Content is multiplied twice, RoPE once, each in the number type that the format stores, but that values with several scales are
 * multiplied in bf16. */
static double content_flop(const shape *s) { return 4.0 * LATENT * s->batch * s->heads * shape_seen(s); }
static double rope_flop(const shape *s) { return 2.0 * ROPE * s->batch * s->heads * shape_seen(s); }

double shape_fp8_flop(const shape *s) {
  return s->format == SNAPMLA_KV_BF16         ? 0.0
         : s->format == SNAPMLA_KV_FP8_TENSOR ? content_flop(s) + rope_flop(s)
         : s->format == SNAPMLA_KV_FP8_TILE   ? content_flop(s) / 2
                                              : content_flop(s);
}

double shape_bf16_flop(const shape *s) { return content_flop(s) + rope_flop(s) - shape_fp8_flop(s); }

void shapes_choose_format(shape_list *list, snapmla_kv_format format) {
  for (size_t i = 0; i < list->count; i++) {
    shape *s = &list->at[i];
    s->format = format;
    if (format != SNAPMLA_KV_FP8_TOKEN) s->target_us = s->stretch_us = 0;
  }
}

int64_t format_page_bytes(snapmla_kv_format format) {
  snapmla_problem problem;
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_problem_init(&problem);
  problem.kv_format = format;
  return snapmla_page_layout_get(&problem, &layout) ? 0 : layout.page_bytes;
}
