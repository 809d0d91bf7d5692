#include "plain_cuts.h"

/* Runs of `run` tiles, more or less by `slack`: more than there are units where those do not suffice. `pieces` gets the number of those of
 * requests that are cut. */
static int32_t cut_runs(const plain_rule *rule, const int64_t *begin, int64_t total, int64_t run, int64_t slack,
                        int64_t *ends, int64_t *pieces) {
  int32_t used = 0, request = 0, last_cut = -1;
  int64_t piece = 0, more = 0; /* of a request in equal pieces: their tiles, how many follow */
  *pieces = 0;
  for (int64_t at = 0; at < total; at = ends[used++]) {
    if (used == rule->units) return used + 1;
    int64_t end = at + run;
    if (more > 0) {
      end = --more > 0 ? at + piece : begin[request + 1];
    } else if (end + slack >= total) {
      end = total;
    } else {
      while (begin[request + 1] <= end) ++request;
      const int64_t first = begin[request], after = begin[request + 1], tiles = after - first;
      const int64_t equal = (tiles - slack + run - 1) / run;
      if (after - end <= slack) {
        end = after;
      } else if (end - first <= slack && first > at) {
        end = first;
      } else if (first == at && equal * run - tiles <= slack) {
        piece = (tiles + equal - 1) / equal;
        more = (tiles + piece - 1) / piece - 1;
        end = at + piece;
      }
    }
    if (end > begin[request] && end < begin[request + 1] && end < total) {
      *pieces += request == last_cut ? 1 : 2;
      last_cut = request;
    }
    ends[used] = end;
  }
  return used;
}

int32_t plain_cuts(const plain_rule *rule, const int64_t *begin, int32_t batch, int64_t *ends) {
  const int64_t total = begin[batch];
  int64_t longest = 0, pieces;
  int32_t filled = 0, used = 0;
  for (int32_t b = 0; b < batch; ++b) {
    const int64_t tiles = begin[b + 1] - begin[b];
    if (tiles > longest) longest = tiles;
    filled += tiles > 0;
  }
  int64_t run = (total + rule->units - 1) / rule->units;
  if (run < rule->min_share) run = rule->min_share;
  while (1024 * run * run < total * rule->merge_cost) ++run;
  for (;; run += 1 + run / 64) {
    const int64_t some = (run + 15) / 16;
    used = cut_runs(rule, begin, total, run, some < rule->slack ? some : rule->slack, ends, &pieces);
    if (used <= rule->units) break;
  }
  if (filled > rule->units || longest > run + pieces * rule->merge_cost / 2048) return used;
  used = 0;
  for (int32_t b = 0; b < batch; ++b)
    if (begin[b + 1] > begin[b]) ends[used++] = begin[b + 1];
  return used;
}
