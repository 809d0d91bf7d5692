/* snapmla-conformance: runs every primitive of the dialect on a device and on the emulator and compares the bits.
 *
 *   snapmla-conformance [--device cuda:0|emulator] [--templates DIR] [--blocks N] [--seed N]
 *
 * With --device emulator the emulator is held against itself under another completion order, which tests this program and
 * the kernels, not the hardware. One line per primitive; exit 0: all agree, 1: some do not, 2: usage, 3: no device. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "build.h"
#include "common/tensor_map.h"
#include "conformance/params.h"
#include "device.h"
#include "generator.h"

typedef struct subject {
  smla_device *device;
  void *kernel, *input, *output;              /* device pointers */
  void *input_allocation, *output_allocation; /* what they lie in */
} subject;

/* How outputs are compared. */
typedef enum comparison {
  exact,     /* every bit */
  exact_nan, /* floats: every bit, but one NaN is as good as another */
  close_ulp  /* floats: four units in the last place; approximations */
} comparison;

typedef struct primitive_case {
  const char *name;
  comparison rule;
  int wgmma; /* nonzero: tried at every n */
} primitive_case;

static const primitive_case primitives[] = {
    {"wgmma_e4m3_shared", exact, 1},
    {"wgmma_e4m3_registers", exact, 1},
    {"wgmma_bf16_shared", exact, 1},
    {"wgmma_bf16_registers", exact, 1},
    {"wgmma_bf16_narrow", exact, 1},
    {"wgmma_bf16_columns", exact, 1},
    {"wgmma_f16_shared", exact, 1},
    {"wgmma_f16_registers", exact, 1},
    {"pack_f16", exact, 0},
    {"unpack_f16", exact_nan, 0},
    {"widen_e4m3", exact, 0},
    {"ldmatrix", exact, 0},
    {"ldmatrix_trans", exact, 0},
    {"stmatrix", exact, 0},
    {"stmatrix_trans", exact, 0},
    {"pack_e4m3", exact, 0},
    {"unpack_e4m3", exact_nan, 0},
    {"pack_bf16", exact, 0},
    {"unpack_bf16", exact, 0},
    {"byte_permute", exact, 0},
    {"shuffle", exact, 0},
    {"vote", exact, 0},
    {"fma_rn", exact_nan, 0},
    {"divide", exact_nan, 0},
    {"minmax", exact_nan, 0},
    {"bulk_copy", exact, 0},
    {"bulk_store", exact, 0},
    {"thread_copy", exact, 0},
    {"tensor_copy", exact, 0},
    {"tensor_copy_narrow", exact, 0},
    {"tensor_copy_multicast", exact, 0},
    {"bulk_copy_multicast", exact, 0},
    {"remote_arrival", exact, 0},
    {"atomic_or", exact, 0},
    {"atomic_add", exact, 0},
    {"named_barrier", exact, 0},
    {"exp2_approx", close_ulp, 0},
    {"log2_approx", close_ulp, 0},
    {"reciprocal_approx", close_ulp, 0},
    {"cluster_load", exact, 0},
};

/* --- input ------------------------------------------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

enum { KINDS = 4 };

/* A word of one of four kinds, chosen per block: any bits; floats near one; mostly zeros; small exponents. */
static uint32_t next_word(uint64_t *state, unsigned kind) {
  uint32_t bits = (uint32_t)next_random(state);
  switch (kind) {
  case 0: return bits;
  case 1: return (bits & 0x87ffffffu) | 0x38000000u;
  case 2: return (bits >> 30) ? 0 : (uint32_t)next_random(state);
  default: return bits & 0xbfbfbfbfu;
  }
}

/* Numbers of 16 bits whose products, and fp32 accumulators, lie about bf16's least subnormal, 2^-133, which is where a sum's top ends
 * (docs/numerics.md). `row`: of 128 bytes, of one magnitude each. Of f16 the least there are: its products are far above, and what is
 * left is the accumulator. */
static uint32_t next_tiny(uint64_t *state, int is_f16, size_t row, uint64_t seed) {
  uint64_t magnitude = seed + row;
  uint32_t base = (uint32_t)(next_random(&magnitude) % 8), word = 0;
  for (int half = 0; half < 2; ++half) {
    uint64_t bits = next_random(state);
    uint32_t exponent = is_f16 ? (uint32_t)(bits >> 32) % 2 : 127 - 76 + base + (uint32_t)(bits >> 32) % 4;
    uint32_t number = is_f16 ? exponent << 10 | (bits & 0x83ff) : exponent << 7 | (bits & 0x807f);
    if (bits >> 40 & 7 || half) word |= (is_f16 && (bits >> 48 & 3) ? bits & 0x8000 : number) << 16 * half;
  }
  return word;
}

