#include "registry.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"

/* Index of the first range that ends above `address`. */
static size_t place_of(const smla_registry *registry, uintptr_t address) {
  size_t low = 0, high = registry->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (registry->ranges[middle].end > address)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static snapmla_status reserve(smla_registry *registry, size_t count) {
  if (count <= registry->capacity) return SNAPMLA_OK;
  const size_t capacity = count * 2;
  smla_range *ranges = realloc(registry->ranges, capacity * sizeof *ranges);
  if (!ranges) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "no memory for the emulator's list of %zu buffers", count);
  registry->ranges = ranges;
  registry->capacity = capacity;
  return SNAPMLA_OK;
}

snapmla_status smla_registry_add(smla_registry *registry, void *base, size_t bytes, int writable) {
  const uintptr_t begin = (uintptr_t)base;
  if (!base || bytes == 0 || begin + bytes < begin)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulated memory of %zu bytes at %p: give a non-empty buffer", bytes,
                     base);
  const size_t place = place_of(registry, begin);
  if (place < registry->count && registry->ranges[place].begin < begin + bytes)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "emulated memory of %zu bytes at %p overlaps the buffer of %zu bytes at %p: remove that one first",
                     bytes, base, (size_t)(registry->ranges[place].end - registry->ranges[place].begin),
                     (void *)registry->ranges[place].begin);
  const snapmla_status status = reserve(registry, registry->count + 1);
  if (status != SNAPMLA_OK) return status;
  smla_range *at = registry->ranges + place;
  memmove(at + 1, at, (registry->count - place) * sizeof *at);
  *at = (smla_range){begin, begin + bytes, writable != 0};
  registry->count++;
  return SNAPMLA_OK;
}

void smla_registry_remove(smla_registry *registry, void *base) {
  const size_t place = place_of(registry, (uintptr_t)base);
  if (place == registry->count || registry->ranges[place].begin != (uintptr_t)base) return;
  registry->count--;
  memmove(registry->ranges + place, registry->ranges + place + 1, (registry->count - place) * sizeof *registry->ranges);
}

snapmla_status smla_registry_copy(const smla_registry *from, smla_registry *to) {
  const snapmla_status status = reserve(to, from->count);
  if (status != SNAPMLA_OK) return status;
  if (from->count) memcpy(to->ranges, from->ranges, from->count * sizeof *to->ranges);
  to->count = from->count;
  return SNAPMLA_OK;
}

void smla_registry_free(smla_registry *registry) {
  free(registry->ranges);
  memset(registry, 0, sizeof *registry);
}

const smla_range *smla_registry_find(const smla_registry *registry, uintptr_t address) {
  const size_t place = place_of(registry, address);
  if (place == registry->count || registry->ranges[place].begin > address) return NULL;
  return registry->ranges + place;
}

const smla_range *smla_registry_nearest(const smla_registry *registry, uintptr_t address) {
  if (registry->count == 0) return NULL;
  const size_t above = place_of(registry, address);
  if (above == registry->count) return registry->ranges + above - 1;
  if (above == 0) return registry->ranges;
  const smla_range *low = registry->ranges + above - 1, *high = registry->ranges + above;
  return address - low->end < high->begin - address ? low : high;
}
