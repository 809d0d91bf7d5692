/* The ceilings: groups of variants, each run and judged by itself, and the sheet that takes their figures. */
#ifndef SMLA_BENCH_CEILINGS_H
#define SMLA_BENCH_CEILINGS_H

#include "bench.h"

/* A figure of one variant. `value` follows from the median time, `low` from the 90th percentile, `high` from the least
 * (where less is better, the other way round); NaN: not to be had on this device. */
typedef struct figure {
  const char *group, *variant, *unit;
  double value, low, high;
  double time_us, spread_us; /* median, and half the distance between the quartiles */
  double ceiling;            /* in the same unit; 0: none is known */
  const char *ceiling_of;    /* who says so */
  double sm_mhz;             /* while it ran; NaN: not measured */
  int right;                 /* the kernel's output was what it must be */
} figure;

typedef struct sheet {
  bench *b;
  FILE *csv;                        /* or NULL */
  const bench_datasheet *datasheet; /* or NULL */
  int figures, wrong;
} sheet;

/* Titles, then a line for each figure, to the CSV file and to standard output. */
void sheet_begin(sheet *s, int argc, char **argv);
void sheet_add(sheet *s, const figure *f);

/* A figure that is `amount` per microsecond. */
figure figure_of_rate(const char *group, const char *variant, const char *unit, double amount, const bench_times *t);

/* Keeps the GPU busy before each time, while the host queues what is timed; and L2 full of other data. */
typedef struct busy {
  bench *b;
  bench_kernel kernel;
  bench_memory buffer;
  size_t bytes;
} busy;
snapmla_status busy_open(bench *b, busy *out); /* as the bench's lead */
void busy_close(busy *lead);

/* Variants to run. */
enum { VARIANT_TEXT = 96, VARIANTS = 192 };
typedef struct variant_list {
  char text[VARIANTS][VARIANT_TEXT];
  size_t count;
} variant_list;
__attribute__((format(printf, 2, 3))) void variant_add(variant_list *list, const char *format, ...);

/* An integer axis or derived quantity of a variant. Error: TEMPLATE (there is none). */
snapmla_status variant_number(const bench *b, const char *variant, const char *name, uint32_t *out);

/* A group: what it runs, and how one is run. `small`: a few variants, tiny sizes. */
typedef struct ceiling_group {
  const char *name, *about;
  void (*variants)(variant_list *list, int small);
  snapmla_status (*run)(sheet *s, const char *variant);
} ceiling_group;

extern const ceiling_group ceiling_read_group, ceiling_read_l2_group, ceiling_cold_group, ceiling_cold_written_group,
    ceiling_copy_group, ceiling_wgmma_group, ceiling_rate_group, ceiling_cluster_group, ceiling_launch_group;

#endif
