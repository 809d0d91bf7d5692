/* The silicon facts of a device, as drivers tell them. */
#ifndef SMLA_UTIL_DEVICE_FACTS_H
#define SMLA_UTIL_DEVICE_FACTS_H

#include <stdint.h>

/* 0 where a fact is not known. */
typedef struct smla_device_facts {
  int is_emulator; /* its times are modelled */
  int32_t compute_major, compute_minor;
  int32_t multiprocessors;
  int64_t l2_bytes;
  int32_t shared_memory_bytes; /* the most a block may ask for */
  int32_t bus_bits;            /* of the memory */
  int32_t clock_mhz;           /* the highest of the multiprocessors */
  int32_t memory_clock_mhz;    /* of the memory; twice that many transfers a second per line */
  int partitioned;             /* a part of a GPU (MIG) */
} smla_device_facts;

#endif
