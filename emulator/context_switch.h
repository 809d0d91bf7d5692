/* The stacks and switches of fibres. A fibre belongs to one host thread for its whole life. */
#ifndef SMLA_EMULATOR_CONTEXT_SWITCH_H
#define SMLA_EMULATOR_CONTEXT_SWITCH_H

#include <stddef.h>

#include <snapmla/status.h>

#if defined(__SANITIZE_ADDRESS__)
#define SMLA_FIBRE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SMLA_FIBRE_ASAN 1
#endif
#endif

/* SMLA_FIBRE_PORTABLE: as on machines for which there is no switch here, through ucontext, some fifty times slower. */
#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(SMLA_FIBRE_PORTABLE)
#define SMLA_FIBRE_NATIVE 1
#else
#include <ucontext.h>
#endif

/* A suspended flow of control: of a fibre, or of the host thread that runs them. */
typedef struct smla_context {
#ifdef SMLA_FIBRE_NATIVE
  void *stack_pointer;
#else
  ucontext_t machine;
#endif
  void *stack; /* lowest byte; for a host thread's own context filled on the first switch away from it */
  size_t stack_bytes;
  void *fake_stack; /* the address sanitizer's */
} smla_context;

/* Stacks of one worker, `count` of SMLA_STACK_BYTES each, committed by the system as they are touched. */
#define SMLA_STACK_BYTES ((size_t)256 << 10)
typedef struct smla_stacks {
  char *base;
  size_t count, bytes;
  size_t guards;          /* how many stacks have a guard page below them */
  unsigned *valgrind_ids; /* under valgrind, else NULL */
} smla_stacks;

/* Makes room for `count` stacks; keeps what there is if it suffices. Error: OUT_OF_MEMORY. */
snapmla_status smla_stacks_reserve(smla_stacks *stacks, size_t count);
void smla_stacks_free(smla_stacks *stacks);

/* Makes `context` start `entry` on stack `index` when first switched to. `entry` must never return. */
void smla_context_start(smla_context *context, const smla_stacks *stacks, size_t index, void (*entry)(void));
/* Suspends `from` and goes on with `to`. `last`: `from` never runs again. */
void smla_context_switch(smla_context *from, smla_context *to, int last);
/* First thing a started fibre does: completes the switch to it. `from` as passed to the switch. */
void smla_context_entered(smla_context *from);

#endif
