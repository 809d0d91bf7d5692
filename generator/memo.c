#include "memo.h"

#include <stdio.h>
#include <string.h>

void smla_memo_init(smla_memo *memo) {
  *memo = (smla_memo){0};
  pthread_mutex_init(&memo->lock, NULL);
}

void smla_memo_clear(smla_memo *memo) {
  for (size_t i = 0; i < SMLA_MEMO_ANSWERS; ++i) smla_buffer_free(&memo->answers[i].bytes);
  pthread_mutex_destroy(&memo->lock);
}

static smla_answer *find(smla_memo *memo, const char *key) {
  for (size_t i = 0; i < SMLA_MEMO_ANSWERS; ++i)
    if (!strcmp(memo->answers[i].key, key)) return &memo->answers[i];
  return NULL;
}

int smla_memo_get(smla_memo *memo, const char key[SMLA_HASH_HEX], smla_buffer *out) {
  pthread_mutex_lock(&memo->lock);
  const smla_answer *known = find(memo, key);
  int got = known && !smla_buffer_append(out, known->bytes.data, known->bytes.length);
  pthread_mutex_unlock(&memo->lock);
  return got;
}

void smla_memo_put(smla_memo *memo, const char key[SMLA_HASH_HEX], smla_buffer *bytes) {
  pthread_mutex_lock(&memo->lock);
  if (!find(memo, key)) {
    smla_answer *place = &memo->answers[memo->next];
    memo->next = (memo->next + 1) % SMLA_MEMO_ANSWERS;
    smla_buffer_free(&place->bytes);
    snprintf(place->key, sizeof place->key, "%s", key);
    place->bytes = *bytes;
    *bytes = (smla_buffer){0};
  }
  pthread_mutex_unlock(&memo->lock);
}
