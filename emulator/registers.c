/* setmaxnreg: a warpgroup gives registers back to the block's pool, or waits for them. */
#include "fault.h"
#include "tensor.h"

/* Something changed: those who wait for registers look again. */
static void wake_waiters(smla_block *block) {
  for (uint32_t i = 0; i < block->thread_count; i++)
    if (block->threads[i].wait == SMLA_WAITS_REGISTERS) smla_thread_wake(block->threads + i);
}

void smla_registers(int count, int raise, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block = thread->block;
  smla_cluster *cluster = block->cluster;
  const uint32_t index = thread->index / SMLA_WARPGROUP;
  const char *what = raise ? "registers_raise" : "registers_lower";
  if ((index + 1) * SMLA_WARPGROUP > block->thread_count)
    smla_fault_end(cluster, SMLA_FAULT_REGISTERS, line, "%s of %s needs a warpgroup of 128 threads; the block has %u",
                   what, smla_thread_name(thread), block->thread_count);
  smla_tensor_group *group = block->tensor[index];
  if (count < 24 || count > 256 || count % 8 != 0)
    smla_fault_end(cluster, SMLA_FAULT_REGISTERS, line, "%s of %s to %d: a multiple of 8 from 24 to 256 is legal", what,
                   smla_thread_name(thread), count);
  if (thread->register_changes++ == group->register_changes) {
    if (group->register_changes && group->register_arrived != SMLA_WARPGROUP)
      smla_fault_end(cluster, SMLA_FAULT_REGISTERS, line,
                     "%s calls %s before all of its warpgroup has called that of %s", smla_thread_name(thread), what,
                     smla_place_name(group->register_line));
    group->register_changes++;
    group->register_count = count;
    group->register_raise = raise;
    group->register_line = line;
    group->register_arrived = 0;
  } else if (group->register_count != count || group->register_raise != raise || group->register_line != line) {
    smla_fault_end(cluster, SMLA_FAULT_REGISTERS, line,
                   "%s asks for %d registers, other threads of its warpgroup for %d at %s: a whole warpgroup must "
                   "ask for the same",
                   smla_thread_name(thread), count, group->register_count, smla_place_name(group->register_line));
  }
  group->register_arrived++;
  const uint32_t held = block->registers_of[index], wanted = (uint32_t)count;
  if (group->register_granted < thread->register_changes && (raise ? wanted < held : wanted > held))
    smla_fault_end(cluster, SMLA_FAULT_REGISTERS, line, "%s of warpgroup %u to %d registers, which holds %u", what,
                   index, count, held);
  while (group->register_granted < thread->register_changes) {
    const int64_t more = ((int64_t)wanted - block->registers_of[index]) * SMLA_WARPGROUP;
    if (group->register_arrived == SMLA_WARPGROUP && more <= (int64_t)block->registers_free) {
      block->registers_free = (uint32_t)(block->registers_free - more);
      block->registers_of[index] = wanted;
      group->register_granted = group->register_changes;
      wake_waiters(block);
    } else {
      smla_thread_wait(thread, SMLA_WAITS_REGISTERS, what, wanted, line);
    }
  }
}
