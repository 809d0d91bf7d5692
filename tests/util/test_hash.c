#include "cmocka_all.h"
#include "hash.h"

static void known_digests(void **state) {
  (void)state;
  char hex[SMLA_HASH_HEX];
  smla_hash_buffer(NULL, 0, hex);
  assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  smla_hash_buffer("abc", 3, hex);
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* The digest of the bytes that fields stand for, written out. */
static void fields_are_prefixed_with_their_length(void **state) {
  (void)state;
  static const char bytes[] =
      "\x03\0\0\0\0\0\0\0"
      "abc"
      "\0\0\0\0\0\0\0\0"
      "\x08\0\0\0\0\0\0\0"
      "\xfe\xff\xff\xff\xff\xff\xff\xff";
  char expected[SMLA_HASH_HEX], hex[SMLA_HASH_HEX];
  smla_hash_buffer(bytes, sizeof bytes - 1, expected);
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_text(&hash, "abc");
  smla_hash_field(&hash, NULL, 0);
  smla_hash_field_number(&hash, -2);
  smla_hash_finish(&hash, hex);
  assert_string_equal(hex, expected);
}

static void the_same_bytes_cut_otherwise_differ(void **state) {
  (void)state;
  char one[SMLA_HASH_HEX], other[SMLA_HASH_HEX];
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_text(&hash, "ab");
  smla_hash_field_text(&hash, "c");
  smla_hash_finish(&hash, one);
  smla_hash_start(&hash);
  smla_hash_field_text(&hash, "a");
  smla_hash_field_text(&hash, "bc");
  smla_hash_finish(&hash, other);
  assert_string_not_equal(one, other);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_digests),
                                     cmocka_unit_test(fields_are_prefixed_with_their_length),
                                     cmocka_unit_test(the_same_bytes_cut_otherwise_differ)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
