/* What the schedule tells the kernels of a step. Read by templates and by the runtime.
 *
 * All tiles of a step, request after request, form one sequence; unit u (a block, or the blocks side by side that share a
 * request's row groups) takes one contiguous share of it. */
#ifndef SMLA_TEMPLATES_RECORDS_H
#define SMLA_TEMPLATES_RECORDS_H

/* One request: how it was cut. 16 bytes. */
struct smla_request {
  int tokens;     /* its length in tokens; 0 for an empty or a bad request */
  int first_unit; /* the unit with its first tile; its pieces lie in consecutive units */
  int first_slot; /* of its partial results, when pieces > 1: piece i is in slot first_slot + i */
  int pieces;     /* 0: empty; 1: written straight to the output; -1: bad length, the output is NaN */
};

/* One unit: its share. 32 bytes. */
struct smla_unit {
  int first_request, first_tile; /* from this tile of this request */
  int last_request, end_tile;    /* to before this tile of that one; last_request = -1: nothing to do */
  struct smla_request first;     /* the record of first_request, so that nothing waits for two loads in turn */
};

/* A request whose result the combine kernel writes: one cut into pieces, an empty one, or one of a bad length. 16 bytes. */
struct smla_merge {
  int request, pieces, first_slot; /* as in its record */
  int first_item; /* of the items of work that the combine kernel is to do for all requests before it */
};

/* What a block of the combine kernel has to do, all that it needs to begin. 32 bytes. */
struct smla_merge_share {
  int item, end;           /* from this item of all to before that one */
  int merge;               /* whose the first of them is */
  int next_item;           /* the first item of the merge after it */
  struct smla_merge first; /* that merge; zeros where there are no items */
};

#endif
