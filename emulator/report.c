#include "report.h"

#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "fault.h"
#include "tensor.h"

/* Threads that wait for the same thing at the same place are named together. */
static int same_wait(const smla_thread *a, const smla_thread *b) {
  return a->block == b->block && a->wait == b->wait && a->wait_line == b->wait_line &&
         a->wait_object == b->wait_object && a->wait_what == b->wait_what &&
         (a->wait != SMLA_WAITS_MBARRIER || a->wait_phase == b->wait_phase);
}

/* "threads 0-31, 64" of those that wait as `first` does. */
static void name_threads(smla_buffer *text, const smla_block *block, const smla_thread *first) {
  const char *between = "";
  smla_buffer_append_text(text, "threads ");
  for (uint32_t i = first->index; i < block->thread_count; i++) {
    if (!same_wait(first, block->threads + i)) continue;
    uint32_t last = i;
    while (last + 1 < block->thread_count && same_wait(first, block->threads + last + 1)) last++;
    smla_buffer_printf(text, last > i ? "%s%u-%u" : "%s%u", between, i, last);
    between = ",";
    i = last;
  }
}

static void name_reason(smla_buffer *text, smla_block *block, const smla_thread *thread) {
  switch (thread->wait) {
  case SMLA_WAITS_COLLECTIVE: {
    const smla_warp *warp = block->warps + thread->index / SMLA_WARP;
    smla_buffer_printf(text, "lanes 0x%08x of warp %u have come", warp->arrived, thread->index / SMLA_WARP);
    break;
  }
  case SMLA_WAITS_NAMED: {
    const smla_named_barrier *barrier = block->named + thread->wait_object;
    smla_buffer_printf(text, "barrier %u, %u of %u threads have come", thread->wait_object, barrier->arrived,
                       thread->wait_object ? barrier->expected : block->live);
    break;
  }
  case SMLA_WAITS_CLUSTER:
    smla_buffer_printf(text, "%u of %u threads have come", block->cluster->cluster_arrived, block->cluster->live);
    break;
  case SMLA_WAITS_MBARRIER: {
    const smla_mbarrier *barrier = smla_mbarrier_find(block, thread->wait_object);
    smla_buffer_printf(text,
                       "barrier at shared offset %u, phase %d, parity %d: %u of %u arrivals and %lld bytes are missing",
                       thread->wait_object, thread->wait_phase, thread->wait_phase & 1, barrier->pending,
                       barrier->expected, (long long)barrier->bytes);
    break;
  }
  case SMLA_WAITS_WARPGROUP:
    smla_buffer_printf(text, "for the other threads of warpgroup %u", thread->index / SMLA_WARPGROUP);
    break;
  case SMLA_WAITS_REGISTERS:
    smla_buffer_printf(
        text, "to %u registers a thread, %u registers are free in the block, %u of 128 threads have come",
        thread->wait_object, block->registers_free, block->tensor[thread->index / SMLA_WARPGROUP]->register_arrived);
    break;
  case SMLA_RUNS:
  case SMLA_EXITED: break;
  }
}

static int meets_others(const smla_thread *thread) {
  return thread->wait == SMLA_WAITS_COLLECTIVE || thread->wait == SMLA_WAITS_WARPGROUP;
}

/* A thread in a collective of its warp or warpgroup while another of its warp is in another rendezvous, which needs
 * the whole warp too: neither can ever complete. NULL if there is none. */
static const smla_thread *partial_collective(const smla_cluster *cluster) {
  for (uint32_t i = 0; i < cluster->thread_count; i++) {
    const smla_thread *thread = cluster->threads + i;
    if (!meets_others(thread)) continue;
    const smla_thread *warp = thread - thread->index % SMLA_WARP;
    for (const smla_thread *other = warp; other < warp + SMLA_WARP; other++)
      if (other->wait != thread->wait &&
          (meets_others(other) || other->wait == SMLA_WAITS_NAMED || other->wait == SMLA_WAITS_CLUSTER))
        return thread;
  }
  return NULL;
}

/* Whose place opens the report: rather one that waits for something else than its own warp. */
static const smla_thread *first_waiting(const smla_cluster *cluster) {
  const smla_thread *first = NULL;
  for (uint32_t i = 0; i < cluster->thread_count; i++) {
    const smla_thread *thread = cluster->threads + i;
    if (thread->wait == SMLA_EXITED || thread->wait == SMLA_RUNS) continue;
    if (!meets_others(thread)) return thread;
    if (!first) first = thread;
  }
  return first;
}

_Noreturn void smla_report_deadlock(smla_cluster *cluster) {
  smla_buffer text = {0};
  const smla_thread *cause = partial_collective(cluster);
  const smla_thread *first = cause ? cause : first_waiting(cluster);
  const char *between = "";
  for (uint32_t b = 0; b < cluster->block_count; b++) {
    smla_block *block = cluster->blocks + b;
    for (uint32_t i = 0; i < block->thread_count; i++) {
      const smla_thread *thread = block->threads + i;
      if (thread->wait == SMLA_EXITED || thread->wait == SMLA_RUNS) continue;
      int named = 0;
      for (uint32_t j = 0; j < i && !named; j++) named = same_wait(block->threads + j, thread);
      if (named) continue;
      smla_buffer_append_text(&text, between);
      name_threads(&text, block, thread);
      smla_buffer_printf(&text, " of block %llu wait at %s in %s (", (unsigned long long)block->index,
                         smla_place_name(thread->wait_line), thread->wait_what);
      name_reason(&text, block, thread);
      smla_buffer_append_text(&text, ")");
      between = "; ";
    }
  }
  smla_fault(cluster, cause ? SMLA_FAULT_PARTIAL_COLLECTIVE : SMLA_FAULT_DEADLOCK, first->wait_line, "%s",
             text.data ? text.data : "");
  smla_buffer_free(&text);
  smla_cluster_abort(cluster);
}