/* An fp32 number below 2^-125, most of them subnormal, or zero. */
static uint32_t next_tiny_float(uint64_t *state) {
  uint64_t bits = next_random(state);
  uint32_t exponent = (uint32_t)(bits >> 32) % 2, fraction = (uint32_t)bits & 0x7fffff;
  if (!exponent) fraction >>= (bits >> 40) % 24;
  return (bits >> 48) % 4 ? ((uint32_t)bits & 0x80000000u) | exponent << 23 | fraction : 0;
}

/* The kinds of next_word in turn, and where `tiny` gives the bytes of the operands before the accumulators one more. */
static void fill(uint8_t *input, size_t blocks, size_t bytes, uint64_t seed, size_t tiny, int is_f16) {
  uint64_t state = seed;
  for (size_t block = 0; block < blocks; ++block)
    for (size_t i = 0; i < bytes; i += 4) {
      unsigned kind = (unsigned)(block % (tiny ? KINDS + 1 : KINDS));
      uint32_t word = kind < KINDS ? next_word(&state, kind)
                      : i < tiny   ? next_tiny(&state, is_f16, block * bytes / 128 + i / 128, seed)
                                   : next_tiny_float(&state);
      memcpy(input + block * bytes + i, &word, 4);
    }
}

/* --- comparison ---------------------------------------------------------------------------------------------------------- */

/* Floats in order as integers, so that neighbours differ by one. */
static int64_t ordered(uint32_t bits) { return bits & 0x80000000u ? -(int64_t)(bits & 0x7fffffffu) : (int64_t)bits; }

static int same(comparison rule, uint32_t a, uint32_t b) {
  if (a == b) return 1;
  if (rule == exact) return 0;
  float x, y;
  memcpy(&x, &a, 4);
  memcpy(&y, &b, 4);
  if (isnan(x) && isnan(y)) return 1;
  if (rule == exact_nan || isnan(x) || isnan(y)) return 0;
  return llabs(ordered(a) - ordered(b)) <= 4 || fabsf(x - y) <= 2.5e-7f; /* log2 near one is bounded absolutely */
}

/* --- running ---------------------------------------------------------------------------------------------------------------- */

static long long quantity(const smla_quantity *list, size_t count, const char *name) {
  for (size_t i = 0; i < count; ++i)
    if (!strcmp(list[i].name, name)) return list[i].value;
  return -1;
}

static snapmla_status run(subject *s, const smla_generator *generator, const char *variant, const uint8_t *input,
                          size_t input_bytes, uint8_t *output, size_t output_bytes, size_t blocks, uint32_t smem_bytes,
                          uint32_t cluster, uint32_t box_row) {
  smla_build build = {.generator = generator, .target = s->device->target, .variant = variant};
  snapmla_plan_counters counters = {.size = sizeof counters};
  snapmla_status status = smla_build_run(&build);
  if (!status) status = s->device->ops->load(s->device, build.image, smem_bytes, &s->kernel);
  if (!status) status = s->device->ops->allocate(s->device, input_bytes * blocks, &s->input_allocation, &s->input);
  if (!status) status = s->device->ops->allocate(s->device, output_bytes * blocks, &s->output_allocation, &s->output);
  if (!status) status = s->device->ops->copy_in(s->device, s->input, input, input_bytes * blocks);
  struct conformance_params params = {.input = s->input, .output = s->output};
  if (!status && box_row) {
    const smla_device_tensor rows = {.base = s->input,
                                     .extents = {240, 13, blocks},
                                     .strides = {256, input_bytes},
                                     .box = {box_row, 8},
                                     .swizzled = box_row == 128};
    status = s->device->ops->tensor_map(s->device, &rows, &params.map);
  }
  if (!status) {
    smla_device_launch launch = {.name = variant,
                                 .kernel = s->kernel,
                                 .grid_x = (uint32_t)blocks,
                                 .grid_y = 1,
                                 .threads = 128,
                                 .smem_bytes = smem_bytes,
                                 .cluster = cluster,
                                 .params = SMLA_PARAMS(params)};
    status = s->device->ops->launch(s->device, &launch, &counters);
  }
  if (!status) status = s->device->ops->copy_out(s->device, output, s->output, output_bytes * blocks);
  if (s->input_allocation) s->device->ops->release(s->device, s->input_allocation);
  if (s->output_allocation) s->device->ops->release(s->device, s->output_allocation);
  if (s->kernel) s->device->ops->unload(s->device, s->kernel);
  *s = (subject){.device = s->device};
  smla_build_clear(&build);
  return status;
}

