#include "unit_count.h"

#include <math.h>

#include "cut_costs.h"

enum {
  MOST_TURNS = 8, /* the workspace's partial results grow with the units */
  RUN_TILES = 3   /* that a run takes besides: before its first one's steps overlap others, and after its last's do */
};
static const double worth_it = 7.0 / 8;

/* In tiles of a block, one after another. A unit is a piece that is merged, but one alone. */
static double time_of(int32_t units, int32_t turns, int32_t rows, double tiles) {
  double merges = units > 1 ? (double)units * rows * SMLA_MERGE_COST_PER_ROW / SMLA_MERGE_COST_UNIT : 0;
  return turns * (ceil(tiles / units) + RUN_TILES) + merges;
}

int32_t smla_unit_count(int32_t multiprocessors, int32_t groups, int32_t group_rows, double tiles) {
  int32_t units = multiprocessors / groups > 1 ? multiprocessors / groups : 1;
  int32_t turns = (units * groups + multiprocessors - 1) / multiprocessors, rows = groups * group_rows;
  double least = worth_it * time_of(units, turns, rows, tiles);
  while (++turns <= MOST_TURNS) {
    int32_t more = turns * multiprocessors / groups;
    double time = time_of(more > 1 ? more : 1, turns, rows, tiles);
    if (time >= least) continue;
    least = worth_it * time; /* more turns are dearer where a call is shorter than the longest */
    units = more;
  }
  return units;
}
