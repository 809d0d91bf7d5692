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
    {"byte_permute", exact, 0},
    {"shuffle", exact, 0},
    {"vote", exact, 0},
    {"fma_rn", exact_nan, 0},
    {"divide", exact_nan, 0},
    {"minmax", exact_nan, 0},
    {"bulk_copy", exact, 0},
    {"bulk_store", exact, 0},
    {"thread_copy", exact, 0},
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

/* A word of one of four kinds, chosen per block: any bits; floats near one; mostly zeros; small exponents. */
static uint32_t next_word(uint64_t *state, unsigned kind) {
  uint32_t bits = (uint32_t)next_random(state);
  switch (kind % 4) {
  case 0: return bits;
  case 1: return (bits & 0x87ffffffu) | 0x38000000u;
  case 2: return (bits >> 30) ? 0 : (uint32_t)next_random(state);
  default: return bits & 0xbfbfbfbfu;
  }
}

static void fill(uint8_t *input, size_t blocks, size_t bytes, uint64_t seed) {
  uint64_t state = seed;
  for (size_t block = 0; block < blocks; ++block)
    for (size_t i = 0; i < bytes; i += 4) {
      uint32_t word = next_word(&state, (unsigned)block);
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
                          uint32_t cluster) {
  smla_build build = {.generator = generator, .target = s->device->target, .variant = variant};
  snapmla_plan_counters counters = {.size = sizeof counters};
  snapmla_status status = smla_build_run(&build);
  if (!status) status = s->device->ops->load(s->device, build.image, smem_bytes, &s->kernel);
  if (!status) status = s->device->ops->allocate(s->device, input_bytes * blocks, &s->input_allocation, &s->input);
  if (!status) status = s->device->ops->allocate(s->device, output_bytes * blocks, &s->output_allocation, &s->output);
  if (!status) status = s->device->ops->copy_in(s->device, s->input, input, input_bytes * blocks);
  if (!status) {
    struct conformance_params params = {s->input, s->output};
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
  blocks = (blocks + cluster - 1) / cluster * cluster;
  input = malloc(input_bytes * blocks);
  expected = malloc(output_bytes * blocks);
  output = malloc(output_bytes * blocks);
  if (!input || !expected || !output) goto out;
  fill(input, blocks, input_bytes, seed);
  if (run(emulator, generator, partial, input, input_bytes, expected, output_bytes, blocks, smem_bytes, cluster))
    goto out;
  if (run(device, generator, partial, input, input_bytes, output, output_bytes, blocks, smem_bytes, cluster)) goto out;

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
