/* Finding a compiler, and asking the host's who it is, takes milliseconds; here it is done beside other work. */
#ifndef SMLA_RUNTIME_COMPILER_START_H
#define SMLA_RUNTIME_COMPILER_START_H

#include <pthread.h>

#include "compiler.h"

typedef struct smla_compiler_start {
  const smla_compiler *compiler;
  pthread_t thread;
  int running;
} smla_compiler_start;

/* Lets a thread ask the target's compiler for its fingerprint, which the compiler then knows. What fails here is told to who asks
 * next. Must be ended. */
void smla_compiler_start_begin(smla_compiler_start *start, snapmla_target target);
void smla_compiler_start_end(smla_compiler_start *start);

#endif
