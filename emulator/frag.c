/* Accumulators: the frags of each thread, and what may not be done to them while a wgmma is pending. */
#include "fault.h"
#include "tensor.h"

void smla_frag_add(smla_frag_header *frag, int count) {
  smla_thread *thread = smla_current;
  *frag = (smla_frag_header){
      .next = thread->frags, .link = &thread->frags, .touched = SMLA_FRAG_ACCESSED | SMLA_FRAG_EMPTY, .count = count};
  if (frag->next) frag->next->link = &frag->next;
  thread->frags = frag;
}

/* The line of the last wgmma that has not been waited for and accumulates into a frag. */
static smla_place line_of(const smla_thread *thread, const smla_frag_header *frag) {
  const smla_tensor_group *group = smla_tensor_group_of(thread);
  for (uint64_t k = group->issued; k > group->retired; k--) {
    const smla_operation *operation = group->ring[(k - 1) % group->capacity];
    if (k <= thread->tensor_issued && operation->d[thread->index % SMLA_WARPGROUP] == frag) return operation->line;
  }
  return 0;
}

void smla_frag_remove(smla_frag_header *frag) {
  smla_thread *thread = smla_current;
  if (frag->pending)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_ACCUMULATOR_PENDING, line_of(thread, frag),
                   "the accumulators of %s end their life before a wgmma_wait for this wgmma",
                   smla_thread_name(thread));
  *frag->link = frag->next;
  if (frag->next) frag->next->link = frag->link;
}

void smla_frag_fault(smla_frag_header *frag, int index, smla_place line) {
  smla_thread *thread = smla_current;
  if (index < 0 || index >= frag->count)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_ACCUMULATOR_PENDING, line, "%s uses element %d of a frag<%d>",
                   smla_thread_name(thread), index, frag->count);
  smla_fault(thread->block->cluster, SMLA_FAULT_ACCUMULATOR_PENDING, line,
             "%s uses accumulator %d before a wgmma_wait for the wgmma of %s", smla_thread_name(thread), index,
             smla_place_name(line_of(thread, frag)));
}
