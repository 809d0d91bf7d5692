#include "lists_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint32_t mix(uint32_t x) { /* Wang's hash */
  x = (x ^ 61) ^ (x >> 16);
  x *= 9;
  x ^= x >> 4;
  x *= 0x27d4eb2du;
  return x ^ (x >> 15);
}

/* Any token, as often as it comes up. */
static int32_t some_slot(int32_t query, int32_t i, const int64_t *slots, int32_t tokens) {
  return (int32_t)slots[mix((uint32_t)(query * 1000 + i)) % (uint32_t)tokens];
}

int32_t fill_mixed(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  static const int32_t counts[] = {0, 1, 63, 64, 65, 128, 200, most_entries};
  const int32_t count = counts[query % 8];
  for (int32_t i = 0; i < count; ++i) entries[i] = i % 5 == 3 ? -1 : some_slot(query, i, slots, tokens);
  return count;
}

int32_t fill_edges(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  const int32_t last = tokens - 1;
  int32_t i = 0;
  switch (query % 8) {
  case 0: return 0;
  case 1: /* none at all */
    for (; i < 130; ++i) entries[i] = -1;
    return i;
  case 2: /* one token a hundred times, and another once */
    for (; i < 100; ++i) entries[i] = (int32_t)slots[last / 2];
    entries[i++] = (int32_t)slots[last];
    return i;
  case 3: /* every other */
    for (; i < 99; ++i) entries[i] = i % 2 ? (int32_t)slots[i % tokens] : -1;
    return i;
  case 4: entries[0] = (int32_t)slots[last]; return 1;
  case 5: /* more entries than the request has tokens */
    for (; i < most_entries; ++i) entries[i] = (int32_t)slots[i % tokens];
    return i;
  case 6: /* a tile of nothing before the first token, and one behind the last */
    for (; i < 192; ++i) entries[i] = i == 100 ? (int32_t)slots[0] : -1;
    return i;
  default: /* from behind */
    for (; i < tokens && i < most_entries; ++i) entries[i] = (int32_t)slots[last - i];
    return i;
  }
}

decode_case sparse_case(list_filler fill) {
  decode_case c = decode_case_default();
  static const int32_t lengths[] = {5, 40, 64, 130, 65, 30, 1, 200};
  c.batch = 8;
  memcpy(c.lengths, lengths, sizeof lengths);
  c.problem.max_indices = most_entries;
  c.fill_list = fill;
  return c;
}

int32_t fill_in_order(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  (void)query;
  for (int32_t i = 0; i < tokens; ++i) entries[i] = (int32_t)slots[i];
  return tokens;
}

struct bad_list bad_list;

int32_t fill_bad(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  int32_t count = fill_mixed(query, slots, tokens, entries);
  if (query != bad_list.query) return count;
  if (bad_list.place < 0) return bad_list.count;
  entries[bad_list.place] = bad_list.entry;
  return count;
}

void expect_bits_of_the_pages(decode_case c) {
  c.skip_comparison = 1;
  decode_result sparse = decode_case_run(&c);
  c.problem.max_indices = 0;
  decode_result paged = decode_case_run(&c);
  expect_same_bits(&sparse, &paged);
  decode_result_free(&sparse);
  decode_result_free(&paged);
}
