#include "tune_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "json_output.h"
#include "layer_session.h"
#include "library.h"
#include "narrow.h"
#include "planning.h"

enum {
  MOST_VALUES = 4,
  LAYERS = 4, /* of a step on a GPU: with weights of their own they empty much of L2 for each other */
  WARM_STEPS = 3,
  ROUNDS = 21,
  EMULATED_TOKENS = 1024, /* of a request at most: the prompt is appended by emulated kernels */
  EMULATED_REQUESTS = 2,
  CACHED_TOKENS = 8 * 1024 * 1024 /* of all requests and layers at most: 5 to 10 GB */
};

static const double least_gain = 0.01, most_distance = 1e-2;

/* An axis and its values. */
static const struct {
  const char *family, *axis, *values[MOST_VALUES + 1];
  int of_output; /* nonzero: only with --hidden */
} axes[] = {{"value_project", "combine", {"separate", "fused"}, 0},
            {"output_project", "split", {"1", "2", "4", "8"}, 1}};

typedef struct candidate {
  char text[160]; /* override of the layer's own kernels */
  snapmla_layer_plan *plan;
  int is_default, is_wrong;
  double times[ROUNDS], median, distance;
} candidate;

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* One step with a candidate's plan, in the session's memory. */
static snapmla_status step(smla_layer_session *s, const candidate *c, double *us) {
  snapmla_layer_plan *own = s->plan;
  s->plan = c->plan;
  snapmla_status status = smla_layer_session_step(s, us);
  s->plan = own;
  return status;
}

/* The plan's axis has this value by itself. */
static int has_value(const snapmla_layer_plan *plan, const char *family, const char *axis, const char *value) {
  char text[64];
  int length = snprintf(text, sizeof text, "%s=%s", axis, value);
  const char *variant = snapmla_layer_plan_variant(plan, family), *found = variant ? strstr(variant, text) : NULL;
  return found && (found[length] == ',' || !found[length]);
}

static void add_row(json_t *rows, const candidate *c, int layers, const char *error) {
  json_t *row = json_object();
  smla_json_set(row, "variant", json_string(c->text));
  smla_json_set(row, "time_us", error ? json_null() : smla_json_real(c->median / layers));
  smla_json_set(row, "rel_l2", error && !c->is_wrong ? json_null() : smla_json_real(c->distance));
  smla_json_set(row, "default", json_boolean(c->is_default));
  smla_json_set(row, "error", error ? smla_json_text(error) : json_null());
  json_array_append_new(rows, row);
}

static double distance(const uint16_t *got, const uint16_t *expected, size_t count) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < count; i++) {
    double a = (double)smla_widen_bf16(got[i]), b = (double)smla_widen_bf16(expected[i]);
    error += (a - b) * (a - b);
    norm += b * b;
  }
  return sqrt(norm > 0 ? error / norm : error);
}

/* Runs each once, and holds its result against `expected`, that of the session's own plan. */
static snapmla_status check(smla_layer_session *s, candidate *list, size_t count, const uint16_t *expected,
                            uint16_t *room) {
  snapmla_status status = SNAPMLA_OK;
  size_t elements = smla_layer_session_count(s);
  uint32_t word = 0;
  double us;
  for (size_t i = 0; i < count && !status; i++) {
    status = step(s, &list[i], &us);
    if (!status) status = smla_layer_session_read(s, room, &word);
    if (status) break;
    list[i].distance = distance(room, expected, elements);
    list[i].is_wrong = !(list[i].distance <= most_distance) || word; /* NaN is wrong */
  }
  return status;
}

/* Interleaved rounds; the emulator's times are the same every time. */
static snapmla_status time_all(smla_layer_session *s, candidate *list, size_t count) {
  int rounds = s->info.is_emulator ? 1 : ROUNDS, warm = s->info.is_emulator ? 0 : WARM_STEPS;
  snapmla_status status = SNAPMLA_OK;
  double us;
  for (int round = -warm; round < rounds && !status; round++)
    for (size_t i = 0; i < count && !status; i++) {
      if (list[i].is_wrong) continue;
      status = step(s, &list[i], round < 0 ? &us : &list[i].times[round]);
    }
  for (size_t i = 0; i < count && !status; i++) {
    qsort(list[i].times, (size_t)rounds, sizeof *list[i].times, ascending);
    list[i].median = list[i].times[rounds / 2];
  }
  return status;
}

/* The fastest of those that are right; the default unless one is faster by more than noise. */
static const candidate *choose(const candidate *list, size_t count) {
  const candidate *best = NULL, *usual = NULL;
  for (size_t i = 0; i < count; i++) {
    if (list[i].is_wrong) continue;
    if (!best || list[i].median < best->median) best = &list[i];
    if (list[i].is_default) usual = &list[i];
  }
  return usual && best && best->median > (1 - least_gain) * usual->median ? usual : best;
}

