/* Answers of pure functions, kept by what was asked: a plan asks the same of a space again and again, and each asking is a Lua state
 * of its own. Only the newest are kept. Thread-safe. */
#ifndef SMLA_GENERATOR_MEMO_H
#define SMLA_GENERATOR_MEMO_H

#include <pthread.h>

#include "buffer.h"
#include "hash.h"

enum { SMLA_MEMO_ANSWERS = 64 };

typedef struct smla_answer {
  char key[SMLA_HASH_HEX]; /* of the question; "" where the place is free */
  smla_buffer bytes;
} smla_answer;

typedef struct smla_memo {
  pthread_mutex_t lock;
  smla_answer answers[SMLA_MEMO_ANSWERS];
  size_t next; /* the place to use next: the oldest */
} smla_memo;

void smla_memo_init(smla_memo *memo);
void smla_memo_clear(smla_memo *memo); /* frees what it owns */

/* Nonzero where the answer is known: it is appended to `out`. One that cannot be copied counts as unknown. */
int smla_memo_get(smla_memo *memo, const char key[SMLA_HASH_HEX], smla_buffer *out);

/* Keeps an answer, whose bytes it takes over; without need of memory. */
void smla_memo_put(smla_memo *memo, const char key[SMLA_HASH_HEX], smla_buffer *bytes);

#endif
