/* What the tests of shards have in common. */
#ifndef SMLA_TESTS_TEMPLATES_SHARDS_FIXTURE_H
#define SMLA_TESTS_TEMPLATES_SHARDS_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/snapmla.h>

#define must(call)                                                                                             \
  do {                                                                                                         \
    snapmla_status must_status = (call);                                                                       \
    if (must_status) fail_msg("%s: %s: %s", #call, snapmla_status_text(must_status), snapmla_error_message()); \
  } while (0)

/* About normal, the same everywhere. */
double next_normal(uint64_t *state);

/* `count` elements of zeros; fails the running test where there is no memory. */
void *array(size_t count, size_t size);

/* Whether the device is the emulator: the default, and else that which SNAPMLA_TEST_TARGET names. */
int on_emulator(void);

snapmla_context *open_context(snapmla_emulator_order order, uint64_t seed);

/* A buffer of `bytes` of `data`; filled with 0xff, which is NaN, where `data` is NULL. */
snapmla_buffer *upload(snapmla_context *context, const void *data, size_t bytes);

#endif
