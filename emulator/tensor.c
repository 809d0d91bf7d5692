/* Issue, commit and wait of wgmma. Threads need not meet to issue: a thread runs on to its wait, and an operation may
 * execute once all 128 have issued it. Its operands count as being read from the first issue to the wait. */
#include "tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

static const char *group_name(const smla_thread *thread) {
  static _Thread_local char name[64];
  snprintf(name, sizeof name, "warpgroup %u of block %llu", thread->index / SMLA_WARPGROUP,
           (unsigned long long)thread->block->index);
  return name;
}

/* Whether the thread's warpgroup is whole; wgmma needs all of it. */
static void check_group(smla_thread *thread, const char *what, smla_place line) {
  const smla_block *block = thread->block;
  if ((thread->index / SMLA_WARPGROUP + 1) * SMLA_WARPGROUP > block->thread_count)
    smla_fault_end(block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                   "%s of %s needs a warpgroup of 128 threads; the block's %u end before it does", what,
                   smla_thread_name(thread), block->thread_count);
}

static void begin_reads(smla_thread *thread, const smla_operand *operand, const char *what, smla_place line) {
  for (uint32_t i = 0; i < smla_operand_granules(operand); i++)
    smla_shared_begin_read(thread, thread->block, smla_operand_place(operand, i), SMLA_GRANULE, what, line);
}

static void end_reads(smla_block *block, const smla_operand *operand) {
  for (uint32_t i = 0; i < smla_operand_granules(operand); i++)
    smla_shared_end_read(block, smla_operand_place(operand, i), SMLA_GRANULE);
}

/* Room for one more operation. */
static smla_operation *next_operation(smla_thread *thread, smla_tensor_group *group) {
  if (group->issued - group->retired == group->capacity) {
    const uint64_t capacity = group->capacity ? group->capacity * 2 : 64;
    smla_operation **ring = calloc(capacity, sizeof *ring);
    if (!ring) return NULL;
    for (uint64_t k = group->retired; k < group->issued; k++) ring[k % capacity] = group->ring[k % group->capacity];
    free(group->ring);
    group->ring = ring;
    group->capacity = capacity;
  }
  smla_operation **place = group->ring + group->issued % group->capacity;
  if (!*place) *place = malloc(sizeof **place);
  (void)thread;
  return *place;
}

/* What the first thread to issue an operation states. */
static void open_operation(smla_thread *thread, smla_tensor_group *group, const smla_wgmma *stated, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  smla_operation *operation = next_operation(thread, group);
  if (!operation) {
    cluster->worker->status = SNAPMLA_OUT_OF_MEMORY;
    smla_cluster_abort(cluster);
  }
  operation->line = line;
  operation->type = stated->type;
  operation->n = stated->n;
  operation->accumulate = stated->accumulate;
  operation->a_in_registers = stated->a_registers != NULL;
  operation->a_descriptor = stated->a;
  operation->b_descriptor = stated->b;
  operation->arrived = 0;
  operation->first = thread->index;
  if (!operation->a_in_registers) smla_operand_decode(thread, stated->a, 64, "A", line, &operation->a);
  if (stated->b_columns)
    smla_operand_decode_columns(thread, stated->b, (uint32_t)stated->n, line, &operation->b);
  else
    smla_operand_decode(thread, stated->b, (uint32_t)stated->n, "B", line, &operation->b);
  if (!operation->a_in_registers) begin_reads(thread, &operation->a, "reads as wgmma operand A", line);
  begin_reads(thread, &operation->b, "reads as wgmma operand B", line);
  group->issued++;
  smla_role *role = thread->role;
  const uint32_t rows = (uint32_t)stated->n + (operation->a_in_registers ? 0 : 64);
  const int is_e4m3 = stated->type == SMLA_WGMMA_E4M3;
  const uint32_t k = is_e4m3 ? 32 : 16;
  role->shared_bytes += rows * SMLA_K_BYTES;
  role->tensor_flops += 2ull * 64 * (uint32_t)stated->n * k;
  role->tensor_cycles += smla_model_wgmma(!is_e4m3, stated->n, operation->a_in_registers);
}

