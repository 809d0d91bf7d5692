/* Devices, contexts, memory. One context lives per process: the primary one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

enum { CONTEXT_STACK = 16, ALIGNMENT = 512 };

static char primary; /* its address is the context */
static _Thread_local void *stack[CONTEXT_STACK];
static _Thread_local int depth;

int fake_enter_context(const char *call) {
  int result = fake_enter(call);
  return result ? result : depth ? 0 : FAKE_INVALID_CONTEXT;
}

fake_cuda_living fake_cuda_alive(void) {
  pthread_mutex_lock(&fake.lock);
  fake_cuda_living living = fake.living;
  pthread_mutex_unlock(&fake.lock);
  living.pushed = depth;
  return living;
}

FAKE_EXPORT int cuInit(unsigned flags) {
  int result = fake_enter("cuInit");
  return result ? result : flags ? FAKE_INVALID_VALUE : 0;
}

FAKE_EXPORT int cuDriverGetVersion(int *version) {
  int result = fake_enter("cuDriverGetVersion");
  if (!result) *version = fake.driver_version;
  return result;
}

FAKE_EXPORT int cuGetErrorName(int error, const char **text) {
  *text = error == FAKE_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_THE_FAKE";
  return 0;
}

FAKE_EXPORT int cuGetErrorString(int error, const char **text) {
  static _Thread_local char words[64];
  snprintf(words, sizeof words, "the fake driver's error %d", error);
  *text = words;
  return 0;
}

FAKE_EXPORT int cuDeviceGetCount(int *count) {
  int result = fake_enter("cuDeviceGetCount");
  if (!result) *count = fake.devices;
  return result;
}

FAKE_EXPORT int cuDeviceGet(int *device, int ordinal) {
  int result = fake_enter("cuDeviceGet");
  if (result) return result;
  if (ordinal < 0 || ordinal >= fake.devices) return FAKE_INVALID_DEVICE;
  *device = ordinal;
  return 0;
}

FAKE_EXPORT int cuDeviceGetName(char *name, int length, int device) {
  int result = fake_enter("cuDeviceGetName");
  if (!result) snprintf(name, (size_t)length, "Fake Hopper %d", device);
  return result;
}

FAKE_EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device) {
  int result = fake_enter("cuDeviceGetAttribute");
  if (result) return result;
  if (device < 0 || device >= fake.devices) return FAKE_INVALID_DEVICE;
  switch (attribute) {
  case 16: *value = FAKE_MULTIPROCESSORS; return 0;
  case 13: *value = 1980000; return 0;
  case 36: *value = 2619000; return 0;
  case 37: *value = 5120; return 0;
  case 38: *value = 50 << 20; return 0;
  case 75: *value = fake.major; return 0;
  case 76: *value = fake.minor; return 0;
  case 97: *value = FAKE_SHARED_BYTES; return 0;
  default: return FAKE_INVALID_VALUE;
  }
}

FAKE_EXPORT int cuDeviceGetPCIBusId(char *text, int length, int device) {
  int result = fake_enter("cuDeviceGetPCIBusId");
  if (result) return result;
  snprintf(text, (size_t)length, "0000:%02x:00.0", device);
  return 0;
}

FAKE_EXPORT int cuMemGetInfo_v2(size_t *available, size_t *total) {
  int result = fake_enter("cuMemGetInfo_v2");
  if (result) return result;
  *available = *total = (size_t)1 << 30;
  return 0;
}

/* The emulator lives as long as the process: kernels of several contexts may use it. */
static int start_emulator(void) {
  if (fake.emulator) return 0;
  const smla_emulator_options options = {.order = SNAPMLA_EMULATOR_EAGER, .sms = FAKE_MULTIPROCESSORS};
  return smla_emulator_create(&options, &fake.emulator) ? FAKE_OUT_OF_MEMORY : 0;
}

__attribute__((destructor)) static void stop_emulator(void) {
  if (fake.emulator) smla_emulator_destroy(fake.emulator);
}

