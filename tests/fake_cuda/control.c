/* The fake's controls and its bookkeeping of calls. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

enum { CALLS = 64, LAUNCHES = 256 };

typedef struct call {
  const char *name;
  int count;
  int fails;     /* nonzero: a failure is due */
  int successes; /* to go through before it */
  int result;
} call;

fake_state fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .devices = 1, .major = 9, .driver_version = 13000};
static call calls[CALLS];
static fake_cuda_launch launches[LAUNCHES];
static size_t launch_count;

/* With the lock held. Names are literals, of the fake or of the test. */
static call *find(const char *name) {
  call *c = calls;
  while (c < calls + CALLS - 1 && c->name && strcmp(c->name, name)) c++;
  if (!c->name) c->name = name;
  return c;
}

int fake_enter(const char *name) {
  pthread_mutex_lock(&fake.lock);
  call *c = find(name);
  c->count++;
  int result = 0;
  if (c->fails && c->successes-- == 0) {
    c->fails = 0;
    result = c->result;
  }
  pthread_mutex_unlock(&fake.lock);
  return result;
}

void fake_record(const fake_cuda_launch *launch) {
  pthread_mutex_lock(&fake.lock);
  if (launch_count < LAUNCHES) launches[launch_count] = *launch;
  launch_count++;
  pthread_mutex_unlock(&fake.lock);
}

void fake_cuda_reset(void) {
  pthread_mutex_lock(&fake.lock);
  memset(calls, 0, sizeof calls);
  launch_count = 0;
  fake.devices = 1;
  fake.major = 9;
  fake.minor = 0;
  fake.driver_version = 13000;
  fake.fault[0] = 0;
  pthread_mutex_unlock(&fake.lock);
}

void fake_cuda_fail(const char *name, int successes, int result) {
  pthread_mutex_lock(&fake.lock);
  call *c = find(name);
  c->fails = 1;
  c->successes = successes;
  c->result = result;
  pthread_mutex_unlock(&fake.lock);
}

int fake_cuda_calls(const char *name) {
  pthread_mutex_lock(&fake.lock);
  int count = find(name)->count;
  pthread_mutex_unlock(&fake.lock);
  return count;
}

int fake_cuda_use(void) {
  Dl_info info;
  return !dladdr(calls, &info) || setenv("SNAPMLA_CUDA", info.dli_fname, 1);
}

size_t fake_cuda_launch_count(void) { return launch_count; }

const fake_cuda_launch *fake_cuda_launch_at(size_t index) {
  return index < launch_count && index < LAUNCHES ? &launches[index] : NULL;
}

void fake_cuda_show(int devices, int major, int minor, int driver_version) {
  fake.devices = devices;
  fake.major = major;
  fake.minor = minor;
  fake.driver_version = driver_version;
}

const char *fake_cuda_fault(void) { return fake.fault; }
