/* One kernel is compiled by one process at a time: a lock per key, with a timeout. It dies with its process. */
#ifndef SMLA_AUTOTUNE_STORE_LOCK_H
#define SMLA_AUTOTUNE_STORE_LOCK_H

#include <snapmla/status.h>

typedef struct smla_store_lock smla_store_lock;

/* Takes the lock of `key`, waiting up to `seconds`. Errors: CANCELLED (the time is over), and those of smla_store_folder:
 * whoever gets one goes on without the lock. Between threads of one process use something else as well. */
snapmla_status smla_store_lock_take(const char *key, double seconds, smla_store_lock **out);
void smla_store_lock_release(smla_store_lock *lock); /* NULL is allowed */

#endif
