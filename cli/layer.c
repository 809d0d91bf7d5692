/* snapmla layer: the attention of a model's layers in one decode step, checked and timed. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "layer_session.h"
#include "session.h"

/* Multiply-adds that the reference may spend per core of this machine, unless --check says how many requests. */
static const double effort_per_core = 4e9;
enum { DEFAULT_REPEAT = 20 };

/* Relative L2 against the reference on the same cached rows: what the level allows, and the rounding of the query that it does not
 * count; in bf16, of sums handed on. */
static const double limit_fp8 = 7e-2, limit_bf16 = 1e-2;

typedef struct outcome {
  double rel_l2, limit; /* the worst request compared */
  int32_t compared;
  double time_us, bytes;
  uint32_t status_word;
  int same_bits, ok;
} outcome;

/* Multiply-adds of the reference for one request. */
static double cost_of(const smla_layer_session *s, int32_t request) {
  const snapmla_problem *p = &s->problem.attention;
  double head = s->problem.nope_dim + s->problem.v_dim + 2.0 * s->lengths.items[request];
  double output = (double)p->heads * s->problem.v_dim * s->problem.hidden_size;
  return ((double)p->heads * p->latent_rank * head + output) * p->q_len;
}

/* As many requests as the effort allows, the first at any rate, or as --check says. */
static snapmla_status compare(const smla_layer_session *s, const uint16_t *out, outcome *o) {
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  double effort = effort_per_core * (double)(cores > 0 ? cores : 1);
  int32_t most = s->settings->check;
  snapmla_status status = SNAPMLA_OK;
  for (int32_t b = 0; b < s->lengths.count && !status; b++) {
    double one = 0, cost = cost_of(s, b);
    if (most ? o->compared == most : o->compared && cost > effort) continue;
    effort -= cost;
    smla_console_progress("comparing with the reference: request %d of %d", b + 1, s->lengths.count);
    status = smla_layer_session_compare(s, b, out, &one);
    if (!status && !isnan(o->rel_l2) && !(one <= o->rel_l2)) o->rel_l2 = one; /* NaN stays */
    o->compared++;
  }
  return status;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* On a GPU the median of repeated steps, after three; a step appends the same tokens again, and must give the same bits. */
static snapmla_status time_steps(smla_layer_session *s, const uint16_t *out, outcome *o) {
  if (s->info.is_emulator) return SNAPMLA_OK;
  int32_t count = s->settings->repeat ? s->settings->repeat : DEFAULT_REPEAT;
  size_t bytes = smla_layer_session_count(s) * 2;
  double *times = malloc((size_t)count * sizeof *times), warm;
  uint16_t *again = malloc(bytes);
  snapmla_status status =
      times && again ? SNAPMLA_OK : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for times");
  for (int i = 0; i < 3 && !status; i++) status = smla_layer_session_step(s, &warm);
  for (int32_t i = 0; i < count && !status; i++) status = smla_layer_session_step(s, &times[i]);
  if (!status) status = smla_layer_session_read(s, again, &o->status_word);
  if (!status) {
    qsort(times, (size_t)count, sizeof *times, ascending);
    o->time_us = times[count / 2];
    o->same_bits = !memcmp(out, again, bytes);
  }
  free(times), free(again);
  return status;
}

/* What a step has to read at least: the weights and the requests' tokens, of each layer. */
static double bytes_of(const smla_layer_session *s) {
  snapmla_page_layout layout = {.size = sizeof layout};
  double tokens = 0;
  if (snapmla_page_layout_get(&s->problem.attention, &layout)) return 0;
  for (int32_t b = 0; b < s->lengths.count; b++) tokens += s->lengths.items[b];
  double weights = (double)s->kv_b_bytes + (double)s->o_bytes + 4 * (double)(s->scale_count + s->o_scale_count);
  return s->layer_count * (weights + tokens * layout.bytes_per_token);
}

static const char *time_kind(const smla_layer_session *s) { return s->info.is_emulator ? "modelled" : "measured"; }

static double tokens_per_second(const smla_layer_session *s, const outcome *o) {
  return (double)s->lengths.count * s->problem.attention.q_len / o->time_us * 1e6;
}

/* Beside the attention's, which the layer's own follow. */
static const char *const families[] = {"kv_append", "query_absorb", "value_project", "output_project"};

/* The last only where there is an output. */
static int family_count(const smla_layer_session *s) {
  return (int)(sizeof families / sizeof *families) - !s->problem.hidden_size;
}

static snapmla_status print_json(const smla_layer_session *s, const outcome *o) {
  json_t *root = json_object(), *variants = json_array();
  const char *library = snapmla_layer_plan_library(s->plan);
  smla_json_set(root, "ok", json_boolean(o->ok));
  for (int i = 0; i < family_count(s); i++)
    json_array_append_new(variants, json_string(snapmla_layer_plan_variant(s->plan, families[i])));
  json_array_append_new(variants,
                        json_string(snapmla_plan_variant(snapmla_layer_plan_attention(s->plan), "mla_decode")));
  smla_json_set(root, "variants", variants);
  smla_json_set(root, "library", library ? smla_json_text(library) : json_null());
  smla_json_set(root, "device", json_string(s->info.name));
  smla_json_set(root, "product", smla_json_text(s->info.product));
  smla_json_set(root, "rel_l2", o->compared ? smla_json_real(o->rel_l2) : json_null());
  smla_json_set(root, "rel_l2_limit", smla_json_real(o->limit));
  smla_json_set(root, "requests", json_integer(s->lengths.count));
  smla_json_set(root, "compared", json_integer(o->compared));
  smla_json_set(root, "layers", json_integer(s->layer_count));
  smla_json_set(root, "time_us", smla_json_real(o->time_us));
  smla_json_set(root, "layer_us", smla_json_real(o->time_us / s->layer_count));
  smla_json_set(root, "time_kind", json_string(time_kind(s)));
  smla_json_set(root, "tokens_per_second", smla_json_real(tokens_per_second(s, o)));
  smla_json_set(root, "bytes", smla_json_real(o->bytes));
  smla_json_set(root, "gb_per_s", smla_json_real(o->bytes / o->time_us * 1e-3));
  smla_json_set(root, "same_bits", json_boolean(o->same_bits));
  smla_json_set(root, "status_word", json_integer(o->status_word));
  return smla_json_print(root);
}

static void print_text(const smla_layer_session *s, const outcome *o) {
  const snapmla_problem *p = &s->problem.attention;
  for (int i = 0; i < family_count(s); i++)
    printf("%-11s %s\n", i ? "" : "variants", snapmla_layer_plan_variant(s->plan, families[i]));
  printf("%-11s %s\n", "", snapmla_plan_variant(snapmla_layer_plan_attention(s->plan), "mla_decode"));
  printf("device      %s (%s)\n", s->info.name, s->info.product);
  printf("problem     %d heads of %d + %d, values of %d, latent %d, %s weights, cache in %s\n", p->heads,
         s->problem.nope_dim, p->rope_dim, s->problem.v_dim, p->latent_rank, s->problem.weight_type ? "fp8" : "bf16",
         snapmla_kv_format_name(p->kv_format));
  const char *library = snapmla_layer_plan_library(s->plan);
  if (s->problem.hidden_size)
    printf("output      %d channels, by %s\n", s->problem.hidden_size, library ? library : "the generated kernel");
  printf("step        %d layers, %d requests, %d tokens each\n", s->layer_count, s->lengths.count, p->q_len);
  if (o->compared)
    printf("error       rel. L2 %.3g, at most %.3g is right; compared: %d of %d requests\n", o->rel_l2, o->limit,
           o->compared, s->lengths.count);
  else
    puts("error       not compared (--no-check)");
  printf("bytes       %.3f MB a step: weights and cached tokens\n", o->bytes * 1e-6);
  printf("time        %.2f us a step (%s), %.2f us a layer, %.0f GB/s\n", o->time_us, time_kind(s),
         o->time_us / s->layer_count, o->bytes / o->time_us * 1e-3);
  printf("throughput  %.0f tokens/s, of this part of the layers alone\n", tokens_per_second(s, o));
  if (!o->same_bits) puts("            a repeated step gave other bits");
  if (o->status_word) printf("            the device's status word is %" PRIu32 "\n", o->status_word);
  puts(o->ok ? "ok" : "FAILED");
}

smla_exit smla_command_layer(const smla_settings *settings) {
  snapmla_context *context = NULL;
  snapmla_device_info info = {.size = sizeof info};
  smla_layer_session s = {0};
  outcome o = {.same_bits = 1};
  uint16_t *out = NULL;
  snapmla_status status = smla_device_open(settings, &context, &info);
  if (!status) status = smla_layer_session_open(settings, context, &info, &s);
  o.limit = s.problem.attention.kv_format == SNAPMLA_KV_BF16 ? limit_bf16 : limit_fp8;
  if (!status && !(out = malloc(smla_layer_session_count(&s) * sizeof *out)))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the result");
  if (!status) status = smla_layer_session_step(&s, &o.time_us);
  if (!status) status = smla_layer_session_read(&s, out, &o.status_word);
  if (!status && !settings->no_check) status = compare(&s, out, &o);
  if (!status) status = time_steps(&s, out, &o);
  o.bytes = status ? 0 : bytes_of(&s);
  o.ok = o.rel_l2 <= o.limit && o.same_bits && !o.status_word;
  smla_console_progress_end();
  if (!status && settings->json)
    status = print_json(&s, &o);
  else if (!status)
    print_text(&s, &o);
  if (status) {
    smla_console_error();
    if (settings->json) smla_json_print_failure(status);
  }
  free(out);
  smla_layer_session_close(&s);
  snapmla_context_destroy(context);
  if (status) return smla_console_exit_code(status);
  return o.ok ? SMLA_EXIT_OK : SMLA_EXIT_FAILED;
}
