#include "cuts_model.h"

#include <math.h>

#include "cut_costs.h"

/* Runs of about `run` tiles of requests of `tiles` each; more units than there are where those do not suffice. */
static smla_cuts cuts_of_run(double batch, double tiles, double run, double units, double rows) {
  double slack = fmin(ceil(run / 16), SMLA_SLACK_TILES + floor(rows / SMLA_SLACK_ROWS)), total = batch * tiles;
  double whole = fmax(1, round(run / tiles));
  if (fabs(whole * tiles - run) <= slack)
    return (smla_cuts){.units = ceil(batch / whole), .share = fmin(whole * tiles, total)};
  double pieces = ceil((tiles - slack) / run);
  if (pieces > 1 && pieces * run - tiles <= slack && batch * pieces <= units)
    return (smla_cuts){.units = batch * pieces, .share = ceil(tiles / pieces), .cut = batch * pieces};
  /* A unit begins and ends in the midst of a request: about a piece more than there are units for each request that is cut. */
  double used = ceil(total / run);
  return (smla_cuts){.units = used, .share = ceil(total / used), .cut = fmin(used + fmin(batch, used), total)};
}

smla_cuts smla_cuts_of(double batch, double tiles, double units, double groups, double rows) {
  double total = batch * tiles, cost = SMLA_MERGE_COST_PER_ROW * groups * rows / 1024;
  if (total <= 0) return (smla_cuts){0};
  for (double run = fmax(fmax(ceil(total / units), SMLA_MIN_SHARE_TILES), ceil(sqrt(total * cost)));;
       run += 1 + floor(run / 64)) {
    const smla_cuts c = cuts_of_run(batch, tiles, run, units, rows);
    if (c.units > units) continue;
    return batch <= units && tiles <= run + c.cut * cost / 2 ? (smla_cuts){.units = batch, .share = tiles} : c;
  }
}