static void check_same(smla_thread *thread, const smla_operation *operation, const smla_wgmma *stated,
                       smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  if (operation->line != line || operation->type != stated->type || operation->n != stated->n ||
      operation->accumulate != stated->accumulate || operation->b.by_columns != stated->b_columns ||
      operation->a_in_registers != (stated->a_registers != NULL))
    smla_fault_end(cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                   "%s issues a wgmma as operation %llu of its warpgroup, where thread %u issued that of %s",
                   smla_thread_name(thread), (unsigned long long)thread->tensor_issued, operation->first,
                   smla_place_name(operation->line));
  if (operation->b_descriptor != stated->b || (!operation->a_in_registers && operation->a_descriptor != stated->a))
    smla_fault_end(
        cluster, SMLA_FAULT_DESCRIPTOR, line,
        "%s and thread %u give one wgmma different descriptors: A 0x%llx and 0x%llx, B 0x%llx and 0x%llx; they must be "
        "uniform over the warpgroup",
        smla_thread_name(thread), operation->first, stated->a, operation->a_descriptor, stated->b,
        operation->b_descriptor);
}

static void check_accumulators(smla_thread *thread, smla_frag_header *d, unsigned shape, int accumulate,
                               smla_place line) {
  if (accumulate && (d->touched & SMLA_FRAG_EMPTY))
    smla_fault(thread->block->cluster, SMLA_FAULT_UNINITIALISED, line,
               "%s accumulates into registers that nothing wrote", smla_thread_name(thread));
  if (d->touched & SMLA_FRAG_ACCESSED)
    smla_fault(thread->block->cluster, SMLA_FAULT_WGMMA_FENCE, line,
               "%s accumulates into registers that it accessed, or never used, since its last wgmma_fence",
               smla_thread_name(thread));
  if (d->shape && d->shape != shape)
    smla_fault(thread->block->cluster, SMLA_FAULT_WGMMA_FENCE, line,
               "%s accumulates into registers that a wgmma of another shape or type uses: a wgmma_fence must stand "
               "between them",
               smla_thread_name(thread));
  d->shape = shape;
  d->touched = 0;
}

void smla_wgmma_issue(const smla_wgmma *stated, smla_place line) {
  smla_thread *thread = smla_step(line);
  check_group(thread, "wgmma", line);
  smla_tensor_group *group = smla_tensor_group_of(thread);
  check_accumulators(thread, stated->d, (unsigned)(stated->n << 1 | stated->type), stated->accumulate, line);
  if (thread->tensor_issued == group->issued) open_operation(thread, group, stated, line);
  smla_operation *operation = group->ring[thread->tensor_issued % group->capacity];
  check_same(thread, operation, stated, line);
  const uint32_t lane = thread->index % SMLA_WARPGROUP;
  operation->d[lane] = stated->d;
  operation->a_registers[lane] = stated->a_registers;
  if (stated->a_registers) memcpy(operation->a_values[lane], stated->a_registers, sizeof operation->a_values[lane]);
  stated->d->pending++;
  thread->tensor_issued++;
  operation->arrived++;
}

void smla_wgmma_fence(smla_place line) {
  smla_thread *thread = smla_step(line);
  check_group(thread, "wgmma_fence", line);
  for (smla_frag_header *frag = thread->frags; frag; frag = frag->next) {
    frag->touched &= SMLA_FRAG_EMPTY;
    frag->shape = 0;
  }
}

struct execution {
  smla_block *block;
  smla_tensor_group *group;
  uint64_t end;
};

static void execute(smla_cluster *cluster, void *argument) {
  const struct execution *execution = argument;
  smla_tensor_execute(cluster, execution->block, execution->group, execution->end);
}

static void execute_until(smla_thread *thread, smla_tensor_group *group, uint64_t end) {
  if (end <= group->executed) return;
  struct execution execution = {thread->block, group, end};
  smla_on_home(thread->block->cluster, execute, &execution);
}

