/* Arguments of the schedule kernel. One block. */
#ifndef SMLA_TEMPLATES_SCHEDULE_PARAMS_H
#define SMLA_TEMPLATES_SCHEDULE_PARAMS_H

struct schedule_params {
  const int *seqlens;            /* [batch] */
  struct smla_request *requests; /* [batch] out */
  struct smla_unit *units;       /* [unit_count] out */
  struct smla_merge *merges;     /* [batch + 1] out: the requests that the combine kernel writes; behind the last the
                                    number of all items as first_item */
  struct smla_merge_share *merge_shares; /* [merge_blocks] out */
  unsigned *status; /* the workspace's status word: cleared, then SNAPMLA_STATUS_BAD_LENGTH where it applies */
  int batch;
  int unit_count;
  int merge_blocks;   /* of the combine kernel */
  int max_tokens;     /* the longest legal length: what the block table and the plan can hold */
  int min_share;      /* tiles: the shortest run that a unit is meant to have */
  int merge_cost;     /* what merging one more piece costs all units, in 1/1024 of a tile's time */
  int slack;          /* tiles by which a run may differ from the others to spare a request a cut */
  int elements;       /* of a request's output: rows * latent */
  int block_elements; /* that a block of the combine kernel merges at a time */
};

#endif
