#include "shards_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "env.h"

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double next_normal(uint64_t *state) {
  double sum = -6.0;
  for (int i = 0; i < 12; i++) sum += (double)(next_random(state) >> 11) * 0x1p-53;
  return sum;
}

void *array(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size);
  assert_non_null(p);
  return p;
}

static const char *device_name(void) {
  const char *device = smla_env(SMLA_ENV_TEST_TARGET);
  return device ? device : "emulator";
}

int on_emulator(void) { return !strcmp(device_name(), "emulator"); }

snapmla_context *open_context(snapmla_emulator_order order, uint64_t seed) {
  const snapmla_context_options options = {.size = sizeof options,
                                           .device = device_name(),
                                           .emulator_order = order,
                                           .emulator_seed = seed,
                                           .emulator_sms = 3};
  snapmla_context *context;
  must(snapmla_context_create(&options, &context));
  return context;
}

snapmla_buffer *upload(snapmla_context *context, const void *data, size_t bytes) {
  snapmla_buffer *buffer;
  must(snapmla_buffer_create(context, bytes ? bytes : 16, &buffer));
  if (data && bytes) must(snapmla_buffer_write(buffer, 0, data, bytes));
  return buffer;
}
