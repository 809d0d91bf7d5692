/* Instruction rates: conversions, permutations, exponentials, shared-memory matrices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ceiling_rate/params.h"
#include "ceilings.h"
#include "narrow_float.h"
#include "status.h"

enum { THREADS = 512, CHAINS = 8, STEPS = 64, HALF = THREADS * 16, CHECKED_LANES = 32 };

/* What one step makes of a thread's chains; the kernel's text says the same (ceiling_rate.cu.tmpl). */
typedef void chain_step(uint32_t *x, int step);

static float as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static uint32_t as_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static void pack_step(uint32_t *x, int step) {
  uint32_t packed = 0;
  static const int from[] = {0, 3, 5, 6};
  for (int i = 0; i < 4; i++)
    packed |= (uint32_t)smla_e4m3_from_float(as_float(x[(step + from[i]) % CHAINS])) << (8 * i);
  x[step % CHAINS] = packed;
}

/* Bytes 3 and 2 of the pair, in the order of the kernel's selector 0x3726. */
static void unpack_step(uint32_t *x, int step) {
  uint32_t *at = &x[step % CHAINS];
  uint32_t low = as_bits(smla_e4m3_to_float((uint8_t)*at)), high = as_bits(smla_e4m3_to_float((uint8_t)(*at >> 8)));
  uint32_t bytes[8];
  for (int i = 0; i < 4; i++) bytes[i] = low >> (8 * i) & 255, bytes[4 + i] = high >> (8 * i) & 255;
  *at = bytes[6] | bytes[2] << 8 | bytes[7] << 16 | bytes[3] << 24;
}

static void permute_step(uint32_t *x, int step) {
  uint32_t a = x[step % CHAINS], b = x[(step + 1) % CHAINS];
  x[step % CHAINS] = (a & 255) | (a >> 16 & 255) << 8 | (b & 255) << 16 | (b >> 16 & 255) << 24;
}

static void fma_step(uint32_t *x, int step) {
  x[step % CHAINS] = as_bits(fmaf(as_float(x[step % CHAINS]), 0.5f, as_float(x[(step + 1) % CHAINS])));
}

/* Whatever it started from, 2^-x has come to its fixed point, which the GPU may miss by a few units in the last place.
 */
static void exp2_step(uint32_t *x, int step) { x[step % CHAINS] = as_bits(0.641185744504986f); }

static void ldmatrix_step(uint32_t *x, int step) { x[step % CHAINS] = x[step % CHAINS] ? 0 : HALF; }

typedef struct operation {
  const char *name, *unit;
  double per_thread; /* units of one operation of one thread */
  double ceiling;    /* per clock and multiprocessor; 0: no source is known */
  const char *ceiling_of;
  uint32_t tolerance; /* of the sum of the chains */
  chain_step *step;   /* NULL: the result depends on when warps run; it must be there */
} operation;

static const operation operations[] = {
    {"pack_e4m3", "op/clk/SM", 1, 0, "", 0, pack_step},
    {"unpack_e4m3", "op/clk/SM", 1, 0, "", 0, unpack_step},
    {"byte_permute", "op/clk/SM", 1, 64, "programming guide", 0, permute_step},
    {"exp2", "op/clk/SM", 1, 16, "programming guide", 8 * 8, exp2_step},
    {"fma", "op/clk/SM", 1, 128, "programming guide", 0, fma_step},
    {"ldmatrix", "B/clk/SM", 16, 128, "shared memory port", 0, ldmatrix_step},
    {"ldmatrix_trans", "B/clk/SM", 16, 128, "shared memory port", 0, ldmatrix_step},
    {"stmatrix", "B/clk/SM", 16, 128, "shared memory port", 0, NULL},
};

static const operation *operation_of(const char *variant) {
  const char *name = strstr(variant, "op=") + 3;
  const operation *o = operations;
  while (strcmp(o->name, name)) o++;
  return o;
}

typedef struct rate_case {
  bench *b;
  const operation *operation;
  bench_kernel kernel;
  bench_memory seeds, output, clocks;
  uint32_t grid, seed[CHAINS * THREADS];
  struct ceiling_rate_params params;
} rate_case;

/* Floats between 0.5 and 2, some of them odd, none with an e4m3 NaN in its low bytes: a GPU's NaN has bits of its own. */
static void make_seeds(rate_case *r) {
  uint64_t state = 4;
  for (size_t i = 0; i < CHAINS * THREADS; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    r->seed[i] = 0x3f000000u | ((uint32_t)(state >> 32) & 0xfffdfdu);
  }
}

