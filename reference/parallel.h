/* Independent items over the cores of the process. */
#ifndef SMLA_REFERENCE_PARALLEL_H
#define SMLA_REFERENCE_PARALLEL_H

#include <stdint.h>

#include <snapmla/status.h>

typedef struct smla_parallel_items smla_parallel_items;

/* The next item, 0 .. count - 1, each given to one worker; -1 when there is none left. Thread-safe. */
int64_t smla_parallel_next(smla_parallel_items *items);

/* A worker prepares what it needs, then takes items until there are none. It may fail only before it takes its first
 * item: the other workers then do all the work. */
typedef snapmla_status (*smla_parallel_worker)(void *user, smla_parallel_items *items);

/* Runs `worker` on the calling thread and on up to one more thread per other core, and returns when all items are
 * done: the status is that of the calling thread's worker. Thread-safe. */
snapmla_status smla_parallel_run(int64_t count, smla_parallel_worker worker, void *user);

#endif
