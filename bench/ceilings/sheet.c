/* Figures as CSV and as a table. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ceilings.h"
#include "status.h"

void sheet_begin(sheet *s, int argc, char **argv) {
  bench_print_header(stdout, s->b, argc, argv);
  printf("\n%-8s %-62s %11s %11s %-10s %7s %6s  %s\n", "group", "variant", "median", "p90", "unit", "ceiling", "MHz",
         "output");
  if (!s->csv) return;
  bench_print_header(s->csv, s->b, argc, argv);
  fprintf(s->csv, "group,variant,median,p90,best,unit,time_us,spread_us,ceiling,ceiling_of,percent,sm_mhz,output\n");
}

/* NaN as nothing. */
static const char *number(char *text, size_t bytes, const char *format, double value) {
  text[0] = 0;
  if (isfinite(value)) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, bytes, format, value);
#pragma GCC diagnostic pop
  }
  return text;
}

void sheet_add(sheet *s, const figure *f) {
  char median[32], p90[32], best[32], percent[32], mhz[32];
  number(median, sizeof median, "%.4g", f->value);
  number(p90, sizeof p90, "%.4g", f->low);
  number(best, sizeof best, "%.4g", f->high);
  number(percent, sizeof percent, "%.1f", f->ceiling > 0 ? 100 * f->value / f->ceiling : NAN);
  number(mhz, sizeof mhz, "%.0f", f->sm_mhz);
  s->figures++;
  s->wrong += !f->right;
  printf("%-8s %-62s %11s %11s %-10s %6s%% %6s  %s\n", f->group, f->variant, median, p90, f->unit, percent, mhz,
         f->right ? "right" : "WRONG");
  fflush(stdout);
  if (!s->csv) return;
  fprintf(s->csv, "%s,\"%s\",%s,%s,%s,%s,%.3f,%.3f,", f->group, f->variant, median, p90, best, f->unit, f->time_us,
          f->spread_us);
  if (f->ceiling > 0) fprintf(s->csv, "%.6g,%s", f->ceiling, f->ceiling_of);
  if (f->ceiling <= 0) fprintf(s->csv, ",");
  fprintf(s->csv, ",%s,%s,%s\n", percent, mhz, f->right ? "right" : "wrong");
  fflush(s->csv);
}

figure figure_of_rate(const char *group, const char *variant, const char *unit, double amount, const bench_times *t) {
  return (figure){.group = group,
                  .variant = variant,
                  .unit = unit,
                  .value = amount / t->median,
                  .low = amount / t->p90,
                  .high = amount / t->min,
                  .time_us = t->median,
                  .spread_us = t->spread,
                  .ceiling_of = "",
                  .sm_mhz = NAN};
}

void variant_add(variant_list *list, const char *format, ...) {
  if (list->count == VARIANTS) abort(); /* the lists below are fixed: a mistake in one of them */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(list->text[list->count++], VARIANT_TEXT, format, arguments);
  va_end(arguments);
}

snapmla_status variant_number(const bench *b, const char *variant, const char *name, uint32_t *out) {
  smla_quantity *list = NULL;
  size_t count = 0;
  snapmla_status status = smla_generator_describe(b->generator, variant, &list, &count);
  if (status) return status;
  status = smla_fail(SNAPMLA_TEMPLATE, "%s has no quantity %s", variant, name);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(list[i].name, name)) {
      *out = (uint32_t)list[i].value;
      status = SNAPMLA_OK;
    }
  free(list);
  return status;
}
