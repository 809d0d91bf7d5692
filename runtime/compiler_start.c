#include "compiler_start.h"

static void *ask(void *user) {
  const smla_compiler_start *start = user;
  smla_buffer fingerprint = {0};
  (void)start->compiler->fingerprint(&fingerprint);
  smla_buffer_free(&fingerprint);
  return NULL;
}

void smla_compiler_start_begin(smla_compiler_start *start, snapmla_target target) {
  *start = (smla_compiler_start){.compiler = smla_compiler_of(target)};
  start->running = start->compiler && !pthread_create(&start->thread, NULL, ask, start);
}

void smla_compiler_start_end(smla_compiler_start *start) {
  if (start->running) pthread_join(start->thread, NULL);
  start->running = 0;
}
