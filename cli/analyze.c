/* snapmla analyze: the command, its table and its JSON. */
#include "analyze.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "lapack.h"

static const double usual_budget = 0.05;

static json_t *up_json(const smla_up *up) {
  json_t *out = json_object();
  smla_json_set(out, "sigma_max", smla_json_real(up->largest));
  smla_json_set(out, "sigma_min", smla_json_real(up->least));
  smla_json_set(out, "rank", json_integer(up->matrix_rank));
  smla_json_set(out, "cond", smla_json_real(up->cond));
  smla_json_set(out, "cond_visible", smla_json_real(up->cond_visible));
  smla_json_set(out, "visible", smla_json_real(up->visible));
  return out;
}

static json_t *errors_json(const smla_errors *e) {
  json_t *out = json_object();
  smla_json_set(out, "latent", smla_json_real(e->latent));
  smla_json_set(out, "latent_visible", smla_json_real(e->latent_visible));
  smla_json_set(out, "bound", smla_json_real(e->bound));
  smla_json_set(out, "bound_data", smla_json_real(e->bound_data));
  smla_json_set(out, "seen", smla_json_real(e->seen));
  smla_json_set(out, "seen_key", smla_json_real(e->key));
  smla_json_set(out, "seen_value", smla_json_real(e->value));
  return out;
}

static json_t *format_json(const smla_layer *layer, const smla_format_errors *f) {
  json_t *out = errors_json(&f->layer), *levels = json_array(), *heads = json_array();
  smla_json_set(out, "format", json_string(snapmla_kv_format_name(f->problem.kv_format)));
  smla_json_set(out, "bytes_per_token", smla_json_real(f->bytes_per_token));
  smla_json_set(out, "kv_scale", smla_json_real((double)f->kv_scale));
  smla_json_set(out, "rope", smla_json_real(f->rope));
  smla_json_set(out, "worst_token", smla_json_real(f->worst_token));
  for (int v = 0; v < f->levels; ++v) {
    json_t *level = json_object();
    smla_json_set(level, "accuracy", json_string(snapmla_accuracy_name(f->level[v])));
    smla_json_set(level, "attention", smla_json_real(f->attention[v]));
    json_array_append_new(levels, level);
  }
  for (int32_t h = 0; h < layer->heads; ++h) {
    json_t *head = errors_json(&f->heads[h]), *attention = json_object();
    for (int v = 0; v < f->levels; ++v)
      smla_json_set(attention, snapmla_accuracy_name(f->level[v]), smla_json_real(f->attention_heads[v][h]));
    smla_json_set(head, "attention", attention);
    json_array_append_new(heads, head);
  }
  smla_json_set(out, "levels", levels);
  smla_json_set(out, "heads", heads);
  return out;
}

static json_t *recommended_json(const smla_analysis *a, double budget) {
  int format, level;
  if (smla_analysis_recommend(a, budget, &format, &level)) return json_null();
  json_t *out = json_object();
  smla_json_set(out, "format", json_string(snapmla_kv_format_name(a->formats[format].problem.kv_format)));
  smla_json_set(out, "accuracy", json_string(snapmla_accuracy_name(a->formats[format].level[level])));
  smla_json_set(out, "attention", smla_json_real(a->formats[format].attention[level]));
  smla_json_set(out, "bytes_per_token", smla_json_real(a->formats[format].bytes_per_token));
  return out;
}

static json_t *layer_json(const smla_settings *settings, const smla_layer *layer, const smla_analysis *a,
                          double budget) {
  json_t *out = json_object(), *heads = json_array(), *formats = json_array();
  smla_json_set(out, "layer", json_integer(layer->number));
  smla_json_set(out, "tokens", json_integer(layer->tokens));
  smla_json_set(out, "latent_rank", json_integer(layer->rank));
  smla_json_set(out, "queries", json_integer(layer->queries));
  smla_json_set(out, "queries_given", json_boolean(layer->queries_given));
  smla_json_set(out, "up", up_json(&a->layer));
  for (int32_t h = 0; h < layer->heads; ++h) json_array_append_new(heads, up_json(&a->heads[h]));
  smla_json_set(out, "heads", heads);
  for (int i = 0; i < a->format_count; ++i) json_array_append_new(formats, format_json(layer, &a->formats[i]));
  smla_json_set(out, "formats", formats);
  if (settings->recommend) smla_json_set(out, "recommended", recommended_json(a, budget));
  return out;
}

