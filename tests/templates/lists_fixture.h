/* Index lists for sparse decoding: what they name, and cases of them. */
#ifndef SMLA_TESTS_TEMPLATES_LISTS_FIXTURE_H
#define SMLA_TESTS_TEMPLATES_LISTS_FIXTURE_H

#include "fixture.h"

enum { most_entries = 220 }; /* of a list: three tiles and a half */

/* Counts around the tiles' borders; of the entries one in five is none. */
int32_t fill_mixed(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries);
/* One edge a query token. */
int32_t fill_edges(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries);
/* All of the request's tokens. */
int32_t fill_in_order(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries);

/* fill_mixed, but that list `query` has `entry` at `place`, or this count, where `place` is negative. */
extern struct bad_list { int32_t query, place, entry, count; } bad_list;
int32_t fill_bad(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries);

/* Eight requests of up to 200 tokens. */
decode_case sparse_case(list_filler fill);

/* Fails the running test unless the case, whose lists are of fill_in_order, has the bits of its requests' pages. */
void expect_bits_of_the_pages(decode_case c);

#endif
