/* Streams and events. A launch runs in its call, so a stream only remembers whether one failed. */
#include <stdlib.h>

#include "state.h"

typedef struct fake_stream {
  int broken;
  struct fake_stream *next;
} fake_stream;

static fake_stream default_stream; /* the head of the list */
static int clock_ms;

/* With the lock held. */
static fake_stream *find(const void *stream) {
  if (!stream) return &default_stream;
  fake_stream *s = default_stream.next;
  while (s && s != stream) s = s->next;
  return s;
}

int fake_is_stream(const void *stream) {
  pthread_mutex_lock(&fake.lock);
  int known = find(stream) != NULL;
  pthread_mutex_unlock(&fake.lock);
  return known;
}

void fake_break_stream(void *stream) {
  pthread_mutex_lock(&fake.lock);
  find(stream)->broken = 1;
  pthread_mutex_unlock(&fake.lock);
}

FAKE_EXPORT int cuStreamCreate(void **stream, unsigned flags) {
  (void)flags;
  int result = fake_enter_context("cuStreamCreate");
  if (result) return result;
  fake_stream *s = calloc(1, sizeof *s);
  if (!s) return FAKE_OUT_OF_MEMORY;
  pthread_mutex_lock(&fake.lock);
  s->next = default_stream.next;
  default_stream.next = s;
  fake.living.streams++;
  pthread_mutex_unlock(&fake.lock);
  *stream = s;
  return 0;
}

FAKE_EXPORT int cuStreamDestroy_v2(void *stream) {
  int result = fake_enter_context("cuStreamDestroy_v2");
  if (result) return result;
  pthread_mutex_lock(&fake.lock);
  fake_stream *before = &default_stream;
  while (before->next && before->next != stream) before = before->next;
  fake_stream *s = before->next;
  if (s) before->next = s->next;
  if (s) fake.living.streams--;
  pthread_mutex_unlock(&fake.lock);
  free(s);
  return s ? 0 : FAKE_INVALID_HANDLE;
}

FAKE_EXPORT int cuStreamSynchronize(void *stream) {
  int result = fake_enter_context("cuStreamSynchronize");
  if (result) return result;
  pthread_mutex_lock(&fake.lock);
  fake_stream *s = find(stream);
  result = !s ? FAKE_INVALID_HANDLE : s->broken ? FAKE_LAUNCH_FAILED : 0;
  pthread_mutex_unlock(&fake.lock);
  return result;
}

typedef struct fake_event {
  int at_ms; /* 0: never recorded */
} fake_event;

FAKE_EXPORT int cuEventCreate(void **event, unsigned flags) {
  (void)flags;
  int result = fake_enter_context("cuEventCreate");
  if (result) return result;
  *event = calloc(1, sizeof(fake_event));
  if (!*event) return FAKE_OUT_OF_MEMORY;
  pthread_mutex_lock(&fake.lock);
  fake.living.events++;
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

FAKE_EXPORT int cuEventDestroy_v2(void *event) {
  int result = fake_enter_context("cuEventDestroy_v2");
  if (result) return result;
  free(event);
  pthread_mutex_lock(&fake.lock);
  fake.living.events--;
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

/* The clock ticks a millisecond for each record. */
FAKE_EXPORT int cuEventRecord(void *event, void *stream) {
  int result = fake_enter_context("cuEventRecord");
  if (result) return result;
  if (!fake_is_stream(stream)) return FAKE_INVALID_HANDLE;
  pthread_mutex_lock(&fake.lock);
  ((fake_event *)event)->at_ms = ++clock_ms;
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

FAKE_EXPORT int cuEventSynchronize(void *event) {
  (void)event;
  return fake_enter_context("cuEventSynchronize");
}

FAKE_EXPORT int cuEventElapsedTime(float *milliseconds, void *start, void *stop) {
  int result = fake_enter_context("cuEventElapsedTime");
  if (result) return result;
  int from = ((fake_event *)start)->at_ms, to = ((fake_event *)stop)->at_ms;
  if (!from || !to) return FAKE_INVALID_HANDLE;
  *milliseconds = (float)(to - from);
  return 0;
}
