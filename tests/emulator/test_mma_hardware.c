/* Results of an H200, bit for bit.
 *
 * mma_h200.bin: records of 72 bytes, little endian: accumulator, result (fp32 bits), 32 bytes of A, 32 bytes of B, k
 * contiguous. First E4M3_CASES of e4m3, then BF16_CASES of bf16 (16 numbers in the 32 bytes). Picked from the runs of
 * docs/numerics.md, most of them because a slightly different rule gets them wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "mma_forms.h"

enum { E4M3_CASES = 1116, BF16_CASES = 1536, RECORD = 72, ROWS = 64 };

static const char CASES_FILE[] = "tests/emulator/mma_h200.bin";

typedef struct {
  uint32_t accumulator, result;
  union {
    uint8_t bytes[32];
    uint16_t numbers[16];
  } a, b;
} hardware_case;

static uint32_t word(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* All cases; the caller frees them. */
static hardware_case *read_cases(void) {
  FILE *file = fopen(CASES_FILE, "rb");
  assert_non_null(file);
  hardware_case *cases = calloc(E4M3_CASES + BF16_CASES, sizeof *cases);
  assert_non_null(cases);
  uint8_t record[RECORD];
  for (int i = 0; i < E4M3_CASES + BF16_CASES; i++) {
    assert_int_equal(fread(record, RECORD, 1, file), 1);
    cases[i].accumulator = word(record);
    cases[i].result = word(record + 4);
    if (i < E4M3_CASES) {
      memcpy(cases[i].a.bytes, record + 8, 32);
      memcpy(cases[i].b.bytes, record + 40, 32);
    } else {
      for (int k = 0; k < 16; k++) {
        cases[i].a.numbers[k] = (uint16_t)(record[8 + 2 * k] | record[9 + 2 * k] << 8);
        cases[i].b.numbers[k] = (uint16_t)(record[40 + 2 * k] | record[41 + 2 * k] << 8);
      }
    }
  }
  assert_int_equal(fgetc(file), EOF);
  fclose(file);
  return cases;
}

static void expect(const char *form, int index, const hardware_case *c, float result) {
  if (bits_of(result) != c->result)
    fail_msg("%s, case %d: %08x, the hardware %08x", form, index, (unsigned)bits_of(result), (unsigned)c->result);
}

/* 64 cases at a time are the rows and the columns of a tile, and the results its diagonal. */
static void expect_tiles(const mma_form *form, const hardware_case *cases, int count, bool bf16) {
  uint8_t a8[ROWS][32], b8[ROWS][32];
  uint16_t a16[ROWS][16], b16[ROWS][16];
  static float d[ROWS][ROWS];
  for (int first = 0; first < count; first += ROWS) {
    const int many = count - first < ROWS ? count - first : ROWS;
    memset(d, 0, sizeof d);
    memset(a8, 0, sizeof a8), memset(b8, 0, sizeof b8);
    memset(a16, 0, sizeof a16), memset(b16, 0, sizeof b16);
    for (int i = 0; i < many; i++) {
      const hardware_case *c = cases + first + i;
      memcpy(a8[i], c->a.bytes, 32), memcpy(b8[i], c->b.bytes, 32);
      memcpy(a16[i], c->a.numbers, 32), memcpy(b16[i], c->b.numbers, 32);
      d[i][i] = float_of(c->accumulator);
    }
    if (bf16)
      form->bf16(d[0], a16[0], b16[0], ROWS, 1);
    else
      form->e4m3(d[0], a8[0], b8[0], ROWS, 1);
    for (int i = 0; i < many; i++) expect(form->name, first + i, cases + first + i, d[i][i]);
  }
}

static void e4m3(void **state) {
  (void)state;
  hardware_case *cases = read_cases();
  for (int i = 0; i < E4M3_CASES; i++)
    expect("dot", i, cases + i, smla_dot_e4m3(float_of(cases[i].accumulator), cases[i].a.bytes, cases[i].b.bytes));
  mma_form forms[MMA_FORMS];
  mma_forms(forms);
  for (int f = 0; f < MMA_FORMS; f++)
    if (forms[f].runs) expect_tiles(forms + f, cases, E4M3_CASES, false);
  free(cases);
}

static void bf16(void **state) {
  (void)state;
  hardware_case *all = read_cases(), *cases = all + E4M3_CASES;
  for (int i = 0; i < BF16_CASES; i++)
    expect("dot", i, cases + i, smla_dot_bf16(float_of(cases[i].accumulator), cases[i].a.numbers, cases[i].b.numbers));
  mma_form forms[MMA_FORMS];
  mma_forms(forms);
  for (int f = 0; f < MMA_FORMS; f++)
    if (forms[f].runs) expect_tiles(forms + f, cases, BF16_CASES, true);
  free(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(e4m3), cmocka_unit_test(bf16)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
