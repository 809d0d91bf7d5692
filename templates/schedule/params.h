/* Arguments of the schedule kernel. One block. */
#ifndef SMLA_TEMPLATES_SCHEDULE_PARAMS_H
#define SMLA_TEMPLATES_SCHEDULE_PARAMS_H

struct schedule_params {
  const int *seqlens;            /* [batch] */
  struct smla_request *requests; /* [batch] out */
  struct smla_unit *units;       /* [unit_count] out */
  unsigned *status; /* the workspace's status word: cleared, then SNAPMLA_STATUS_BAD_LENGTH where it applies */
  int batch;
  int unit_count;
  int max_tokens; /* the longest legal length: what the block table and the plan can hold */
  int min_share;  /* tiles: a unit with work has at least this many, but for the last */
};

#endif
