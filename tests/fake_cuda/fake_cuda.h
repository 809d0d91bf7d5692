/* A libcuda for tests: the functions that the runtime uses, with modules that are the emulator's kernels and launches
 * that run on the emulator. It records launches, counts what lives, and fails any call on request.
 *
 * It is stricter than a driver where that shows mistakes: a call without a current context fails, memory is aligned to
 * 512 bytes and no more, a launch beyond a function's shared memory fails. Not thread-safe in its controls; its calls
 * are. */
#ifndef TESTS_FAKE_CUDA_H
#define TESTS_FAKE_CUDA_H

#include <stddef.h>

#define FAKE_CUDA_API __attribute__((visibility("default")))

enum { FAKE_CUDA_NAME = 64 };

/* One launch as it was asked for. */
typedef struct fake_cuda_launch {
  char name[FAKE_CUDA_NAME]; /* of the function */
  unsigned grid[3], block[3], shared_bytes;
  unsigned cluster;    /* along x; 0 where the attribute was not given */
  int programmatic;    /* nonzero: programmatic stream serialisation */
  unsigned attributes; /* given in all */
  void *stream;
} fake_cuda_launch;

/* What was made and not yet given back. */
typedef struct fake_cuda_living {
  int contexts, allocations, streams, events, modules;
  int pushed; /* contexts on this thread's stack */
} fake_cuda_living;

/* Forgets failures, counts and launches; the device is one Hopper of 4 multiprocessors on a CUDA 13 driver. */
FAKE_CUDA_API void fake_cuda_reset(void);

/* The call of this name ("cuMemAlloc_v2") fails with `result` once, after `successes` more that go through. */
FAKE_CUDA_API void fake_cuda_fail(const char *call, int successes, int result);

/* How often a call was made since the last reset. */
FAKE_CUDA_API int fake_cuda_calls(const char *call);

FAKE_CUDA_API fake_cuda_living fake_cuda_alive(void);

FAKE_CUDA_API size_t fake_cuda_launch_count(void);
FAKE_CUDA_API const fake_cuda_launch *fake_cuda_launch_at(size_t index);

/* Names this library in SNAPMLA_CUDA, so that the runtime opens it; 0 on success. */
FAKE_CUDA_API int fake_cuda_use(void);

/* What the driver shows. */
FAKE_CUDA_API void fake_cuda_show(int devices, int major, int minor, int driver_version);

/* The emulator's words on the last launch that it found a fault in, "" if none. */
FAKE_CUDA_API const char *fake_cuda_fault(void);

#endif