static void print_row(const char *who, const smla_errors *e, const smla_format_errors *f, double attention,
                      const char *level) {
  printf("  %-11s %-11s %-9s %9.2e %9.2e %9.2e %9.2e %9.2e %9.2e %10.2e\n", who,
         snapmla_kv_format_name(f->problem.kv_format), level, e->latent, e->bound, e->bound_data, e->key, e->value,
         e->seen, attention);
}

static void print_layer(const smla_settings *settings, const smla_layer *layer, const smla_analysis *a, double budget) {
  char who[32];
  smla_console_progress_end();
  printf("layer %" PRId32 ": %" PRId32 " tokens, %" PRId32 " heads; %s\n", layer->number, layer->tokens, layer->heads,
         layer->queries_given ? "queries of the file" : "probes for queries");
  printf("  up-projection: singular values %.4g to %.4g, rank %" PRId32 " of %" PRId32 ", condition %.4g\n",
         a->layer.largest, a->layer.least, a->layer.matrix_rank, layer->rank, a->layer.cond);
  printf("  %-11s %-11s %-9s %9s %9s %9s %9s %9s %9s %10s\n", "", "format", "level", "latent", "bound", "of data",
         "keys", "values", "both", "attention");
  for (int i = 0; i < a->format_count; ++i) {
    const smla_format_errors *f = &a->formats[i];
    for (int v = 0; v < f->levels; ++v) {
      const char *level = snapmla_accuracy_name(f->level[v]);
      int32_t worst = 0;
      print_row("all heads", &f->layer, f, f->attention[v], level);
      for (int32_t h = 0; h < layer->heads; ++h) {
        if (f->attention_heads[v][h] > f->attention_heads[v][worst]) worst = h;
        if (!settings->all) continue;
        snprintf(who, sizeof who, "head %" PRId32, h);
        print_row(who, &f->heads[h], f, f->attention_heads[v][h], level);
      }
      snprintf(who, sizeof who, "worst: %" PRId32, worst);
      print_row(who, &f->heads[worst], f, f->attention_heads[v][worst], level);
    }
  }
  int format, level;
  if (!settings->recommend) return;
  if (smla_analysis_recommend(a, budget, &format, &level))
    printf("  recommended: none, no format keeps attention within %g\n", budget);
  else
    printf("  recommended: %s, %s: attention within %.2e of %g, %g bytes a token\n",
           snapmla_kv_format_name(a->formats[format].problem.kv_format),
           snapmla_accuracy_name(a->formats[format].level[level]), a->formats[format].attention[level], budget,
           a->formats[format].bytes_per_token);
}

smla_exit smla_command_analyze(const smla_settings *settings) {
  smla_layer_files files;
  json_t *layers = json_array();
  double budget = isnan(settings->budget) ? usual_budget : settings->budget;
  int without = 0, missing = 0;
  snapmla_status status = smla_layer_files_open(settings, &files);
  if (!status) {
    status = smla_lapack_open();
    missing = status != SNAPMLA_OK;
  }
  for (size_t i = 0; !status && i < files.layer_count; ++i) {
    smla_layer layer;
    smla_analysis analysis = {0};
    int format, level;
    status = smla_layer_read(settings, &files, i, &layer);
    if (!status) status = smla_layer_analyze(settings, &layer, &analysis);
    if (!status && settings->json) json_array_append_new(layers, layer_json(settings, &layer, &analysis, budget));
    if (!status && !settings->json) print_layer(settings, &layer, &analysis, budget);
    if (!status && settings->recommend) without += smla_analysis_recommend(&analysis, budget, &format, &level);
    smla_analysis_free(&analysis);
    smla_layer_free(&layer);
  }
  smla_layer_files_close(&files);
  if (!status && settings->json) {
    json_t *root = json_object();
    if (settings->recommend) smla_json_set(root, "budget", smla_json_real(budget));
    smla_json_set(root, "layers", json_incref(layers));
    status = smla_json_print(root);
  }
  json_decref(layers);
  if (status) {
    if (settings->json) smla_json_print_failure(status);
    smla_console_error();
    return missing ? SMLA_EXIT_MISSING : smla_console_exit_code(status);
  }
  return without ? SMLA_EXIT_FAILED : SMLA_EXIT_OK;
}
