/* Asynchronous copies that threads make, 4 to 16 bytes each (cp.async), and the arrivals that follow them.
 *
 * They are stores in the generic proxy: the asynchronous proxy may read them only once a thread that has waited for them has
 * called fence_async_proxy. What a thread copied between two arrivals is a group: it lands at one time, after the groups of the
 * same thread before it, and the arrival is made then. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "global_memory.h"
#include "machine.h"

enum {
  PIECE_LIMIT = 65536, /* copies in flight in a cluster */
  GROUP_LIMIT = 4096   /* groups in flight in a cluster */
};

/* One copy. */
typedef struct piece {
  const void *global; /* NULL: zeros */
  uint32_t offset, bytes;
  smla_place line;
  struct piece *next;
} piece;

struct smla_copy_group {
  smla_thread *thread;
  smla_mbarrier *barrier; /* NULL: the thread still adds to it */
  smla_place line;        /* of the arrival */
  piece *pieces;
  int landed;
  int32_t phase; /* in which it landed */
  smla_copy_group *next;
};

struct smla_thread_copies {
  smla_copy_group *first, **end; /* told to a barrier, in order */
  uint32_t waiting;              /* of them not landed */
  smla_copy_group *free_groups;
  piece *free_pieces;
  uint32_t group_count, piece_count; /* ever taken: those behind are free as well */
  smla_copy_group groups[GROUP_LIMIT];
  piece pieces[PIECE_LIMIT];
};

snapmla_status smla_thread_copies_reset(smla_cluster *cluster) {
  smla_thread_copies *copies = cluster->thread_copies;
  if (!copies) copies = cluster->thread_copies = malloc(sizeof *copies);
  if (!copies) return SNAPMLA_OUT_OF_MEMORY;
  copies->first = copies->free_groups = NULL;
  copies->end = &copies->first;
  copies->free_pieces = NULL;
  copies->waiting = copies->group_count = copies->piece_count = 0;
  return SNAPMLA_OK;
}

/* The group that the thread adds to. */
static smla_copy_group *open_group(smla_thread *thread, smla_place line) {
  smla_thread_copies *copies = thread->block->cluster->thread_copies;
  smla_copy_group *group = copies->free_groups;
  if (thread->copying) return thread->copying;
  if (group)
    copies->free_groups = group->next;
  else if (copies->group_count < GROUP_LIMIT)
    group = copies->groups + copies->group_count++;
  else
    smla_fault_end(thread->block->cluster, SMLA_FAULT_NO_PROGRESS, line,
                   "%s copies when %d groups of thread copies are there that no one has waited for",
                   smla_thread_name(thread), (int)GROUP_LIMIT);
  *group = (smla_copy_group){.thread = thread};
  return thread->copying = group;
}

static piece *new_piece(smla_thread *thread, smla_place line) {
  smla_thread_copies *copies = thread->block->cluster->thread_copies;
  piece *p = copies->free_pieces;
  if (p)
    copies->free_pieces = p->next;
  else if (copies->piece_count < PIECE_LIMIT)
    p = copies->pieces + copies->piece_count++;
  else
    smla_fault_end(thread->block->cluster, SMLA_FAULT_NO_PROGRESS, line,
                   "%s makes thread copy %d that no one has waited for", smla_thread_name(thread),
                   (int)PIECE_LIMIT + 1);
  return p;
}

void smla_thread_copy(unsigned address, const void *global, unsigned bytes, int read, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block = thread->block;
  smla_cluster *cluster = block->cluster;
  uint32_t offset;
  if (smla_shared_locate(thread, address, bytes, bytes, "thread_copy", line, &offset) != block)
    smla_fault_end(cluster, SMLA_FAULT_COPY_ARGUMENT, line,
                   "thread_copy of %s names another block's shared address: give its own", smla_thread_name(thread));
  if ((uintptr_t)global % bytes != 0)
    smla_fault_end(cluster, SMLA_FAULT_MISALIGNED, line, "thread_copy of %s at global %p must be aligned to %u bytes",
                   smla_thread_name(thread), global, bytes);
  if (read) smla_global_check(thread, global, bytes, 1, 0, "thread_copy", line);
  smla_shared_begin_thread_copy(thread, block, offset, bytes, line);
  thread->role->global_read += read ? bytes : 0;
  thread->role->copied += read ? bytes : 0;
  thread->role->shared_bytes += bytes;
  block->has_thread_copies = 1;
  smla_copy_group *group = open_group(thread, line);
  piece *p = new_piece(thread, line);
  *p = (piece){.global = read ? global : NULL, .offset = offset, .bytes = bytes, .line = line, .next = group->pieces};
  group->pieces = p;
  smla_thread_yield(thread, 0);
}

/* The bytes move and the thread arrives. The group stays until a thread has waited for its phase. */
static void land(smla_cluster *cluster, smla_copy_group *group) {
  smla_block *block = group->thread->block;
  for (const piece *p = group->pieces; p; p = p->next) {
    if (p->global)
      memcpy(block->shared.bytes + p->offset, p->global, p->bytes);
    else
      memset(block->shared.bytes + p->offset, 0, p->bytes);
    smla_shared_land_thread_copy(block, p->offset, p->bytes);
  }
  group->landed = 1;
  group->phase = group->barrier->phase;
  group->barrier->unobserved_groups++;
  cluster->thread_copies->waiting--;
  cluster->polls = 0;
  smla_mbarrier_arrive_copied(group->thread, group->barrier, group->line);
}

