#include "report.h"

#include <math.h>

enum { NAME_TEXT = 64, NUMBERS = 4 };

/* As the columns batch to q_len have it. */
static void name_of(const shape *s, char *text, size_t bytes) {
  snprintf(text, bytes, "%d,%d,%d,%d,%d", s->batch, s->heads, s->tokens, s->top, s->q_len);
}

void report_begin(report *r, const bench *b, int argc, char **argv) {
  const ceilings *c = &r->ceilings;
  FILE *files[] = {stdout, r->csv};
  for (int i = 0; i < 2; i++) {
    if (!files[i]) continue;
    bench_print_header(files[i], b, argc, argv);
    if (c->gb_per_s > 0)
      fprintf(files[i], "# ceilings: %.0f GB/s read, %.0f TFLOP/s e4m3, %.0f TFLOP/s bf16\n", c->gb_per_s,
              c->fp8_tflops, c->bf16_tflops);
    else
      fprintf(files[i], "# ceilings: not given, so no percentages (--ceilings)\n");
  }
  printf("\n%-24s %-6s %-7s %-15s %9s %9s %9s %5s %8s %8s %6s %6s  %s\n", "batch,heads,tokens,top,q", "flush", "mode",
         "part", "median us", "min", "p90", "MHz", "GB/s", "TFLOP/s", "mem %", "mma %", "target");
  if (r->csv)
    fprintf(r->csv,
            "set,batch,heads,tokens,top,q_len,accuracy,flush,mode,part,median_us,min_us,p90_us,spread_us,sm_mhz,bytes,"
            "gb_per_s,flop,tflop_per_s,percent_memory,percent_tensor,target_us,stretch_us,verdict,variant\n");
}

static const char *verdict_of(report *r, const shape *of, const timing *t) {
  if (!t->judged || of->target_us <= 0) return "";
  if (t->times.median > of->target_us) return r->missed++, "miss";
  r->passed++;
  if (t->times.median > of->stretch_us) return "pass";
  return r->stretched++, "stretch";
}

void report_add(report *r, const shape *of, const timing *t, const char *variant) {
  const ceilings *c = &r->ceilings;
  double us = t->times.median, bytes = NAN, flop = NAN, memory = NAN, tensor = NAN;
  if (t->whole) {
    bytes = shape_bytes(of);
    flop = shape_fp8_flop(of) + shape_bf16_flop(of);
    if (c->gb_per_s > 0) memory = 100 * bytes / (c->gb_per_s * 1e3) / us;
    if (c->gb_per_s > 0)
      tensor = 100 * (shape_fp8_flop(of) / c->fp8_tflops + shape_bf16_flop(of) / c->bf16_tflops) / 1e6 / us;
  }
  const char *verdict = verdict_of(r, of, t);
  char name[NAME_TEXT], mhz[24] = "", numbers[NUMBERS][24];
  const double values[NUMBERS] = {bytes / us / 1e3, flop / us / 1e6, memory, tensor};
  for (int i = 0; i < NUMBERS; i++) {
    numbers[i][0] = 0;
    if (isfinite(values[i])) snprintf(numbers[i], sizeof numbers[i], "%.1f", values[i]);
  }
  if (isfinite(t->times.mhz)) snprintf(mhz, sizeof mhz, "%.0f", t->times.mhz);
  name_of(of, name, sizeof name);
  printf("%-24s %-6s %-7s %-15s %9.2f %9.2f %9.2f %5s %8s %8s %6s %6s  ", name, t->flush, t->mode, t->part, us,
         t->times.min, t->times.p90, mhz, numbers[0], numbers[1], numbers[2], numbers[3]);
  if (*verdict)
    printf("%s (%.4g, stretch %.4g)\n", verdict, of->target_us, of->stretch_us);
  else
    printf("\n");
  fflush(stdout);
  if (!r->csv) return;
  fprintf(r->csv, "%s,%s,%s,%s,%s,%s,%.3f,%.3f,%.3f,%.3f,%s,", of->set, name, snapmla_accuracy_name(of->accuracy),
          t->flush, t->mode, t->part, us, t->times.min, t->times.p90, t->times.spread, mhz);
  if (t->whole)
    fprintf(r->csv, "%.0f,%s,%.0f,%s,%s,%s,", bytes, numbers[0], flop, numbers[1], numbers[2], numbers[3]);
  else
    fprintf(r->csv, ",,,,,,");
  if (of->target_us > 0)
    fprintf(r->csv, "%g,%g", of->target_us, of->stretch_us);
  else
    fprintf(r->csv, ",");
  fprintf(r->csv, ",%s,\"%s\"\n", verdict, variant);
  fflush(r->csv);
}

void report_wrong(report *r, const shape *of, const char *why) {
  r->wrong++;
  char name[NAME_TEXT];
  name_of(of, name, sizeof name);
  printf("%s: FAILED: %s\n", name, why);
}

void report_end(const report *r) {
  printf("\n%d within the target, %d of them within the stretch; %d missed; %d shapes failed\n", r->passed,
         r->stretched, r->missed, r->wrong);
}
