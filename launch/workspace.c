#include "workspace.h"

#include "status.h"

#include "common/records.h"
#include "cut_costs.h"
#include "kv_format.h"
#include "size.h"
#include "unit_count.h"

enum {
  MAX_UNITS = 1024 /* as in the schedule's space */,
  STATUS_BYTES = 256,
  SUBTILE_ROW_BYTES = 128,
  TILE_TOKENS = 64
};

_Static_assert(sizeof(struct smla_request) == 16 && sizeof(struct smla_unit) == 32, "records.h says 16 and 32 bytes");

/* The most tokens of a record. */
static int32_t most_tokens(const snapmla_problem *problem) {
  return problem->max_indices ? problem->max_indices : problem->max_context;
}

/* Slots of partial results. */
static size_t slots_of(const snapmla_problem *problem, size_t records, size_t units, int32_t most_pieces,
                       int32_t least_piece) {
  if (!most_pieces) return 2 * units; /* a unit begins and ends in a piece */
  int32_t most = most_tokens(problem);
  int32_t tokens = least_piece * TILE_TOKENS, pieces = (most + tokens - 1) / tokens;
  return records * (size_t)(pieces < most_pieces ? pieces : most_pieces);
}

/* Reserves count[0] * … * count[3] * bytes at an aligned offset after *end. */
static snapmla_status reserve(size_t *end, const size_t counts[4], size_t bytes, size_t *offset) {
  static const char what[] = "the workspace";
  snapmla_status status = smla_size_align(what, *end, SMLA_WORKSPACE_ALIGNMENT, offset);
  for (int i = 0; i < 4 && !status; i++) status = smla_size_multiply(what, bytes, counts[i], &bytes);
  return status ? status : smla_size_add(what, *offset, bytes, end);
}

int32_t smla_row_groups(const snapmla_problem *problem, int32_t rows) {
  return (problem->heads * (problem->max_indices ? 1 : problem->q_len) + rows - 1) / rows;
}

snapmla_status smla_clusters_check(const snapmla_problem *problem, int32_t rows, int32_t cluster, const char *variant) {
  const int32_t groups = smla_row_groups(problem, rows);
  if (groups % cluster == 0) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_ILLEGAL_VARIANT,
                   "%s: its clusters of %d blocks do not divide the problem's %s of %d rows: take cluster=1", variant,
                   cluster, groups == 1 ? "one group" : "groups", rows);
}

snapmla_status smla_workspace_plan(const snapmla_problem *problem, int32_t multiprocessors,
                                   const smla_workspace_kernels *kernels, smla_workspace *out) {
  smla_workspace w = {0};
  w.records = problem->max_indices ? problem->q_len : 1;
  w.rows = problem->heads * problem->q_len / w.records;
  w.group_rows = kernels->group_rows;
  w.groups = smla_row_groups(problem, w.group_rows);
  w.merge_blocks = kernels->merges_at_once * multiprocessors;
  size_t records = (size_t)problem->max_batch * (size_t)w.records, groups = (size_t)w.groups;
  int32_t tiles = (most_tokens(problem) + TILE_TOKENS - 1) / TILE_TOKENS; /* of a record */
  w.unit_count = smla_unit_count(multiprocessors, w.groups, w.group_rows, (double)records * tiles);
  if (w.unit_count > MAX_UNITS) w.unit_count = MAX_UNITS;
  w.min_share = SMLA_MIN_SHARE_TILES;
  w.merge_cost = SMLA_MERGE_COST_PER_ROW * w.groups * w.group_rows;
  w.slack = SMLA_SLACK_TILES + w.group_rows / SMLA_SLACK_ROWS;

  size_t units = (size_t)w.unit_count;
  w.slots = slots_of(problem, records, units, kernels->most_pieces, kernels->least_piece);
  size_t latent = (size_t)problem->latent_rank, rows = (size_t)w.group_rows;
  const smla_kv_facts *facts = smla_kv_facts_of(problem->kv_format);
  size_t content_bytes = latent * (size_t)facts->content, rope_bytes = (size_t)problem->rope_dim * (size_t)facts->rope;
  if (facts->rope == SMLA_NUMBER_E4M3) rope_bytes *= (size_t)kernels->query_terms; /* bf16 has one term */
  size_t subtiles = (size_t)kernels->query_terms * content_bytes / SUBTILE_ROW_BYTES +
                    (rope_bytes + SUBTILE_ROW_BYTES - 1) / SUBTILE_ROW_BYTES;
  size_t end = 0;
  const struct {
    size_t *offset, counts[4], bytes;
  } sections[] = {
      {&w.status, {1, 1, 1, 1}, STATUS_BYTES},
      {&w.requests, {records, 1, 1, 1}, sizeof(struct smla_request)},
      {&w.units, {units, 1, 1, 1}, sizeof(struct smla_unit)},
      {&w.q_image, {records, groups, subtiles, rows}, SUBTILE_ROW_BYTES},
      {&w.q_scale, {records, groups, rows, 1}, sizeof(float)},
      {&w.partial_out, {w.slots, groups, rows, latent}, (size_t)kernels->partial_bytes},
      {&w.partial_lse, {w.slots, groups, rows, 1}, sizeof(float)},
      {&w.merges, {records + 1, 1, 1, 1}, sizeof(struct smla_merge)},
      {&w.merge_shares, {(size_t)w.merge_blocks, 1, 1, 1}, sizeof(struct smla_merge_share)},
  };
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < sizeof sections / sizeof *sections && !status; i++)
    status = reserve(&end, sections[i].counts, sections[i].bytes, sections[i].offset);
  if (!status) status = smla_size_align("the workspace", end, SMLA_WORKSPACE_ALIGNMENT, &w.bytes);
  if (!status) *out = w;
  return status;
}
