/* What the programs of bench/ share: one device, kernels on it, times, and a sheet of figures. Not a library: failures
 * return a status with the reason in snapmla_error_message(), and main() prints it. */
#ifndef SMLA_BENCH_BENCH_H
#define SMLA_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <snapmla/snapmla.h>

#include "device.h"
#include "generator.h"

/* What is timed, or happens before that. */
typedef snapmla_status bench_action(void *user);

/* Where figures are taken, and how often. */
typedef struct bench {
  snapmla_context *context;
  smla_device *device; /* the context's, as is the generator */
  const smla_generator *generator;
  snapmla_device_info info;
  void *stream, *start, *stop; /* one stream; two events on it */
  int warmups, repeats;        /* repeats: 1 .. BENCH_SAMPLES; 0 where nothing is timed by bench_time */
  double rest;                 /* after each run the GPU is left alone for this many times as long as the run took with
                                  what comes before it (the flush); 0: at once */
  bench_action *lead;          /* runs before each time where the caller names nothing else; or NULL */
  void *lead_user;
  const struct bench_clock *clock; /* asked around each time; or NULL */
  int small;                       /* tiny sizes: the program is tried, not the device */
} bench;

enum { BENCH_SAMPLES = 1000 };

/* Opens "cuda:N" or "emulator" (4 multiprocessors where `small`), its templates overlaid by a directory. A GPU's
 * primary context stays current on this thread until bench_close. The emulator, whose times are modelled, needs no rest:
 * there `rest` becomes 0. Errors: as snapmla_context_create. */
snapmla_status bench_open(bench *b, const char *device, const char *templates);
void bench_close(bench *b);
/* Another thread that replays graphs, or captures, needs the GPU's context current too. Not of the emulator. */
snapmla_status bench_enter(const bench *b);
void bench_leave(const bench *b);

/* --- the command line (command.c) */

enum { BENCH_USAGE = 2, BENCH_NO_DEVICE = 3, BENCH_GO_ON = -1 }; /* exit statuses; and that there is none yet */

/* An option with a value. */
typedef struct bench_option {
  const char *name;   /* "--shape" */
  const char **value; /* one of argv's texts goes there */
} bench_option;

/* What a program is told. Every program of this kind takes --device, --small and --help; those that time variants take --variant,
 * --repeat, --rest and --csv too. */
typedef struct bench_command {
  const char *program;         /* its name, before each of its messages */
  const char *help;            /* usage and its own options; what bench_command_read adds is printed after it */
  const bench_option *options; /* its own */
  size_t option_count;
  const char *device, *variant, *csv; /* a default before; NULL: not given */
  int small, repeats;                 /* repeats: 1 .. BENCH_SAMPLES */
  double rest;                        /* 0 .. 100, as the bench's */
} bench_command;

/* Reads the command line: --device, --small, --help and the program's own options, all of which its help names. BENCH_GO_ON, or the
 * exit status after the help or a message was printed. */
int bench_options_read(bench_command *c, int argc, char **argv);
/* The same of a program that times variants: its help names its own options, the others follow. */
int bench_command_read(bench_command *c, int argc, char **argv);
/* Prints what is wrong with the command line; BENCH_USAGE. */
int bench_usage(const bench_command *c, const char *problem, const char *what);
/* 1 where `text` is among `names`, which end with NULL. Pure. */
int bench_one_of(const char *text, const char *const *names);

/* --- kernels and memory */

typedef struct bench_kernel {
  const char *variant; /* the caller's */
  void *kernel;
  uint32_t threads, smem_bytes, cluster;
} bench_kernel;

/* Compiles (or finds compiled) and loads a variant. */
snapmla_status bench_kernel_open(bench *b, const char *variant, bench_kernel *out);
void bench_kernel_close(bench *b, bench_kernel *kernel);
snapmla_status bench_launch(bench *b, const bench_kernel *kernel, uint32_t grid, int dependent, const void *params);

typedef struct bench_memory {
  void *allocation;
  unsigned char *pointer; /* on the device */
} bench_memory;

snapmla_status bench_memory_open(bench *b, size_t bytes, bench_memory *out);
void bench_memory_close(bench *b, bench_memory *memory);

/* --- times */

typedef struct bench_times {
  double median, min, p90, spread; /* microseconds; spread: half the distance between the quartiles */
  double mhz; /* the multiprocessors' clock around the runs, their median; NaN: not asked, or the emulator */
} bench_times;

/* Runs `action` between two events, `warmups` times unseen and `repeats` times seen; `before` (NULL: the bench's lead)
 * runs unseen before each; the bench's clock, where it has one, is asked before that and after the time. On a GPU that should take longer than the host needs to queue `action`, or the host's time
 * is in it. After every run but the last, those unseen too, the bench rests: the card's limit of
 * power acts on what was drawn before, too, and slowed runs of a millisecond. */
snapmla_status bench_time(bench *b, bench_action *before, bench_action *action, void *user, bench_times *out);

/* The number that is all of `text`, or NaN where it is none. Pure. */
double bench_number(const char *text);

/* Sleeps, so that the GPU is left alone. */
void bench_doze(double seconds);

/* Of `count` values (> 0), which are sorted in place. Pure. */
bench_times bench_summary(double *values, size_t count);

/* --- the clock (clock.c) */

/* A kernel on every multiprocessor that counts its cycles for some 20 microseconds, and room for what it counts at two places. */
typedef struct bench_clock {
  bench *b;
  bench_kernel kernel;
  bench_memory clocks; /* [2, multiprocessors, 2] words: cycles and nanoseconds */
} bench_clock;

/* As the bench's clock. `out` must outlive it. */
snapmla_status bench_clock_open(bench *b, bench_clock *out);
void bench_clock_close(bench_clock *clock);
snapmla_status bench_clock_launch(const bench_clock *clock, int place); /* 0 or 1 */
/* The mean of what both places counted, each the median over the multiprocessors; NaN on the emulator. After a synchronisation. */
snapmla_status bench_clock_read(const bench_clock *clock, double *mhz);

/* The clock that `count` pairs of cycles and nanoseconds, `stride` words apart, show: their median in MHz; NaN on the
 * emulator. */
double bench_mhz(const bench *b, const uint64_t *clocks, size_t count, size_t stride);

/* --- graphs */

/* A captured action. */
typedef struct bench_graph bench_graph;

/* Captures what `action` launches on the stream. Errors: UNSUPPORTED (the emulator; a driver without graphs),
 * DEVICE. */
snapmla_status bench_graph_open(bench *b, bench_action *action, void *user, bench_graph **out);
snapmla_status bench_graph_launch(bench_graph *graph);
void bench_graph_close(bench_graph *graph); /* NULL is allowed */

/* --- what stands above every result */

/* Device, clocks, driver, CUDA version, command: comment lines ("# …") of a CSV file. */
void bench_print_header(FILE *file, const bench *b, int argc, char **argv);

/* The datasheet's figures of a product, or NULL for one that is not known. Dense rates. */
typedef struct bench_datasheet {
  const char *product; /* a part of the driver's name for it */
  double gb_per_s, fp8_tflops, bf16_tflops;
} bench_datasheet;
const bench_datasheet *bench_datasheet_of(const char *product);

#endif
