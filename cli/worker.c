/* snapmla-worker: tries candidates for a tuning process, which starts it, feeds it jobs and kills it when one hangs. */
#include <stdio.h>

#include <snapmla/tune.h>

int main(void) {
  if (!snapmla_tune_worker(0, 1)) return 0;
  fprintf(stderr, "snapmla-worker: error: %s\n", snapmla_error_message());
  return 1;
}
