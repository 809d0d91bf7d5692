#include "image_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

/* The most images kept; the one unused for longest goes. A plan holds references of its own. */
enum { CAPACITY = 256 };

typedef struct entry {
  char key[SMLA_HASH_HEX]; /* "" where the entry is free */
  smla_image *image;       /* NULL while it is being made */
  uint64_t used;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t made = PTHREAD_COND_INITIALIZER;
static entry entries[CAPACITY];
static uint64_t clock_of_use;

static entry *find(const char *key) {
  for (entry *e = entries; e < entries + CAPACITY; e++)
    if (!strcmp(e->key, key)) return e;
  return NULL;
}

/* A free entry, else that of the image unused for longest; NULL where all are being made. */
static entry *take_entry(void) {
  entry *oldest = NULL;
  for (entry *e = entries; e < entries + CAPACITY; e++) {
    if (!e->key[0]) return e;
    if (e->image && (!oldest || e->used < oldest->used)) oldest = e;
  }
  if (oldest) {
    smla_image_release(oldest->image);
    *oldest = (entry){0};
  }
  return oldest;
}

snapmla_status smla_image_cache_get(const char *key, smla_image_make *make, void *user, smla_image **out) {
  pthread_mutex_lock(&lock);
  entry *e;
  while ((e = find(key)) && !e->image) pthread_cond_wait(&made, &lock);
  if (e) {
    e->used = ++clock_of_use;
    *out = smla_image_retain(e->image);
    pthread_mutex_unlock(&lock);
    return SNAPMLA_OK;
  }
  e = take_entry();
  if (e) snprintf(e->key, sizeof e->key, "%s", key);
  pthread_mutex_unlock(&lock);

  smla_image *image = NULL;
  snapmla_status status = make(user, &image);

  pthread_mutex_lock(&lock);
  if (e && status) *e = (entry){0};
  if (e && !status) {
    e->image = smla_image_retain(image);
    e->used = ++clock_of_use;
  }
  pthread_cond_broadcast(&made);
  pthread_mutex_unlock(&lock);
  if (!status) *out = image;
  return status;
}

void smla_image_cache_clear(void) {
  pthread_mutex_lock(&lock);
  for (entry *e = entries; e < entries + CAPACITY; e++) {
    smla_image_release(e->image);
    *e = (entry){0};
  }
  pthread_mutex_unlock(&lock);
}
