/* What a shape's times mean, as CSV and as a table. */
#ifndef SMLA_BENCH_DECODE_REPORT_H
#define SMLA_BENCH_DECODE_REPORT_H

#include "decode.h"

/* One time of a shape. */
typedef struct timing {
  const char *flush, *mode, *part; /* "read", "write" or "none"; "graph" or "launch"; see parts in main.c */
  int judged;                      /* nonzero: this is what the targets are about */
  int whole;                       /* nonzero: moves all bytes and does all arithmetic of the shape */
  bench_times times;
} timing;

typedef struct report {
  FILE *csv; /* or NULL */
  ceilings ceilings;
  int passed, missed, stretched, wrong;
} report;

void report_begin(report *r, const bench *b, int argc, char **argv);
void report_add(report *r, const shape *of, const timing *t, const char *variant);
void report_wrong(report *r, const shape *of, const char *why);
void report_end(const report *r);

#endif
