/* What the files of the fake share. */
#ifndef TESTS_FAKE_CUDA_STATE_H
#define TESTS_FAKE_CUDA_STATE_H

#include <pthread.h>

#include "emulator.h"
#include "fake_cuda.h"

enum {
  FAKE_INVALID_VALUE = 1,
  FAKE_OUT_OF_MEMORY = 2,
  FAKE_INVALID_DEVICE = 101,
  FAKE_INVALID_IMAGE = 200,
  FAKE_INVALID_CONTEXT = 201,
  FAKE_INVALID_HANDLE = 400,
  FAKE_NOT_FOUND = 500,
  FAKE_LAUNCH_FAILED = 719,
  FAKE_MULTIPROCESSORS = 4,
  FAKE_SHARED_BYTES = 232448
};

typedef struct fake_state {
  pthread_mutex_t lock; /* of everything here */
  int devices, major, minor, driver_version;
  fake_cuda_living living;
  smla_emulator *emulator; /* made with the first context */
  char fault[4096];
} fake_state;

extern fake_state fake;

/* Counts a call; its result where it is to fail, else 0. */
int fake_enter(const char *call);
/* The same, for calls that need a current context. */
int fake_enter_context(const char *call);

void fake_record(const fake_cuda_launch *launch);

/* Nonzero where this is a stream that lives, or the default one. */
int fake_is_stream(const void *stream);

/* The stream's launch found a fault: its next synchronise fails. */
void fake_break_stream(void *stream);

#define FAKE_EXPORT __attribute__((visibility("default")))

#endif