FAKE_EXPORT int cuDevicePrimaryCtxRetain(void **context, int device) {
  int result = fake_enter("cuDevicePrimaryCtxRetain");
  if (result) return result;
  if (device < 0 || device >= fake.devices) return FAKE_INVALID_DEVICE;
  pthread_mutex_lock(&fake.lock);
  result = start_emulator();
  if (!result) fake.living.contexts++;
  pthread_mutex_unlock(&fake.lock);
  if (!result) *context = &primary;
  return result;
}

FAKE_EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
  int result = fake_enter("cuDevicePrimaryCtxRelease_v2");
  if (result) return result;
  if (device < 0 || device >= fake.devices) return FAKE_INVALID_DEVICE;
  pthread_mutex_lock(&fake.lock);
  fake.living.contexts--;
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

FAKE_EXPORT int cuCtxPushCurrent_v2(void *context) {
  int result = fake_enter("cuCtxPushCurrent_v2");
  if (result) return result;
  if (depth == CONTEXT_STACK) return FAKE_INVALID_VALUE;
  stack[depth++] = context;
  return 0;
}

FAKE_EXPORT int cuCtxPopCurrent_v2(void **context) {
  int result = fake_enter("cuCtxPopCurrent_v2");
  if (result) return result;
  if (!depth) return FAKE_INVALID_CONTEXT;
  *context = stack[--depth];
  return 0;
}

FAKE_EXPORT int cuCtxGetCurrent(void **context) {
  int result = fake_enter("cuCtxGetCurrent");
  if (!result) *context = depth ? stack[depth - 1] : NULL;
  return result;
}

/* The pointer is ALIGNMENT past a multiple of twice that, and never aligned to more. */
FAKE_EXPORT int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes) {
  int result = fake_enter_context("cuMemAlloc_v2");
  if (result) return result;
  if (!bytes) return FAKE_INVALID_VALUE;
  size_t total = (bytes + 4 * ALIGNMENT) / (2 * ALIGNMENT) * (2 * ALIGNMENT);
  char *block = total < bytes ? NULL : aligned_alloc(2 * ALIGNMENT, total);
  if (!block) return FAKE_OUT_OF_MEMORY;
  if (smla_emulator_memory_add(fake.emulator, block + ALIGNMENT, bytes, 1)) {
    free(block);
    return FAKE_OUT_OF_MEMORY;
  }
  pthread_mutex_lock(&fake.lock);
  fake.living.allocations++;
  pthread_mutex_unlock(&fake.lock);
  *pointer = (uintptr_t)(block + ALIGNMENT);
  return 0;
}

FAKE_EXPORT int cuMemFree_v2(unsigned long long pointer) {
  int result = fake_enter_context("cuMemFree_v2");
  if (result) return result;
  smla_emulator_memory_remove(fake.emulator, (void *)(uintptr_t)pointer);
  free((char *)(uintptr_t)pointer - ALIGNMENT);
  pthread_mutex_lock(&fake.lock);
  fake.living.allocations--;
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

FAKE_EXPORT int cuMemsetD8_v2(unsigned long long pointer, unsigned char value, size_t bytes) {
  int result = fake_enter_context("cuMemsetD8_v2");
  if (!result) memset((void *)(uintptr_t)pointer, value, bytes);
  return result;
}

FAKE_EXPORT int cuMemcpyHtoD_v2(unsigned long long target, const void *source, size_t bytes) {
  int result = fake_enter_context("cuMemcpyHtoD_v2");
  if (!result) memcpy((void *)(uintptr_t)target, source, bytes);
  return result;
}

FAKE_EXPORT int cuMemcpyDtoH_v2(void *target, unsigned long long source, size_t bytes) {
  int result = fake_enter_context("cuMemcpyDtoH_v2");
  if (!result) memcpy(target, (const void *)(uintptr_t)source, bytes);
  return result;
}