/* Tries the values of one axis beside what was chosen so far; adds the choice to out->variant. */
static snapmla_status tune_axis(smla_layer_session *s, size_t axis, const uint16_t *expected, uint16_t *room,
                                smla_layer_choice *out) {
  const char *family = axes[axis].family, *name = axes[axis].axis;
  candidate list[MOST_VALUES] = {0};
  size_t count = 0;
  snapmla_status status = SNAPMLA_OK;
  for (const char *const *value = axes[axis].values; *value && !status; value++) {
    candidate *c = &list[count];
    snprintf(c->text, sizeof c->text, "%s%s%s:%s=%s", out->variant ? out->variant : "", out->variant ? ";" : "", family,
             name, *value);
    c->is_default = has_value(s->plan, family, name, *value);
    smla_console_progress("compiling %s", c->text);
    char variant[2048];
    snprintf(variant, sizeof variant, "%s;%s", s->settings->variants.items[0], c->text);
    const snapmla_plan_options options = smla_planning_options(s->settings, SNAPMLA_EFFORT_ESTIMATE, variant);
    status = smla_library_status(snapmla_layer_plan_create(s->context, &s->problem, &options, &c->plan));
    if (status == SNAPMLA_ILLEGAL_VARIANT) { /* as more shares than there are chunks */
      add_row(out->candidates, c, s->layer_count, smla_console_reason());
      *c = (candidate){0};
      status = SNAPMLA_OK;
    } else {
      count++;
    }
  }
  if (!status) status = check(s, list, count, expected, room);
  if (!status) status = time_all(s, list, count);
  const candidate *best = status ? NULL : choose(list, count);
  if (!status && !best)
    status = smla_console_fail(SNAPMLA_INTERNAL, "no value of %s:%s gave the default's result", family, name);
  for (size_t i = 0; i < count; i++) {
    if (!status)
      add_row(out->candidates, &list[i], s->layer_count, list[i].is_wrong ? "its result is not the default's" : NULL);
    snapmla_layer_plan_destroy(list[i].plan);
  }
  if (status) return status;
  free(out->variant);
  out->us = best->median / s->layer_count;
  out->variant = strdup(best->text);
  return out->variant ? SNAPMLA_OK : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a variant's text");
}

/* The settings of the session: requests and layers as tuning wants them, of the problem that attention was tuned for. `context` has room
 * for a number. */
static smla_settings settings_of(const smla_settings *given, const snapmla_problem *problem, int is_emulator,
                                 char *context, size_t room) {
  smla_settings s = *given;
  s.layers = is_emulator ? 1 : LAYERS;
  s.effort = SNAPMLA_EFFORT_ESTIMATE;
  if (s.context) return s;
  s.batch = is_emulator && problem->max_batch > EMULATED_REQUESTS ? EMULATED_REQUESTS : problem->max_batch;
  s.max_context = problem->max_context;
  int64_t most = is_emulator ? EMULATED_TOKENS : CACHED_TOKENS / ((int64_t)problem->max_batch * LAYERS);
  if (most < problem->q_len) most = problem->q_len;
  snprintf(context, room, "%d", most < problem->max_context ? (int)most : (int)problem->max_context);
  s.context = context;
  return s;
}

snapmla_status smla_tune_layer(const smla_settings *settings, const snapmla_problem *problem,
                               const snapmla_plan *attention, snapmla_context *context, const snapmla_device_info *info,
                               smla_layer_choice *out) {
  char length[16];
  const char *decode = snapmla_plan_variant(attention, "mla_decode");
  smla_settings own = settings_of(settings, problem, info->is_emulator, length, sizeof length);
  own.variants = (smla_text_list){.items = &decode, .count = 1};
  smla_layer_session s = {0};
  uint16_t *expected = NULL, *room = NULL;
  uint32_t word = 0;
  double us;
  out->candidates = json_array();
  snapmla_status status = smla_layer_session_open(&own, context, info, &s);
  if (!status) {
    size_t bytes = smla_layer_session_count(&s) * sizeof *expected;
    expected = malloc(bytes);
    room = malloc(bytes);
    if (!expected || !room) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a layer's results");
  }
  if (!status) status = smla_layer_session_step(&s, &us);
  if (!status) status = smla_layer_session_read(&s, expected, &word);
  for (size_t axis = 0; axis < sizeof axes / sizeof *axes && !status; axis++)
    if (!axes[axis].of_output || s.problem.hidden_size) status = tune_axis(&s, axis, expected, room, out);
  smla_console_progress_end();
  free(expected), free(room);
  smla_layer_session_close(&s);
  return status;
}

void smla_layer_choice_free(smla_layer_choice *choice) {
  free(choice->variant);
  json_decref(choice->candidates);
  *choice = (smla_layer_choice){0};
}
