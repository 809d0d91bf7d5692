/* snapmla model: what the cost model says over batches and context lengths. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "library.h"
#include "options.h"
#include "planning.h"
#include "problem.h"
#include "session.h"

static const char usual_batches[] = "1,2,4,8,16,32,64,128";
static const char usual_contexts[] = "1024,2048,4096,8192,16384,32768,65536,131072";

enum { MOST_VALUES = 256 };

/* A comma list of counts. */
static snapmla_status read_list(const char *option, const char *text, double values[MOST_VALUES], size_t *count) {
  for (*count = 0; *text;) {
    size_t length = strcspn(text, ",");
    long long number;
    if (*count == MOST_VALUES || smla_read_integer(text, length, &number) || number < 1 || number > 1 << 30)
      return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "--%s: \"%.40s\": give up to %d integers from 1, with commas between", option, text,
                               (int)MOST_VALUES);
    values[(*count)++] = (double)number;
    text += length + (text[length] == ',');
  }
  return *count ? SNAPMLA_OK : smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s: the list is empty", option);
}

static void add_row(json_t *rows, double batch, double context, const snapmla_model_point *p) {
  json_t *row = json_object();
  smla_json_set(row, "batch", json_integer((json_int_t)batch));
  smla_json_set(row, "context", json_integer((json_int_t)context));
  smla_json_set(row, "time_us", smla_json_real(p->calibrated_us));
  smla_json_set(row, "model_us", smla_json_real(p->total_us));
  smla_json_set(row, "hbm_us", smla_json_real(p->hbm_us));
  smla_json_set(row, "tensor_us", smla_json_real(p->tensor_us));
  smla_json_set(row, "shared_us", smla_json_real(p->shared_us));
  smla_json_set(row, "special_us", smla_json_real(p->special_us));
  smla_json_set(row, "latency_us", smla_json_real(p->latency_us));
  smla_json_set(row, "combine_us", smla_json_real(p->combine_us));
  smla_json_set(row, "fixed_us", smla_json_real(p->fixed_us));
  smla_json_set(row, "tokens_per_second", smla_json_real(p->tokens_per_second));
  smla_json_set(row, "bytes", smla_json_real(p->bytes));
  smla_json_set(row, "bound", json_string(p->bound));
  smla_json_set(row, "variant", json_string(p->variant));
  json_array_append_new(rows, row);
}

static void print_csv(double batch, double context, const snapmla_model_point *p) {
  printf("%.0f,%.0f,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,%.6g,%s,\"%s\"\n", batch, context, p->calibrated_us,
         p->total_us, p->hbm_us, p->tensor_us, p->shared_us, p->special_us, p->latency_us, p->combine_us, p->fixed_us,
         p->tokens_per_second, p->bound, p->variant);
}

static void print_row(double batch, double context, const snapmla_model_point *p) {
  printf("%6.0f %8.0f %10.2f %9.2f %9.2f %9.2f %9.2f %9.2f %9.2f %8.2f %12.4g  %s\n", batch, context, p->calibrated_us,
         p->hbm_us, p->tensor_us, p->shared_us, p->special_us, p->latency_us, p->combine_us, p->fixed_us,
         p->tokens_per_second, p->bound);
}

static void print_head(const smla_settings *settings) {
  if (settings->csv)
    puts(
        "batch,context,time_us,model_us,hbm_us,tensor_us,shared_us,special_us,latency_us,combine_us,fixed_us,tokens_"
        "per_second,"
        "bound,variant");
  else
    printf("%6s %8s %10s %9s %9s %9s %9s %9s %9s %8s %12s  %s\n", "batch", "context", "time us", "hbm", "tensor",
           "shared", "special", "latency", "combine", "fixed", "tokens/s", "bound");
}

static snapmla_status model_all(const smla_settings *settings, snapmla_context *context, const snapmla_problem *problem,
                                const char *variant, json_t *rows) {
  double batches[MOST_VALUES], contexts[MOST_VALUES];
  size_t batch_count, context_count;
  snapmla_status status =
      read_list("batches", settings->batches ? settings->batches : usual_batches, batches, &batch_count);
  if (!status)
    status = read_list("contexts", settings->contexts ? settings->contexts : usual_contexts, contexts, &context_count);
  if (!status && !settings->json) print_head(settings);
  for (size_t b = 0; !status && b < batch_count; ++b)
    for (size_t c = 0; !status && c < context_count; ++c) {
      snapmla_model_point point = {.size = sizeof point};
      status = smla_library_status(
          snapmla_model_query(context, settings->machine, problem, variant, batches[b], contexts[c], &point));
      if (status) break;
      if (settings->json)
        add_row(rows, batches[b], contexts[c], &point);
      else if (settings->csv)
        print_csv(batches[b], contexts[c], &point);
      else
        print_row(batches[b], contexts[c], &point);
    }
  return status;
}

smla_exit smla_command_model(const smla_settings *settings) {
  snapmla_context *context = NULL;
  snapmla_device_info info;
  snapmla_problem problem;
  char *variant = NULL;
  json_t *rows = json_array();
  snapmla_status status = smla_planning_problem(settings, &problem);
  if (!status) status = smla_problem_variant(settings, &variant);
  if (!status) status = smla_device_open(settings, &context, &info);
  if (!status) status = model_all(settings, context, &problem, variant, rows);
  if (!status && settings->json) status = smla_json_print(json_incref(rows));
  if (status) smla_console_error();
  json_decref(rows);
  free(variant);
  snapmla_context_destroy(context);
  return smla_console_exit_code(status);
}
