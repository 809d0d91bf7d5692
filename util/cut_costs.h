/* What the schedule is told that cutting a request costs (templates/schedule/params.h), and the model of it with the same figures. */
#ifndef SMLA_UTIL_CUT_COSTS_H
#define SMLA_UTIL_CUT_COSTS_H

enum {
  SMLA_MIN_SHARE_TILES = 2, /* a smaller share costs more to merge than it saves */
  /* What merging a piece takes all units together, in 1024ths of a tile: a piece of 64 rows is 64 KiB in bf16, written and read
   * again, which at some 2.5 TB/s takes a sixteenth or less of what a tile takes. Computed, not tuned; fp32's 128 KiB go by it too. */
  SMLA_MERGE_COST_PER_ROW = 1,
  SMLA_MERGE_COST_UNIT = 1024, /* that part of a tile: templates/schedule/cuts.inc has it as a literal */
  /* How much longer a unit may run to spare a cut: what writing and merging a piece takes of one unit, by the rows of a block. */
  SMLA_SLACK_TILES = 2,
  SMLA_SLACK_ROWS = 8 /* of a block, for one tile more */
};

#endif
