/* The global memory that kernels may touch: ranges sorted by address. */
#ifndef SMLA_EMULATOR_REGISTRY_H
#define SMLA_EMULATOR_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

typedef struct smla_range {
  uintptr_t begin, end;
  int writable;
} smla_range;

typedef struct smla_registry {
  smla_range *ranges; /* sorted, disjoint */
  size_t count, capacity;
} smla_registry;

/* The range a lookup found last: valid for one snapshot. */
typedef smla_range smla_registry_hit;

/* Errors: INVALID_ARGUMENT (empty, or overlap), OUT_OF_MEMORY. */
snapmla_status smla_registry_add(smla_registry *registry, void *base, size_t bytes, int writable);
void smla_registry_remove(smla_registry *registry, void *base);
snapmla_status smla_registry_copy(const smla_registry *from, smla_registry *to);
void smla_registry_free(smla_registry *registry);
/* The range that holds `address`, NULL if none does. */
const smla_range *smla_registry_find(const smla_registry *registry, uintptr_t address);
/* The range closest to an address that is in none, NULL if there is none at all. */
const smla_range *smla_registry_nearest(const smla_registry *registry, uintptr_t address);

#endif
