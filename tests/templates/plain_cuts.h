/* Where the rule of templates/schedule/cuts.inc cuts a step, by a plain walk from run to run: what the kernel, whose threads look for cuts
 * side by side, is held to. */
#ifndef TESTS_TEMPLATES_PLAIN_CUTS_H
#define TESTS_TEMPLATES_PLAIN_CUTS_H

#include <stdint.h>

typedef struct plain_rule {
  int64_t units, min_share, slack; /* tiles, the latter two */
  int64_t merge_cost;              /* of a piece, in 1/1024 of a tile */
} plain_rule;

/* `begin`: [batch + 1] where the requests' tiles begin in the sequence of all, and their number. `ends`: [units], out, where runs end. Returns how
 * many there are. */
int32_t plain_cuts(const plain_rule *rule, const int64_t *begin, int32_t batch, int64_t *ends);

#endif
