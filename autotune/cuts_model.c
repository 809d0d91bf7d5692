#include "cuts_model.h"

#include <math.h>
#include <stdint.h>

#include "cut_costs.h"

static int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Requests of `tiles` each, one after another, cut into runs of `run` tiles, more or less by `slack`, as cut_runs does: more units than
 * there are where those do not suffice. */
static smla_cuts cut_runs(int64_t total, int64_t tiles, int64_t units, int64_t run, int64_t slack) {
  int64_t used = 0, longest = 0, pieces = 0, last_cut = -1;
  int64_t piece = 0, more = 0; /* of a request in equal pieces: their tiles, how many follow */
  for (int64_t at = 0, end; at < total; at = end) {
    if (used++ == units) return (smla_cuts){.units = (double)used};
    end = at + run;
    if (more > 0) {
      end = --more > 0 ? at + piece : (at / tiles + 1) * tiles;
    } else if (end + slack >= total) {
      end = total;
    } else {
      const int64_t begin = end / tiles * tiles, after = begin + tiles; /* of the request that the run ends in */
      if (after - end <= slack) {
        end = after;
      } else if (end - begin <= slack && begin > at) {
        end = begin;
      } else if (begin == at && ceil_of(tiles - slack, run) * run - tiles <= slack) {
        piece = ceil_of(tiles, ceil_of(tiles - slack, run));
        more = ceil_of(tiles, piece) - 1;
        end = at + piece;
      }
    }
    const int64_t request = end / tiles;
    if (end % tiles) {
      pieces += request == last_cut ? 1 : 2;
      last_cut = request;
    }
    if (end - at > longest) longest = end - at;
  }
  return (smla_cuts){.units = (double)used, .share = (double)longest, .cut = (double)pieces};
}

smla_cuts smla_cuts_of(double batch, double tiles, double units, double groups, double rows) {
  const double total = batch * tiles, cost = SMLA_MERGE_COST_PER_ROW * groups * rows / SMLA_MERGE_COST_UNIT;
  if (!(total > 0)) return (smla_cuts){0};
  const int64_t most_slack = SMLA_SLACK_TILES + (int64_t)rows / SMLA_SLACK_ROWS;
  int64_t run = (int64_t)fmax(fmax(ceil(total / units), SMLA_MIN_SHARE_TILES), ceil(sqrt(total * cost)));
  for (;; run += 1 + run / 64) {
    const int64_t some = ceil_of(run, 16), slack = some < most_slack ? some : most_slack;
    const smla_cuts c = cut_runs((int64_t)total, (int64_t)tiles, (int64_t)units, run, slack);
    if (c.units > units) continue;
    const int whole = batch <= units && tiles <= (double)run + floor(c.cut * cost / 2);
    return whole ? (smla_cuts){.units = batch, .share = tiles} : c;
  }
}
