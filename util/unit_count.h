/* Into how many units a step's work is cut. Pure. */
#ifndef SMLA_UTIL_UNIT_COUNT_H
#define SMLA_UTIL_UNIT_COUNT_H

#include <stdint.h>

/* `groups` blocks of `group_rows` query rows are a unit, a multiprocessor has one block at a time, and `tiles` are all of the step's, which
 * the units share. As many units as there are multiprocessors for at once, one at least; but more, whose blocks take turns, where
 * groups divide the multiprocessors badly: as many turns as save an eighth of the time that fewer take. */
int32_t smla_unit_count(int32_t multiprocessors, int32_t groups, int32_t group_rows, double tiles);

#endif