void smla_wgmma_commit(smla_place line) {
  smla_thread *thread = smla_step(line);
  check_group(thread, "wgmma_commit", line);
  smla_tensor_group *group = smla_tensor_group_of(thread);
  const uint64_t g = thread->tensor_commits++, place = g % 64;
  if (g == group->commits) {
    if (g - group->groups_retired == 64)
      smla_fault_end(thread->block->cluster, SMLA_FAULT_NO_PROGRESS, line, "%s commits group 65 without a wgmma_wait",
                     group_name(thread));
    group->commits++;
    group->group_end[place] = thread->tensor_issued;
    group->group_line[place] = line;
    group->group_arrived[place] = 0;
  } else if (group->group_end[place] != thread->tensor_issued || group->group_line[place] != line) {
    smla_fault_end(thread->block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                   "%s commits after %llu wgmma, where other threads of its warpgroup had issued %llu, at %s",
                   smla_thread_name(thread), (unsigned long long)thread->tensor_issued,
                   (unsigned long long)group->group_end[place], smla_place_name(group->group_line[place]));
  }
  if (++group->group_arrived[place] != SMLA_WARPGROUP) return;
  group->committed++;
  group->committed_end = group->group_end[place];
  if (thread->block->cluster->worker->run->order == SNAPMLA_EMULATOR_EAGER)
    execute_until(thread, group, group->committed_end);
}

/* The operation is over: its operands may be written, its accumulators used. */
static void retire(smla_thread *thread, smla_tensor_group *group) {
  smla_block *block = thread->block;
  smla_operation *operation = group->ring[group->retired % group->capacity];
  smla_thread *lanes = block->threads + thread->index / SMLA_WARPGROUP * SMLA_WARPGROUP;
  for (uint32_t i = 0; i < SMLA_WARPGROUP; i++) {
    operation->d[i]->pending--;
    if (operation->a_in_registers &&
        memcmp(operation->a_registers[i], operation->a_values[i], sizeof operation->a_values[i]) != 0)
      smla_fault(block->cluster, SMLA_FAULT_FRAGMENT_CHANGED, operation->line,
                 "%s changed its A fragment between this wgmma and the wgmma_wait of %s", smla_thread_name(lanes + i),
                 smla_place_name(group->wait_line));
  }
  if (!operation->a_in_registers) end_reads(block, &operation->a);
  end_reads(block, &operation->b);
  group->retired++;
}

/* All threads of the warpgroup have come to the wait. */
static void complete_wait(smla_thread *thread, smla_tensor_group *group) {
  smla_block *block = thread->block;
  smla_thread *lanes = block->threads + thread->index / SMLA_WARPGROUP * SMLA_WARPGROUP;
  for (uint32_t i = 0; i < SMLA_WARPGROUP; i++) {
    if (lanes[i].tensor_issued == group->issued && lanes[i].tensor_commits == group->commits) continue;
    smla_fault_end(block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, group->wait_line,
                   "%s comes to wgmma_wait with %llu wgmma and %llu commits, others of its warpgroup with %llu and "
                   "%llu (last wgmma: %s)",
                   smla_thread_name(lanes + i), (unsigned long long)lanes[i].tensor_issued,
                   (unsigned long long)lanes[i].tensor_commits, (unsigned long long)group->issued,
                   (unsigned long long)group->commits,
                   group->issued ? smla_place_name(group->ring[(group->issued - 1) % group->capacity]->line) : "none");
  }
  const uint64_t pending = (uint64_t)group->wait_pending;
  if (group->committed <= pending) return;
  const uint64_t groups = group->committed - pending;
  if (groups <= group->groups_retired) return;
  const uint64_t end = group->group_end[(groups - 1) % 64];
  execute_until(thread, group, end);
  while (group->retired < end) retire(thread, group);
  group->groups_retired = groups;
}