/* 0: agrees, 1: differs, -1: could not be run. */
static int try_variant(const primitive_case *primitive, int n, const smla_generator *generator, subject *device,
                       subject *emulator, size_t blocks, uint64_t seed) {
  char partial[96];
  snprintf(partial, sizeof partial, "conformance:primitive=%s,n=%d", primitive->name, n);
  smla_quantity *quantities = NULL;
  size_t count = 0;
  uint8_t *input = NULL, *expected = NULL, *output = NULL;
  int result = -1;
  if (smla_generator_describe(generator, partial, &quantities, &count)) goto out;
  size_t input_bytes = (size_t)quantity(quantities, count, "input_bytes");
  size_t output_bytes = (size_t)quantity(quantities, count, "output_bytes");
  uint32_t smem_bytes = (uint32_t)quantity(quantities, count, "smem_bytes");
  uint32_t cluster = (uint32_t)quantity(quantities, count, "cluster");
  uint32_t box_row = (uint32_t)quantity(quantities, count, "box_row");
  int is_f16 = strstr(primitive->name, "f16") && !strstr(primitive->name, "bf16");
  size_t tiny =
      primitive->wgmma && !strstr(primitive->name, "e4m3") ? (size_t)(64 + n) * 128 : 0; /* operands: 64 and n rows */
  blocks = (blocks + cluster - 1) / cluster * cluster;
  input = malloc(input_bytes * blocks);
  expected = malloc(output_bytes * blocks);
  output = malloc(output_bytes * blocks);
  if (!input || !expected || !output) goto out;
  fill(input, blocks, input_bytes, seed, tiny, is_f16);
  if (run(emulator, generator, partial, input, input_bytes, expected, output_bytes, blocks, smem_bytes, cluster,
          box_row))
    goto out;
  if (run(device, generator, partial, input, input_bytes, output, output_bytes, blocks, smem_bytes, cluster, box_row))
    goto out;

  size_t words = output_bytes * blocks / 4, different = 0, first = 0;
  const uint32_t *a = (const uint32_t *)(const void *)expected, *b = (const uint32_t *)(const void *)output;
  for (size_t i = 0; i < words; ++i)
    if (!same(primitive->rule, a[i], b[i]) && !different++) first = i;
  result = different != 0;
  printf("%-22s n %3d  %8zu words  %zu differ", primitive->name, n, words, different);
  if (different) printf(" (first at %zu: emulator %08x, device %08x)", first, a[first], b[first]);
  printf("\n");
out:
  if (result < 0) printf("%-22s n %3d  not run: %s\n", primitive->name, n, snapmla_error_message());
  free(quantities), free(input), free(expected), free(output);
  return result;
}

static int usage(const char *problem) {
  fprintf(stderr,
          "snapmla-conformance: %s\nusage: snapmla-conformance [--device cuda:N|emulator] [--templates DIR] "
          "[--blocks N] [--seed N]\n",
          problem);
  return 2;
}

int main(int argc, char **argv) {
  const char *name = "cuda:0", *templates = "tests/conformance/templates";
  long blocks = 64, seed = 1;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc) return usage("an option without its value");
    if (!strcmp(argv[i], "--device"))
      name = argv[i + 1];
    else if (!strcmp(argv[i], "--templates"))
      templates = argv[i + 1];
    else if (!strcmp(argv[i], "--blocks"))
      blocks = strtol(argv[i + 1], NULL, 10);
    else if (!strcmp(argv[i], "--seed"))
      seed = strtol(argv[i + 1], NULL, 10);
    else
      return usage("unknown option");
  }
  if (blocks < 1 || blocks > 65535) return usage("--blocks must be 1..65535");

  smla_generator *generator = NULL;
  subject device = {0}, emulator = {0};
  snapmla_context_options eager = {.size = sizeof eager},
                          other = {.size = sizeof other, .emulator_order = SNAPMLA_EMULATOR_RANDOM, .emulator_seed = 7};
  int on_gpu = strcmp(name, "emulator") != 0;
  if (on_gpu && (strncmp(name, "cuda:", 5) || strspn(name + 5, "0123456789") != strlen(name + 5) || !name[5]))
    return usage("--device must be cuda:N or emulator");
  snapmla_status status = smla_generator_create(templates, &generator);
  if (!status) status = smla_device_open_emulator(&eager, &emulator.device);
  if (!status)
    status = on_gpu ? smla_device_open_cuda(atoi(name + 5), &device.device)
                    : smla_device_open_emulator(&other, &device.device);
  int bad = 0, tried = 0;
  if (status) {
    fprintf(stderr, "snapmla-conformance: %s\n", snapmla_error_message());
  } else {
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; ++i) {
      static const int every_n[] = {8, 16, 32, 64, 128, 256};
      for (size_t k = 0; k < (primitives[i].wgmma ? 6 : 1); ++k, ++tried)
        bad += try_variant(&primitives[i], primitives[i].wgmma ? every_n[k] : 64, generator, &device, &emulator,
                           (size_t)blocks, (uint64_t)seed) != 0;
    }
    printf("%d of %d agree with %s\n", tried - bad, tried, name);
  }
  if (device.device) device.device->ops->destroy(device.device);
  if (emulator.device) emulator.device->ops->destroy(emulator.device);
  smla_generator_destroy(generator);
  return status ? 3 : bad ? 1 : 0;
}
