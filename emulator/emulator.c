#include "emulator.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "fault.h"
#include "machine.h"
#include "status.h"

#define DEFAULT_SMS 132
#define MAX_HOST_THREADS 1024

struct smla_emulator {
  snapmla_emulator_order order;
  uint64_t seed;
  uint32_t sms, worker_count;
  smla_worker *workers; /* zeroed until first used */
  pthread_mutex_t launch_lock;
  pthread_mutex_t registry_lock;
  smla_registry registry;
  smla_buffer report;
  smla_role roles[SMLA_ROLES]; /* of the last launch */
};

snapmla_status smla_emulator_create(const smla_emulator_options *options, smla_emulator **out) {
  *out = NULL;
  if (options->order < SNAPMLA_EMULATOR_EAGER || options->order > SNAPMLA_EMULATOR_RANDOM)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulator order %d: 0 (eager), 1 (late) or 2 (random)",
                     (int)options->order);
  if (options->threads < 0 || options->threads > MAX_HOST_THREADS)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulator threads %d: 0 (one per core) to %d", options->threads,
                     MAX_HOST_THREADS);
  if (options->sms < 0 || options->sms > 4096)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "emulator multiprocessors %d: 0 (132) to 4096", options->sms);
  smla_emulator *emulator = calloc(1, sizeof *emulator);
  if (!emulator) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "no memory for an emulator");
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  emulator->order = options->order;
  emulator->seed = options->seed;
  emulator->sms = options->sms ? (uint32_t)options->sms : DEFAULT_SMS;
  emulator->worker_count = options->threads ? (uint32_t)options->threads : cores > 0 ? (uint32_t)cores : 1;
  if (emulator->worker_count > MAX_HOST_THREADS) emulator->worker_count = MAX_HOST_THREADS;
  emulator->workers = calloc(emulator->worker_count, sizeof *emulator->workers);
  if (!emulator->workers) {
    free(emulator);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "no memory for an emulator");
  }
  pthread_mutex_init(&emulator->launch_lock, NULL);
  pthread_mutex_init(&emulator->registry_lock, NULL);
  *out = emulator;
  return SNAPMLA_OK;
}

void smla_emulator_destroy(smla_emulator *emulator) {
  if (!emulator) return;
  for (uint32_t i = 0; i < emulator->worker_count; i++) smla_worker_free(emulator->workers + i);
  free(emulator->workers);
  smla_registry_free(&emulator->registry);
  smla_buffer_free(&emulator->report);
  pthread_mutex_destroy(&emulator->launch_lock);
  pthread_mutex_destroy(&emulator->registry_lock);
  free(emulator);
}

snapmla_status smla_emulator_memory_add(smla_emulator *emulator, void *base, size_t bytes, int writable) {
  pthread_mutex_lock(&emulator->registry_lock);
  const snapmla_status status = smla_registry_add(&emulator->registry, base, bytes, writable);
  pthread_mutex_unlock(&emulator->registry_lock);
  return status;
}

void smla_emulator_memory_remove(smla_emulator *emulator, void *base) {
  pthread_mutex_lock(&emulator->registry_lock);
  smla_registry_remove(&emulator->registry, base);
  pthread_mutex_unlock(&emulator->registry_lock);
}

static snapmla_status check_launch(const smla_launch *launch) {
  const uint64_t limit = (uint64_t)1 << 31;
  const uint32_t cluster = launch->cluster ? launch->cluster : 1;
  const char *name = launch->name ? launch->name : "?";
  if (!launch->entry) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "kernel %s has no entry", name);
  if (launch->threads == 0 || launch->threads > SMLA_MAX_THREADS || launch->threads % SMLA_WARP != 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "kernel %s: %u threads per block; whole warps of 32, at most %d", name,
                     launch->threads, SMLA_MAX_THREADS);
  if (launch->grid[0] == 0 || launch->grid[1] == 0 || launch->grid[2] == 0 || launch->grid[0] >= limit ||
      launch->grid[1] > 65535 || launch->grid[2] > 65535 ||
      (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2] >= limit)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "kernel %s: grid %u x %u x %u; each at least 1, y and z at most 65535, below 2^31 blocks", name,
                     launch->grid[0], launch->grid[1], launch->grid[2]);
  if (cluster > SMLA_MAX_CLUSTER || launch->grid[0] % cluster != 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "kernel %s: clusters of %u blocks in a row of %u; at most %d, and a divisor", name, cluster,
                     launch->grid[0], SMLA_MAX_CLUSTER);
  if (launch->smem_bytes > SMLA_MAX_SHARED)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "kernel %s: %u bytes of shared memory; a block has at most %d", name,
                     launch->smem_bytes, SMLA_MAX_SHARED);
  return SNAPMLA_OK;
}

static void *run_worker(void *argument) {
  smla_worker_run(argument);
  return NULL;
}

