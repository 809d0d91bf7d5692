/* Tensor cores: wgmma back to back, by type, place of A, columns, warpgroups, and beside ldmatrix. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ceiling_wgmma/params.h"
#include "ceilings.h"
#include "status.h"

enum {
  ROWS = 64,
  ROW_BYTES = 128,
  B_TILES = 4,
  STEPS = 16,
  CLOCKS = 3,
  LOAD_BYTES = 4 * 512 /* of one ldmatrix.x4 by 4 warps */
};

typedef struct tensor_case {
  bench *b;
  bench_kernel kernel;
  bench_memory operands, output, clocks;
  uint32_t n, groups, grid, iterations;
  int bf16, loads;
  unsigned char *image;  /* the operands as the kernel takes them */
  float *a, *rows, *got; /* A [64][elements], B [4][n][elements] as numbers; all results */
  struct ceiling_wgmma_params params;
} tensor_case;

static uint32_t elements(const tensor_case *t) { return t->bf16 ? ROW_BYTES / 2 : ROW_BYTES; }

static void tensor_close(tensor_case *t) {
  bench_kernel_close(t->b, &t->kernel);
  bench_memory_close(t->b, &t->operands);
  bench_memory_close(t->b, &t->output);
  bench_memory_close(t->b, &t->clocks);
  free(t->image), free(t->a), free(t->rows), free(t->got);
}

/* Signed 1, 1.5, 2 and 3: sums of 512 products are exact in the tensor cores' accumulators. */
static void put(const tensor_case *t, unsigned char *tile, uint32_t row, uint32_t column, uint64_t *state,
                float *value) {
  static const float values[] = {1, 1.5f, 2, 3};
  static const uint16_t codes[2][4] = {{0x38, 0x3c, 0x40, 0x44}, {0x3f80, 0x3fc0, 0x4000, 0x4040}};
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  uint32_t which = (uint32_t)(*state >> 40) & 3, negative = (uint32_t)(*state >> 50) & 1;
  uint32_t byte = column * (t->bf16 ? 2 : 1);
  unsigned char *at = tile + row * ROW_BYTES + (byte ^ (row % 8 * 16));
  uint16_t code = codes[t->bf16][which];
  *value = negative ? -values[which] : values[which];
  if (t->bf16) code = (uint16_t)(code | negative << 15);
  if (!t->bf16) code = (uint16_t)(code | negative << 7);
  memcpy(at, &code, t->bf16 ? 2 : 1);
}

static snapmla_status make_operands(tensor_case *t, size_t bytes) {
  uint64_t state = 3;
  uint32_t width = elements(t);
  t->image = malloc(bytes);
  t->a = malloc((size_t)ROWS * width * sizeof *t->a);
  t->rows = malloc((size_t)B_TILES * t->n * width * sizeof *t->rows);
  if (!t->image || !t->a || !t->rows) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: operands");
  for (uint32_t i = 0; i < ROWS * width; i++) put(t, t->image, i / width, i % width, &state, &t->a[i]);
  /* A tile of B has n rows; n is a multiple of 8, so the swizzle goes by the row within it. */
  for (uint32_t i = 0; i < B_TILES * t->n * width; i++)
    put(t, t->image + ROWS * ROW_BYTES, i / width, i % width, &state, &t->rows[i]);
  return SNAPMLA_OK;
}

static float expected(const tensor_case *t, uint32_t row, uint32_t column) {
  float sum = 0;
  uint32_t width = elements(t);
  for (uint32_t tile = 0; tile < B_TILES; tile++)
    for (uint32_t k = 0; k < width; k++) sum += t->a[row * width + k] * t->rows[(tile * t->n + column) * width + k];
  return sum;
}

/* Every block and warpgroup has computed the same product. */
static snapmla_status check_output(tensor_case *t, int *right) {
  size_t one = (size_t)ROWS * t->n, all = one * t->groups * t->grid;
  t->got = malloc(all * sizeof *t->got);
  if (!t->got) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu results", all);
  snapmla_status status = t->b->device->ops->copy_out(t->b->device, t->got, t->output.pointer, all * sizeof *t->got);
  if (status) return status;
  *right = 1;
  for (uint32_t i = 0; i < one; i++) *right &= t->got[i] == expected(t, i / t->n, i % t->n);
  for (size_t at = one; at < all; at += one) *right &= !memcmp(t->got, t->got + at, one * sizeof *t->got);
  return SNAPMLA_OK;
}