static int lane_is_right(const rate_case *r, uint32_t lane, uint32_t got) {
  uint32_t x[CHAINS], sum = 0;
  for (uint32_t i = 0; i < CHAINS; i++) {
    x[i] = r->seed[i * THREADS + lane];
    if (r->operation->step == ldmatrix_step) x[i] = r->seed[i * THREADS + lane / 32 * 32] & 1 ? HALF : 0;
  }
  for (uint32_t i = 0; i < r->params.iterations; i++)
    for (int step = 0; step < STEPS; step++) r->operation->step(x, step);
  for (int i = 0; i < CHAINS; i++) sum += x[i];
  int64_t off = (int64_t)(int32_t)(got - sum);
  return llabs(off) <= r->operation->tolerance;
}

static snapmla_status check_rate(const rate_case *r, int *right) {
  size_t words = (size_t)r->grid * THREADS;
  uint32_t *got = malloc(words * sizeof *got);
  if (!got) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu results", words);
  snapmla_status status = r->b->device->ops->copy_out(r->b->device, got, r->output.pointer, words * sizeof *got);
  *right = 1;
  for (uint32_t lane = 0; lane < CHECKED_LANES && !status; lane++)
    *right &= r->operation->step ? lane_is_right(r, lane, got[lane]) : got[lane] != UINT32_MAX;
  for (size_t at = THREADS; at < words && !status && r->operation->step; at += THREADS)
    *right &= !memcmp(got, got + at, THREADS * sizeof *got);
  free(got);
  return status;
}

static snapmla_status launch_rate(void *user) {
  rate_case *r = user;
  return bench_launch(r->b, &r->kernel, r->grid, 0, &r->params);
}

static snapmla_status rate_open(rate_case *r, const char *variant) {
  bench *b = r->b;
  r->operation = operation_of(variant);
  r->grid = (uint32_t)b->info.multiprocessors;
  make_seeds(r);
  snapmla_status status = bench_kernel_open(b, variant, &r->kernel);
  if (!status) status = bench_memory_open(b, sizeof r->seed, &r->seeds);
  if (!status) status = bench_memory_open(b, (size_t)r->grid * THREADS * 4, &r->output);
  if (!status) status = bench_memory_open(b, (size_t)r->grid * 16, &r->clocks);
  if (!status) status = b->device->ops->copy_in(b->device, r->seeds.pointer, r->seed, sizeof r->seed);
  r->params = (struct ceiling_rate_params){(unsigned *)(void *)r->seeds.pointer, (unsigned *)(void *)r->output.pointer,
                                           (unsigned long long *)(void *)r->clocks.pointer, b->small ? 4 : 10000};
  return status;
}

static snapmla_status run_rate(sheet *s, const char *variant) {
  rate_case r = {.b = s->b};
  bench_times times;
  int right = 0;
  uint64_t *clocks = NULL;
  snapmla_status status = rate_open(&r, variant);
  if (!status) status = bench_time(s->b, NULL, launch_rate, &r, &times);
  if (!status) status = check_rate(&r, &right);
  if (!status && !(clocks = malloc((size_t)r.grid * 16)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: clocks");
  if (!status) status = s->b->device->ops->copy_out(s->b->device, clocks, r.clocks.pointer, (size_t)r.grid * 16);
  if (!status) {
    double mhz = bench_mhz(s->b, clocks, r.grid, 2);
    double amount = r.operation->per_thread * STEPS * THREADS * r.params.iterations / mhz;
    figure f = figure_of_rate("rate", variant, r.operation->unit, amount, &times);
    f.sm_mhz = mhz;
    f.ceiling = r.operation->ceiling;
    f.ceiling_of = r.operation->ceiling_of;
    f.right = right;
    sheet_add(s, &f);
  }
  free(clocks);
  bench_kernel_close(s->b, &r.kernel);
  bench_memory_close(s->b, &r.seeds);
  bench_memory_close(s->b, &r.output);
  bench_memory_close(s->b, &r.clocks);
  return status;
}

static void rate_variants(variant_list *list, int small) {
  (void)small;
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
    variant_add(list, "ceiling_rate:op=%s", operations[i].name);
}

const ceiling_group ceiling_rate_group = {"rate", "one instruction over and over, 16 warps per multiprocessor",
                                          rate_variants, run_rate};
