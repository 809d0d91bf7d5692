#include "context_switch.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "status.h"

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define SMLA_FIBRE_VALGRIND 1
#endif
#endif

#ifdef SMLA_FIBRE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* Each guard page splits a mapping in two, and a process has some 65,000 mappings; more stacks than this have none. */
#define GUARDS_OF_PROCESS 16384
static atomic_size_t guards_used;

#ifdef SMLA_FIBRE_NATIVE
/* void smla_context_jump(void **save, void *load): pushes what the ABI lets a callee keep, swaps stacks, pops,
 * returns. */
void smla_context_jump(void **save, void *load);

#if defined(__x86_64__)
__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl smla_context_jump\n"
    ".hidden smla_context_jump\n"
    ".type smla_context_jump, @function\n"
    "smla_context_jump:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n"
    ".size smla_context_jump, .-smla_context_jump\n");
#define RETURN_WORD 6
#define FRAME_WORDS 8 /* a zero above the return address, as a caller would leave: 16-byte alignment at entry */
#else
__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl smla_context_jump\n"
    ".hidden smla_context_jump\n"
    ".type smla_context_jump, %function\n"
    "smla_context_jump:\n"
    "  sub sp, sp, #160\n"
    "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mov x2, sp\n"
    "  str x2, [x0]\n"
    "  mov sp, x1\n"
    "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #160\n"
    "  ret\n"
    ".size smla_context_jump, .-smla_context_jump\n");
#define RETURN_WORD 11
#define FRAME_WORDS 20
#endif
#endif

snapmla_status smla_stacks_reserve(smla_stacks *stacks, size_t count) {
  if (count <= stacks->count) return SNAPMLA_OK;
  smla_stacks_free(stacks);
  const size_t bytes = count * SMLA_STACK_BYTES;
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return smla_fail(SNAPMLA_OUT_OF_MEMORY,
                     "no address space for the stacks of %zu emulated threads: use fewer host threads", count);
  *stacks = (smla_stacks){.base = base, .count = count, .bytes = bytes};
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < count; i++) {
    if (atomic_fetch_add(&guards_used, 1) >= GUARDS_OF_PROCESS ||
        mprotect((char *)base + i * SMLA_STACK_BYTES, page, PROT_NONE) != 0) {
      atomic_fetch_sub(&guards_used, 1);
      break;
    }
    stacks->guards++;
  }
#ifdef SMLA_FIBRE_VALGRIND
  if (RUNNING_ON_VALGRIND) {
    stacks->valgrind_ids = calloc(count, sizeof *stacks->valgrind_ids);
    for (size_t i = 0; stacks->valgrind_ids && i < count; i++)
      stacks->valgrind_ids[i] =
          VALGRIND_STACK_REGISTER((char *)base + i * SMLA_STACK_BYTES, (char *)base + (i + 1) * SMLA_STACK_BYTES - 1);
  }
#endif
  return SNAPMLA_OK;
}

void smla_stacks_free(smla_stacks *stacks) {
  if (!stacks->base) return;
#ifdef SMLA_FIBRE_VALGRIND
  for (size_t i = 0; stacks->valgrind_ids && i < stacks->count; i++) VALGRIND_STACK_DEREGISTER(stacks->valgrind_ids[i]);
  free(stacks->valgrind_ids);
#endif
#ifdef SMLA_FIBRE_ASAN
  __asan_unpoison_memory_region(stacks->base, stacks->bytes);
#endif
  munmap(stacks->base, stacks->bytes);
  atomic_fetch_sub(&guards_used, stacks->guards);
  memset(stacks, 0, sizeof *stacks);
}

void smla_context_start(smla_context *context, const smla_stacks *stacks, size_t index, void (*entry)(void)) {
  /* Stacks start at different offsets of a page: otherwise the hot frames of all of them share few cache sets. */
  const size_t colour = (index * 5 % 31) * 128;
  memset(context, 0, sizeof *context);
  context->stack = stacks->base + index * SMLA_STACK_BYTES;
  context->stack_bytes = SMLA_STACK_BYTES - colour;
#ifdef SMLA_FIBRE_ASAN
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  __asan_unpoison_memory_region((char *)context->stack + page, SMLA_STACK_BYTES - page);
#endif
#ifdef SMLA_FIBRE_VALGRIND
  VALGRIND_MAKE_MEM_UNDEFINED(context->stack, SMLA_STACK_BYTES);
#endif
#ifdef SMLA_FIBRE_NATIVE
  uint64_t *top = (uint64_t *)((char *)context->stack + context->stack_bytes);
  uint64_t *frame = top - FRAME_WORDS;
  memset(frame, 0, FRAME_WORDS * sizeof *frame);
  frame[RETURN_WORD] = (uint64_t)(uintptr_t)entry;
  context->stack_pointer = frame;
#else
  getcontext(&context->machine);
  context->machine.uc_stack.ss_sp = context->stack;
  context->machine.uc_stack.ss_size = context->stack_bytes;
  makecontext(&context->machine, entry, 0);
#endif
}

void smla_context_switch(smla_context *from, smla_context *to, int last) {
#ifdef SMLA_FIBRE_ASAN
  __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->stack, to->stack_bytes);
#else
  (void)last;
#endif
#ifdef SMLA_FIBRE_NATIVE
  smla_context_jump(&from->stack_pointer, to->stack_pointer);
#else
  swapcontext(&from->machine, &to->machine);
#endif
#ifdef SMLA_FIBRE_ASAN
  __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void smla_context_entered(smla_context *from) {
#ifdef SMLA_FIBRE_ASAN
  const void *bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(NULL, &bottom, &bytes);
  if (!from->stack) {
    from->stack = (void *)(uintptr_t)bottom;
    from->stack_bytes = bytes;
  }
#else
  (void)from;
#endif
}
