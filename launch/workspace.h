/* The workspace of a plan: how many units share the work, by what it is cut, and what lies where. */
#ifndef SMLA_LAUNCH_WORKSPACE_H
#define SMLA_LAUNCH_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/problem.h>
#include <snapmla/status.h>

enum { SMLA_WORKSPACE_ALIGNMENT = 256 /* bytes, of the workspace and of every section */ };

/* Offsets in bytes; every section starts at a multiple of SMLA_WORKSPACE_ALIGNMENT. Requests, units and partial results
 * hold what templates/common/records.h says. */
typedef struct smla_workspace {
  int32_t records;    /* of a request in the schedule: 1, or its q_len index lists */
  int32_t rows;       /* query rows of a record: heads * q_len / records, row = token * heads + head */
  int32_t group_rows; /* query rows that a block decodes together */
  int32_t groups;     /* of group_rows rows */
  int32_t unit_count; /* shares that a step's work is cut into; a unit is `groups` blocks */
  int32_t min_share;  /* this and the next two: what the schedule cuts by (templates/schedule/params.h) */
  int32_t merge_cost;
  int32_t slack;
  int32_t merge_blocks; /* of the combine kernel, among which its work is shared */
  size_t status;        /* u32 status word */
  size_t requests;      /* [max_batch * records] smla_request */
  size_t units;         /* [unit_count] smla_unit */
  size_t q_image;       /* [max_batch * records, groups, subtiles of content and RoPE, group_rows, 128] bytes */
  size_t q_scale;       /* [max_batch * records, groups, group_rows] f32 */
  size_t
      slots; /* of partial results: 2 * unit_count, or what max_batch * records requests of a fixed number of pieces need */
  size_t partial_out;  /* [slots, groups, group_rows, latent_rank] of partial_bytes each */
  size_t partial_lse;  /* [slots, groups, group_rows] f32 */
  size_t merges;       /* [max_batch * records + 1] smla_merge */
  size_t merge_shares; /* [merge_blocks] smla_merge_share */
  size_t bytes;        /* of all */
} smla_workspace;

/* What the variants of a plan's kernels say of it. */
typedef struct smla_workspace_kernels {
  int32_t group_rows;     /* of a block of the decode kernel */
  int32_t query_terms;    /* that it takes the query in */
  int32_t partial_bytes;  /* of an element of its partial results */
  int32_t merges_at_once; /* blocks of the combine kernel that a multiprocessor has */
  int32_t most_pieces;    /* that the schedule cuts a request into; 0: as the balance of all requests wants */
  int32_t least_piece;    /* tiles of the shortest of several; 0 with the above */
} smla_workspace_kernels;

/* Lays out the workspace of a checked problem on a device of `multiprocessors`. Error: INVALID_ARGUMENT (too large). Pure. */
snapmla_status smla_workspace_plan(const snapmla_problem *problem, int32_t multiprocessors,
                                   const smla_workspace_kernels *kernels, smla_workspace *out);

/* Groups of `rows` query rows that a request of a checked problem has, or each of its lists. Pure. */
int32_t smla_row_groups(const snapmla_problem *problem, int32_t rows);

/* Whether clusters of so many blocks of the decode kernel, groups of one unit that read the same pages, divide the groups of `rows` rows. Error:
 * ILLEGAL_VARIANT. Pure. */
snapmla_status smla_clusters_check(const snapmla_problem *problem, int32_t rows, int32_t cluster, const char *variant);

#endif