/* One worker runs here; the others, as many as there is work and memory for, on threads of their own. */
static snapmla_status run_workers(smla_emulator *emulator, smla_run *run) {
  uint32_t count = emulator->worker_count;
  if (count > run->cluster_total) count = (uint32_t)run->cluster_total;
  pthread_t *threads = calloc(count, sizeof *threads);
  if (!threads) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "no memory for the emulator's host threads");
  uint32_t started = 1;
  emulator->workers[0].run = run;
  for (; started < count; started++) {
    emulator->workers[started].run = run;
    if (pthread_create(threads + started, NULL, run_worker, emulator->workers + started) == 0) continue;
    emulator->workers[started].run = NULL;
    break;
  }
  smla_worker_run(emulator->workers);
  snapmla_status status = emulator->workers[0].status;
  for (uint32_t i = 1; i < started; i++) {
    pthread_join(threads[i], NULL);
    if (status == SNAPMLA_OK) status = emulator->workers[i].status;
  }
  free(threads);
  if (status != SNAPMLA_OK)
    return smla_fail(status, "no memory to emulate kernel %s: use fewer host threads", run->launch->name);
  return SNAPMLA_OK;
}

/* The faults of the lowest faulting cluster: the same whatever the host threads did. */
static snapmla_status report_faults(smla_emulator *emulator, const smla_run *run) {
  const uint64_t faulted = atomic_load(&run->faulted);
  if (faulted == UINT64_MAX) return SNAPMLA_OK;
  const char *first = "";
  for (uint32_t i = 0; i < emulator->worker_count; i++) {
    const smla_fault_list *list = emulator->workers[i].faults;
    if (emulator->workers[i].run != run || !list || list->count == 0 || list->cluster != faulted) continue;
    first = list->records[0].text ? list->records[0].text : "(no memory for the text)";
    for (int j = 0; j < list->count; j++)
      if (list->records[j].text) smla_buffer_printf(&emulator->report, "%s\n", list->records[j].text);
  }
  return smla_fail(SNAPMLA_EMULATOR_FAULT, "kernel %s: %s", run->launch->name ? run->launch->name : "?", first);
}

static void sum_costs(smla_emulator *emulator, const smla_run *run, uint64_t blocks, smla_counters *counters) {
  memset(emulator->roles, 0, sizeof emulator->roles);
  for (uint64_t i = 0; i < blocks; i++)
    for (int j = 0; j < SMLA_ROLES; j++) {
      const smla_role *role = run->costs[i].roles + j;
      smla_role *sum = emulator->roles + j;
      sum->global_read += role->global_read;
      sum->global_written += role->global_written;
      sum->copied += role->copied;
      sum->shared_bytes += role->shared_bytes;
      sum->tensor_flops += role->tensor_flops;
      sum->tensor_cycles += role->tensor_cycles;
      sum->exponentials += role->exponentials;
      sum->primitives += role->primitives;
    }
  if (!counters) return;
  *counters = (smla_counters){.modelled_us = smla_model_time(run->costs, blocks, run->sms)};
  for (int j = 0; j < SMLA_ROLES; j++) {
    counters->global_bytes_read += (int64_t)emulator->roles[j].global_read;
    counters->global_bytes_written += (int64_t)emulator->roles[j].global_written;
    counters->tensor_flops += (int64_t)emulator->roles[j].tensor_flops;
    counters->shared_bytes += (int64_t)emulator->roles[j].shared_bytes;
    counters->exponentials += (int64_t)emulator->roles[j].exponentials;
  }
}

snapmla_status smla_emulator_launch(smla_emulator *emulator, const smla_launch *launch, smla_counters *counters) {
  if (counters) memset(counters, 0, sizeof *counters);
  snapmla_status status = check_launch(launch);
  if (status != SNAPMLA_OK) return status;
  const uint64_t blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
  smla_registry registry = {0};
  smla_run run = {.launch = launch,
                  .registry = &registry,
                  .order = emulator->order,
                  .seed = emulator->seed,
                  .sms = emulator->sms,
                  .cluster_size = launch->cluster ? launch->cluster : 1};
  run.cluster_total = blocks / run.cluster_size;
  atomic_init(&run.next, 0);
  atomic_init(&run.faulted, UINT64_MAX);
  pthread_mutex_lock(&emulator->launch_lock);
  emulator->report.length = 0;
  if (emulator->report.data) emulator->report.data[0] = 0;
  run.costs = calloc(blocks, sizeof *run.costs);
  if (!run.costs) {
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "no memory for the counters of %llu blocks", (unsigned long long)blocks);
    goto out;
  }
  pthread_mutex_lock(&emulator->registry_lock);
  status = smla_registry_copy(&emulator->registry, &registry);
  pthread_mutex_unlock(&emulator->registry_lock);
  if (status != SNAPMLA_OK) goto out;
  status = run_workers(emulator, &run);
  if (status != SNAPMLA_OK) goto out;
  sum_costs(emulator, &run, blocks, counters);
  status = report_faults(emulator, &run);
out:
  for (uint32_t i = 0; i < emulator->worker_count; i++) emulator->workers[i].run = NULL;
  pthread_mutex_unlock(&emulator->launch_lock);
  smla_registry_free(&registry);
  free(run.costs);
  return status;
}

const char *smla_emulator_report(const smla_emulator *emulator) {
  return emulator->report.data ? emulator->report.data : "";
}

void smla_emulator_role(const smla_emulator *emulator, uint32_t warpgroup, smla_role *role) {
  memset(role, 0, sizeof *role);
  if (warpgroup < SMLA_ROLES) *role = emulator->roles[warpgroup];
}