static snapmla_status tensor_open(tensor_case *t, const char *variant) {
  bench *b = t->b;
  uint32_t bytes = 0;
  t->bf16 = strstr(variant, "kind=bf16") != NULL;
  t->loads = strstr(variant, "loads=ldmatrix") != NULL;
  t->grid = (uint32_t)b->info.multiprocessors;
  snapmla_status status = variant_number(b, variant, "n", &t->n);
  if (!status) status = variant_number(b, variant, "groups", &t->groups);
  if (!status) status = variant_number(b, variant, "operand_bytes", &bytes);
  if (!status) status = bench_kernel_open(b, variant, &t->kernel);
  if (!status) status = make_operands(t, bytes);
  if (!status) status = bench_memory_open(b, bytes, &t->operands);
  if (!status) status = bench_memory_open(b, (size_t)t->grid * t->groups * ROWS * t->n * sizeof(float), &t->output);
  if (!status) status = bench_memory_open(b, (size_t)t->grid * CLOCKS * sizeof(uint64_t), &t->clocks);
  if (!status) status = b->device->ops->copy_in(b->device, t->operands.pointer, t->image, bytes);
  if (status) return status;
  /* About two million cycles: long enough for the clock to settle and the launch not to count. */
  t->iterations = b->small ? 2 : 250000 / (t->groups * (t->n < 32 ? 32 : t->n));
  t->params = (struct ceiling_wgmma_params){t->operands.pointer, (float *)(void *)t->output.pointer,
                                            (unsigned long long *)(void *)t->clocks.pointer, t->iterations};
  return SNAPMLA_OK;
}

static snapmla_status launch_tensor(void *user) {
  tensor_case *t = user;
  return bench_launch(t->b, &t->kernel, t->grid, 0, &t->params);
}

/* What the other warpgroup read meanwhile, bytes per cycle and multiprocessor. */
static void add_loads(sheet *s, const tensor_case *t, const char *variant, const uint64_t *clocks, const figure *of) {
  double *rates = malloc(t->grid * sizeof *rates);
  if (!rates) return;
  for (uint32_t i = 0; i < t->grid; i++)
    rates[i] = (double)clocks[i * CLOCKS + 2] * LOAD_BYTES / (double)(clocks[i * CLOCKS] ? clocks[i * CLOCKS] : 1);
  bench_times r = bench_summary(rates, t->grid);
  figure f = *of;
  f.group = "wgmma+ld", f.variant = variant, f.unit = "B/clk/SM";
  f.value = r.median, f.low = r.min, f.high = r.p90;
  f.ceiling = 128, f.ceiling_of = "shared memory port";
  if (t->b->device->is_emulator) f.value = f.low = f.high = NAN;
  for (uint32_t i = 0; i < t->grid; i++) f.right &= clocks[i * CLOCKS + 2] > 0;
  sheet_add(s, &f);
  free(rates);
}

static snapmla_status run_tensor(sheet *s, const char *variant) {
  tensor_case t = {.b = s->b};
  bench_times times;
  int right = 0;
  uint64_t *clocks = NULL;
  snapmla_status status = tensor_open(&t, variant);
  if (!status) status = bench_time(s->b, NULL, launch_tensor, &t, &times);
  if (!status) status = check_output(&t, &right);
  if (status) goto out;
  clocks = malloc((size_t)t.grid * CLOCKS * sizeof *clocks);
  if (!clocks) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: clocks");
  if (!status)
    status =
        s->b->device->ops->copy_out(s->b->device, clocks, t.clocks.pointer, (size_t)t.grid * CLOCKS * sizeof *clocks);
  if (status) goto out;
  double flop = 2.0 * ROWS * t.n * (t.bf16 ? 16 : 32) * STEPS * t.iterations * t.groups * t.grid;
  figure f = figure_of_rate("wgmma", variant, "TFLOP/s", flop / 1e6, &times);
  f.right = right;
  f.sm_mhz = bench_mhz(s->b, clocks, t.grid, CLOCKS);
  if (s->datasheet) {
    f.ceiling = t.bf16 ? s->datasheet->bf16_tflops : s->datasheet->fp8_tflops;
    f.ceiling_of = "datasheet";
  }
  sheet_add(s, &f);
  if (t.loads) add_loads(s, &t, variant, clocks, &f);
out:
  free(clocks);
  tensor_close(&t);
  return status;
}

static void tensor_variants(variant_list *list, int small) {
  static const char *const kinds[] = {"e4m3", "bf16"}, *const places[] = {"shared", "registers"};
  for (int kind = 0; kind < 2; kind++)
    for (int a = 0; a < 2; a++)
      for (int n = 8; n <= 256; n *= 2)
        for (int groups = 1; groups <= 2; groups++)
          for (int loads = 0; loads < 2; loads++) {
            /* Beside ldmatrix two warpgroups, or one where the registers of two would not fit. */
            int beside = a == 1 && n == 256 ? 1 : 2;
            if (small ? n == 8 && groups == (loads ? 2 : 1) && (kind == a ? !loads : kind == 0 && loads)
                      : !loads || groups == beside)
              variant_add(list, "ceiling_wgmma:kind=%s,a=%s,n=%d,groups=%d,loads=%s", kinds[kind], places[a], n, groups,
                          loads ? "ldmatrix" : "none");
          }
}

const ceiling_group ceiling_wgmma_group = {"wgmma", "wgmma back to back, alone and beside ldmatrix", tensor_variants,
                                           run_tensor};