void smla_mbarrier_arrive_after_copies(unsigned address, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block = thread->block;
  smla_cluster *cluster = block->cluster;
  uint32_t offset;
  smla_mbarrier *barrier = NULL;
  if (smla_shared_locate(thread, address, 8, 8, "mbarrier_arrive_after_copies", line, &offset) == block)
    barrier = smla_mbarrier_find(block, offset);
  if (!barrier)
    smla_fault_end(cluster, SMLA_FAULT_BARRIER_MEMORY, line,
                   "mbarrier_arrive_after_copies of %s at shared offset %u, where no mbarrier_init made a barrier",
                   smla_thread_name(thread), offset);
  /* Without copies of its own the arrival still waits for those before it. */
  smla_copy_group *group = open_group(thread, line);
  thread->copying = NULL;
  group->barrier = barrier;
  group->line = line;
  group->next = NULL;
  *cluster->thread_copies->end = group;
  cluster->thread_copies->end = &group->next;
  cluster->thread_copies->waiting++;
  if (cluster->worker->run->order == SNAPMLA_EMULATOR_EAGER) land(cluster, group);
  smla_thread_yield(thread, 0);
}

int smla_thread_copies_progress(smla_cluster *cluster) {
  const uint32_t waiting = cluster->thread_copies->waiting;
  if (waiting == 0) return 0;
  /* As late as can be and in the reverse order of issue, or any one; but those of one thread in order. */
  uint32_t choice = waiting - 1;
  if (cluster->worker->run->order == SNAPMLA_EMULATOR_RANDOM) choice = (uint32_t)(smla_random(cluster) % waiting);
  smla_copy_group *chosen = cluster->thread_copies->first;
  while (chosen->landed || choice-- != 0) chosen = chosen->next;
  smla_copy_group *earliest = cluster->thread_copies->first;
  while (earliest->landed || earliest->thread != chosen->thread) earliest = earliest->next;
  land(cluster, earliest);
  return 1;
}

/* What threads copied until `phase` of the barrier. */
static uint32_t stamp_of(const smla_block *block, const smla_mbarrier *barrier, int32_t phase) {
  const uint32_t mask = (1u << SMLA_STAMP_SHIFT) - 1;
  return (SMLA_COPY_SLOT + (uint32_t)(barrier - block->barriers)) << SMLA_STAMP_SHIFT | (((uint32_t)phase + 1) & mask);
}

void smla_thread_copies_observe(smla_block *block, smla_mbarrier *barrier, int32_t phase) {
  smla_thread_copies *copies = block->cluster->thread_copies;
  for (smla_copy_group **link = &copies->first; *link && barrier->unobserved_groups;) {
    smla_copy_group *group = *link;
    if (group->barrier != barrier || !group->landed || group->phase > phase) {
      link = &group->next;
      continue;
    }
    for (piece *p = group->pieces, *next; p; p = next) {
      smla_shared_end_thread_copy(block, p->offset, p->bytes, stamp_of(block, barrier, group->phase), p->line);
      next = p->next;
      p->next = copies->free_pieces;
      copies->free_pieces = p;
    }
    barrier->unobserved_groups--;
    *link = group->next;
    if (!*link) copies->end = link;
    group->next = copies->free_groups;
    copies->free_groups = group;
  }
}

void smla_thread_copies_fence(smla_thread *thread) {
  smla_block *block = thread->block;
  for (uint32_t i = 0; i < block->barrier_count; i++) {
    smla_mbarrier *barrier = block->barriers + i;
    if (barrier->observed[thread->index] <= barrier->copies_fenced) continue;
    barrier->copies_fenced = barrier->observed[thread->index];
    barrier->fenced_at = thread->known;
  }
}

static const piece *piece_over(const smla_copy_group *group, uint32_t offset) {
  const piece *p = group->pieces;
  while (p && (offset < p->offset || offset >= p->offset + p->bytes)) p = p->next;
  return p;
}

const smla_thread *smla_thread_copies_over(const smla_block *block, uint32_t offset, smla_place *line) {
  const piece *found = NULL;
  for (uint32_t i = 0; i < block->thread_count && !found; i++) {
    const smla_thread *thread = block->threads + i;
    if (thread->copying && (found = piece_over(thread->copying, offset))) {
      *line = found->line;
      return thread;
    }
  }
  for (const smla_copy_group *group = block->cluster->thread_copies->first; group; group = group->next)
    if (group->thread->block == block && (found = piece_over(group, offset))) {
      *line = found->line;
      return group->thread;
    }
  return NULL;
}

void smla_thread_copies_check_exit(smla_thread *thread) {
  if (thread->copying)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_UNFINISHED, thread->copying->pieces->line,
                   "%s exits without an mbarrier_arrive_after_copies for this thread_copy to shared offset %u",
                   smla_thread_name(thread), thread->copying->pieces->offset);
}

void smla_thread_copies_check_block(smla_block *block) {
  for (const smla_copy_group *group = block->cluster->thread_copies->first; group; group = group->next)
    if (group->thread->block == block)
      smla_fault(block->cluster, SMLA_FAULT_UNFINISHED, group->line,
                 "block %llu exits and no thread has waited for the thread copies of %s (barrier at offset %u)",
                 (unsigned long long)block->index, smla_thread_name(group->thread), group->barrier->offset);
}