void smla_wgmma_wait(int pending, smla_place line) {
  smla_thread *thread = smla_step(line);
  check_group(thread, "wgmma_wait", line);
  smla_block *block = thread->block;
  smla_tensor_group *group = smla_tensor_group_of(thread);
  smla_thread *lanes = block->threads + thread->index / SMLA_WARPGROUP * SMLA_WARPGROUP;
  if (group->waiting == 0) {
    group->wait_line = line;
    group->wait_pending = pending;
  } else if (group->wait_line != line || group->wait_pending != pending) {
    smla_fault_end(block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                   "%s calls wgmma_wait while other threads of its warpgroup wait in the one of %s",
                   smla_thread_name(thread), smla_place_name(group->wait_line));
  }
  if (++group->waiting != SMLA_WARPGROUP) {
    smla_thread_wait(thread, SMLA_WAITS_WARPGROUP, "wgmma_wait", 0, line);
    return;
  }
  group->waiting = 0;
  complete_wait(thread, group);
  for (uint32_t i = 0; i < SMLA_WARPGROUP; i++)
    if (lanes + i != thread) smla_thread_wake(lanes + i);
}

int smla_tensor_progress(smla_cluster *cluster) {
  for (uint32_t b = 0; b < cluster->block_count; b++) {
    smla_block *block = cluster->blocks + b;
    for (uint32_t g = 0; g * SMLA_WARPGROUP < block->thread_count; g++) {
      smla_tensor_group *group = block->tensor[g];
      if (group->executed >= group->committed_end) continue;
      const uint64_t left = group->committed_end - group->executed;
      smla_tensor_execute(cluster, block, group, group->executed + 1 + smla_random(cluster) % left);
      return 1;
    }
  }
  return 0;
}

void smla_tensor_reader(const smla_block *block, uint32_t offset, char *text, size_t size) {
  for (uint32_t g = 0; g * SMLA_WARPGROUP < block->thread_count; g++) {
    const smla_tensor_group *group = block->tensor[g];
    for (uint64_t k = group->retired; k < group->issued; k++) {
      const smla_operation *operation = group->ring[k % group->capacity];
      for (int b = operation->a_in_registers; b < 2; b++) {
        const smla_operand *operand = b ? &operation->b : &operation->a;
        for (uint32_t i = 0; i < smla_operand_granules(operand); i++)
          if (smla_operand_place(operand, i) == (offset & ~(SMLA_GRANULE - 1))) {
            snprintf(text, size, "the wgmma of %s (warpgroup %u, operand %s, row %u)", smla_place_name(operation->line),
                     g, b ? "B" : "A", operand->by_columns ? i % SMLA_K_STEPS : i / 2);
            return;
          }
      }
    }
  }
  snprintf(text, size, "an asynchronous operation");
}

void smla_tensor_check_exit(smla_thread *thread) {
  if ((thread->index / SMLA_WARPGROUP + 1) * SMLA_WARPGROUP > thread->block->thread_count) return;
  const smla_tensor_group *group = smla_tensor_group_of(thread);
  if (thread->tensor_issued <= group->retired) return;
  smla_fault_end(thread->block->cluster, SMLA_FAULT_UNFINISHED, group->ring[group->retired % group->capacity]->line,
                 "%s exits without a wgmma_wait for this wgmma", smla_thread_name(thread));
}

void smla_tensor_free(smla_block *block) {
  for (uint32_t i = 0; i < SMLA_MAX_THREADS / SMLA_WARPGROUP; i++) {
    smla_tensor_group *group = block->tensor[i];
    if (!group) continue;
    for (uint64_t k = 0; k < group->capacity; k++) free(group->ring[k]);
    free(group->ring);
    free(group);
    block->tensor[i] = NULL;
  }
}

snapmla_status smla_tensor_reset(smla_block *block) {
  for (uint32_t i = 0; i * SMLA_WARPGROUP < block->thread_count; i++) {
    smla_tensor_group *group = block->tensor[i];
    if (!group) group = block->tensor[i] = calloc(1, sizeof *group);
    if (!group) return SNAPMLA_OUT_OF_MEMORY;
    smla_operation **ring = group->ring;
    const uint64_t capacity = group->capacity;
    memset(group, 0, sizeof *group);
    group->ring = ring;
    group->capacity = capacity;
  }
  return SNAPMLA_OK;
}
