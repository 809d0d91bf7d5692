/* The pack file: what is written is read, and whatever else is done to it is refused. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

#include "pack_format.h"
#include "sample_pack.h"
#include "util/temporary.h"

#define SAMPLE_SHAPE "heads=128,q_len=1,latent=512,rope=64,page=64,format=fp8_token,accuracy=fast,flags=0,indices=0"

static snapmla_status open_buffer(const smla_buffer *bytes, snapmla_pack **out) {
  /* exactly as long, so that a read past it is seen */
  void *copy = malloc(bytes->length ? bytes->length : 1);
  assert_non_null(copy);
  memcpy(copy, bytes->data, bytes->length);
  snapmla_status status = snapmla_pack_open_memory(copy, bytes->length, NULL, out);
  free(copy);
  return status;
}

/* Opening fails, or verifying does. */
static void assert_refused(const smla_buffer *bytes, size_t at) {
  snapmla_pack *pack = NULL;
  snapmla_status status = open_buffer(bytes, &pack);
  if (!status) status = snapmla_pack_verify(pack);
  if (status != SNAPMLA_BAD_FORMAT && status != SNAPMLA_UNSUPPORTED)
    fail_msg("a change at byte %zu of %zu gives status %d: %s", at, bytes->length, (int)status,
             snapmla_error_message());
  snapmla_pack_close(pack);
}

static void reads_what_was_written(void **state) {
  (void)state;
  for (int level = 0; level <= 19; level += 19) {
    smla_buffer bytes = {0};
    snapmla_pack *pack;
    sample_pack("sm_90a", level, 0, &bytes);
    assert_int_equal(bytes.length % SMLA_PACK_ALIGNMENT, 0);
    assert_int_equal(open_buffer(&bytes, &pack), SNAPMLA_OK);
    assert_int_equal(snapmla_pack_verify(pack), SNAPMLA_OK);
    snapmla_pack_info info = {.size = sizeof info};
    assert_int_equal(snapmla_pack_info_get(pack, &info), SNAPMLA_OK);
    assert_int_equal(info.version, 3);
    assert_int_equal(info.is_signed, 0);
    assert_int_equal(info.runs_here, 1);
    assert_int_equal(info.bytes, bytes.length);
    assert_int_equal(info.artifact_count, SAMPLE_KERNELS);
    assert_int_equal(info.plan_count, SAMPLE_PLANS);
    snapmla_pack_artifact a = {.size = sizeof a};
    assert_int_equal(snapmla_pack_artifact_get(pack, 1, &a), SNAPMLA_OK);
    assert_string_equal(a.key, "2200000000000000000000000000000000000000000000000000000000000000");
    assert_string_equal(a.target, "sm_90a");
    assert_string_equal(a.variant, "mla_decode:rows=64");
    assert_string_equal(a.entry, "snapmla_entry");
    assert_string_equal(a.compiler, "a compiler");
    assert_int_equal(a.registers, 168);
    assert_int_equal(a.smem_bytes, 1024);
    assert_int_equal(a.threads, 32);
    assert_int_equal(a.image_bytes, 150);
    assert_int_equal(a.is_compressed, level != 0);
    assert_true(level ? a.stored_bytes < 150 : a.stored_bytes == 150);
    snapmla_pack_plan p = {.size = sizeof p};
    assert_int_equal(snapmla_pack_plan_get(pack, 1, &p), SNAPMLA_OK);
    assert_string_equal(p.shape, SAMPLE_SHAPE);
    assert_string_equal(p.device_class, SAMPLE_CLASS);
    assert_string_equal(p.provenance, "near");
    assert_string_equal(p.difference, "templates 0 (here 1)");
    assert_string_equal(p.time_kind, "measured");
    assert_true(p.microseconds == 12.345);
    assert_int_equal(p.max_batch, 8);
    assert_int_equal(p.max_context, 8192);
    assert_int_equal(p.kernel_count, 3);
    assert_int_equal(p.kernels[0], 2);
    assert_int_equal(p.kernels[2], 0);
    assert_string_equal(p.roles[2], "schedule");
    assert_int_equal(snapmla_pack_plan_get(pack, 2, &p), SNAPMLA_OK);
    assert_string_equal(p.shape, SAMPLE_SHAPE ",nope=128,v=128,weights=bf16,rotate=interleaved,norm=rms");
    assert_string_equal(p.device_class, "");
    assert_int_equal(p.max_batch, 8);
    assert_int_equal(p.kernel_count, 3);
    assert_string_equal(p.roles[0], "kv_append");
    assert_string_equal(p.roles[1], "layer_append");
    assert_int_equal(p.kernels[0], 2);
    assert_int_equal(p.kernels[1], 2);
    assert_int_equal(snapmla_pack_artifact_get(pack, 3, &a), SNAPMLA_INVALID_ARGUMENT);
    assert_int_equal(snapmla_pack_plan_get(pack, -1, &p), SNAPMLA_INVALID_ARGUMENT);
    snapmla_pack_close(pack);
    smla_buffer_free(&bytes);
  }
}

/* Packs that version 2 wrote, from the corpus: their kernels go by their families; a layer is none of their problems. */
static void reads_version_2(void **state) {
  (void)state;
  static const char *const files[] = {"tests/runtime/corpus/pack/stored-2", "tests/runtime/corpus/pack/packed-2",
                                      "tests/runtime/corpus/pack/signed-2"};
  static const char *const roles[] = {"kv_append", "mla_decode", "schedule"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snapmla_pack *pack;
    snapmla_pack_info info = {.size = sizeof info};
    snapmla_pack_plan p = {.size = sizeof p};
    if (snapmla_pack_open(files[i], NULL, &pack)) fail_msg("%s", snapmla_error_message());
    assert_int_equal(snapmla_pack_verify(pack), SNAPMLA_OK);
    assert_int_equal(snapmla_pack_info_get(pack, &info), SNAPMLA_OK);
    assert_int_equal(info.version, 2);
    assert_int_equal(info.runs_here, 0);
    assert_int_equal(info.plan_count, 2);
    assert_int_equal(snapmla_pack_plan_get(pack, 1, &p), SNAPMLA_OK);
    assert_string_equal(p.shape, SAMPLE_SHAPE);
    assert_int_equal(p.kernel_count, 3);
    for (int32_t k = 0; k < 3; k++) {
      assert_string_equal(p.roles[k], roles[k]);
      assert_int_equal(p.kernels[k], 2 - k);
    }
    snapmla_pack_close(pack);
  }
}

/* The first bytes as docs/pack.md has them. */
static void begins_as_specified(void **state) {
  (void)state;
  static const unsigned char expected[] = {0x89, 'S', 'M', 'L', 'A', 0x0d, 0x0a, 0x1a, 3, 0, 0, 0, 0, 0, 0, 0};
  smla_buffer bytes = {0}, again = {0};
  sample_pack("sm_90a", 12, 0, &bytes);
  sample_pack("sm_90a", 12, 0, &again);
  assert_memory_equal(bytes.data, expected, sizeof expected);
  assert_int_equal(smla_get_u64((unsigned char *)bytes.data + 16), bytes.length);
  assert_int_equal(smla_get_u32((unsigned char *)bytes.data + 32), SAMPLE_KERNELS);
  assert_int_equal(bytes.data[136], 0x11); /* the first key */
  assert_int_equal(again.length, bytes.length);
  assert_memory_equal(again.data, bytes.data, bytes.length);
  smla_buffer_free(&bytes);
  smla_buffer_free(&again);
}

static void refuses_every_truncation(void **state) {
  (void)state;
  for (int seed = 0; seed <= 1; seed++) {
    smla_buffer bytes = {0};
    sample_pack("sm_90a", 12, seed, &bytes);
    size_t whole = bytes.length;
    for (bytes.length = 0; bytes.length < whole; bytes.length++) {
      snapmla_pack *pack = NULL;
      assert_int_equal(open_buffer(&bytes, &pack), SNAPMLA_BAD_FORMAT);
      assert_null(pack);
    }
    /* nor may it be longer */
    assert_int_equal(smla_buffer_append(&bytes, "", 1), SNAPMLA_OK);
    assert_refused(&bytes, whole);
    smla_buffer_free(&bytes);
  }
}

static void refuses_every_flipped_bit(void **state) {
  (void)state;
  for (int seed = 0; seed <= 1; seed++) {
    smla_buffer bytes = {0};
    sample_pack("sm_90a", 12, seed, &bytes);
    for (size_t i = 0; i < bytes.length; i++) {
      for (int bit = 0; bit < 8; bit++) {
        bytes.data[i] ^= (char)(1 << bit);
        assert_refused(&bytes, i);
        bytes.data[i] ^= (char)(1 << bit);
      }
    }
    smla_buffer_free(&bytes);
  }
}

/* A forger makes the digest right again: then the rules of the index hold, and nothing is read out of bounds. */
static void survives_forged_bytes(void **state) {
  (void)state;
  smla_buffer bytes = {0};
  sample_pack("sm_90a", 12, 0, &bytes);
  size_t index = (size_t)smla_get_u64((unsigned char *)bytes.data + SMLA_PACK_AT_INDEX);
  static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  for (size_t i = SMLA_PACK_AT_FLAGS; i < SMLA_PACK_HEADER_BYTES + index; i++) {
    char before = bytes.data[i];
    if (i >= SMLA_PACK_AT_INDEX && i < SMLA_PACK_AT_ARTIFACTS) continue; /* its length is needed to seal it */
    for (size_t v = 0; v < sizeof values; v++) {
      snapmla_pack *pack = NULL;
      bytes.data[i] = (char)values[v];
      sample_reseal(&bytes);
      if (!open_buffer(&bytes, &pack)) (void)snapmla_pack_verify(pack);
      snapmla_pack_close(pack);
    }
    bytes.data[i] = before;
  }
  smla_buffer_free(&bytes);
}

static void forged(smla_buffer *bytes, size_t at, uint64_t value, int count, const char *expected) {
  smla_buffer copy = {0};
  snapmla_pack *pack = NULL;
  assert_int_equal(smla_buffer_append(&copy, bytes->data, bytes->length), SNAPMLA_OK);
  smla_put_number((unsigned char *)copy.data + at, value, count);
  sample_reseal(&copy);
  assert_int_equal(open_buffer(&copy, &pack), SNAPMLA_BAD_FORMAT);
  if (!strstr(snapmla_error_message(), expected)) fail_msg("\"%s\" lacks \"%s\"", snapmla_error_message(), expected);
  smla_buffer_free(&copy);
}

static void names_what_is_wrong(void **state) {
  (void)state;
  smla_buffer bytes = {0};
  snapmla_pack *pack = NULL;
  sample_pack("sm_90a", 0, 0, &bytes);
  enum { INDEX = SMLA_PACK_HEADER_BYTES };
  /* the first record: key, four texts, six numbers, two quantities, encoding, offset, lengths, digest */
  size_t texts =
      2 + strlen("sm_90a") + 2 + strlen("schedule:threads=32") + 2 + strlen("snapmla_entry") + 2 + strlen("a compiler");
  size_t numbers = INDEX + 32 + texts;
  size_t encoding = numbers + 24 + 2 + 2 + strlen("smem_bytes") + 8 + 2 + strlen("threads") + 8;
  assert_int_equal(smla_get_u32((unsigned char *)bytes.data + numbers + 4), 168);
  assert_int_equal(smla_get_u32((unsigned char *)bytes.data + encoding), SMLA_PACK_STORED);
  forged(&bytes, SMLA_PACK_AT_FLAGS, 2, 4, "flags");
  forged(&bytes, SMLA_PACK_AT_ARTIFACTS, 1 << 20, 4, "too short");
  forged(&bytes, SMLA_PACK_AT_ARTIFACTS, SAMPLE_KERNELS - 1, 4, "belong to no kernel");
  forged(&bytes, SMLA_PACK_AT_PLANS, SAMPLE_PLANS - 1, 4, "another length");
  forged(&bytes, SMLA_PACK_AT_SIGNER, 1, 1, "no signature");
  forged(&bytes, INDEX, 0x33, 1, "not in order");
  forged(&bytes, INDEX + 32, 0xffff, 2, "record");
  forged(&bytes, INDEX + 34, 0x07, 1, "record");
  forged(&bytes, encoding, 7, 4, "encoded in an unknown way");
  forged(&bytes, encoding + 4, 64, 8, "not where it should be");
  forged(&bytes, encoding + 12, UINT64_MAX, 8, "not where it should be");
  forged(&bytes, encoding + 20, UINT64_MAX, 8, "cannot have");
  /* the layer's plan, from its end: roles and numbers of three kernels, and before that how many they are */
  size_t end = INDEX + (size_t)smla_get_u64((unsigned char *)bytes.data + SMLA_PACK_AT_INDEX);
  size_t decode_role = end - 4 - strlen("mla_decode"), append_role = decode_role - 2 - 4 - strlen("layer_append");
  assert_memory_equal(bytes.data + decode_role, "mla_decode", 10);
  assert_memory_equal(bytes.data + append_role, "layer_append", 12);
  forged(&bytes, end - 4, SAMPLE_KERNELS, 4, "names a kernel that is not there");
  forged(&bytes, decode_role, 'a', 1, "are not in order");
  forged(&bytes, append_role, 'z', 1, "are not in order");
  forged(&bytes, append_role, 0, 1, "names a kernel that is not there");          /* no text */
  forged(&bytes, decode_role - 2, 0xffff, 2, "names a kernel that is not there"); /* a longer one than there is */
  forged(&bytes, append_role - 2 - 4 - strlen("kv_append") - 2 - 2, 65, 2, "plan's record");
  /* The plan before it, from the layer's target and its own end: the time, its kind, what differs, the provenance. */
  const char *tail = memmem(bytes.data, end, ",nope=", 6);
  assert_non_null(tail);
  size_t layer = (size_t)(tail - bytes.data) - strlen(SAMPLE_SHAPE) - 2 - strlen("sm_90a");
  assert_memory_equal(bytes.data + layer, "sm_90a", 6);
  size_t kernels = 3 * (2 + 4) + strlen("kv_append") + strlen("mla_decode") + strlen("schedule");
  size_t time = layer - 2 - kernels - 2 - 8, kind = time - strlen("measured"),
         provenance = kind - 2 - 20 - 2 - strlen("near");
  size_t class = provenance - 2 - 4 - 4 - strlen(SAMPLE_CLASS);
  assert_memory_equal(bytes.data + class, "sm90-", 5);
  assert_memory_equal(bytes.data + provenance, "near", 4);
  forged(&bytes, time, 0, 8, "plan's record");
  forged(&bytes, kind, 'M', 1, "plan's record");
  forged(&bytes, provenance, 'f', 1, "plan's record");
  forged(&bytes, class, 'x', 1, "plan's record");
  assert_int_equal(snapmla_pack_open_memory("not a pack", 10, NULL, &pack), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "is no pack"));
  smla_buffer_free(&bytes);
}

static void refuses_another_version(void **state) {
  (void)state;
  smla_buffer bytes = {0};
  snapmla_pack *pack = NULL;
  sample_pack("sm_90a", 0, 0, &bytes);
  for (int version = 1; version <= 4; version += 3) {
    char expected[64];
    bytes.data[SMLA_PACK_AT_VERSION] = (char)version;
    sample_reseal(&bytes);
    snprintf(expected, sizeof expected, "is of version %d and this library reads versions 2 to 3", version);
    assert_int_equal(open_buffer(&bytes, &pack), SNAPMLA_UNSUPPORTED);
    assert_non_null(strstr(snapmla_error_message(), expected));
    assert_int_equal(strstr(snapmla_error_message(), "as new as") != NULL, version > SNAPMLA_PACK_VERSION);
  }
  /* This version's plans under the old number: roles are no numbers of kernels. */
  bytes.data[SMLA_PACK_AT_VERSION] = 2;
  sample_reseal(&bytes);
  assert_int_equal(open_buffer(&bytes, &pack), SNAPMLA_BAD_FORMAT);
  smla_buffer_free(&bytes);
}

static void demands_the_callers_keys(void **state) {
  (void)state;
  unsigned char keys[2][32], secret[64];
  smla_buffer bytes = {0}, plain = {0};
  snapmla_pack *pack = NULL;
  sample_keys(1, keys[0], secret);
  sample_keys(2, keys[1], secret);
  sample_pack("sm_90a", 12, 2, &bytes);
  sample_pack("sm_90a", 12, 0, &plain);
  snapmla_pack_options options = {.size = sizeof options, .keys = keys[0], .key_count = 2};
  assert_int_equal(snapmla_pack_open_memory(bytes.data, bytes.length, &options, &pack), SNAPMLA_OK);
  snapmla_pack_info info = {.size = sizeof info};
  assert_int_equal(snapmla_pack_info_get(pack, &info), SNAPMLA_OK);
  assert_int_equal(info.is_signed, 1);
  assert_memory_equal(info.signer, keys[1], 32);
  snapmla_pack_close(pack);
  options.key_count = 1;
  assert_int_equal(snapmla_pack_open_memory(bytes.data, bytes.length, &options, &pack), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "none of the 1 given"));
  assert_null(pack);
  assert_int_equal(snapmla_pack_open_memory(plain.data, plain.length, &options, &pack), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "is not signed"));
  /* Another's key under one's own name, the digest made right: the signature is not that key's. */
  memcpy(bytes.data + SMLA_PACK_AT_SIGNER, keys[0], 32);
  sample_reseal(&bytes);
  assert_int_equal(snapmla_pack_open_memory(bytes.data, bytes.length, &options, &pack), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "signature is not that of its content"));
  options.keys = NULL;
  assert_int_equal(snapmla_pack_open_memory(plain.data, plain.length, &options, &pack), SNAPMLA_INVALID_ARGUMENT);
  smla_buffer_free(&bytes);
  smla_buffer_free(&plain);
}

/* The file may change after it was opened: what was read is private. */
static void keeps_a_private_copy(void **state) {
  smla_buffer bytes = {0};
  snapmla_pack *pack = NULL;
  const char *path = in(state, "p.smlapack");
  sample_pack("sm_90a", 12, 0, &bytes);
  assert_int_equal(smla_file_write(path, bytes.data, bytes.length, 0600), SNAPMLA_OK);
  assert_int_equal(snapmla_pack_open(path, NULL, &pack), SNAPMLA_OK);
  FILE *file = fopen(path, "r+");
  assert_non_null(file);
  for (size_t i = 0; i < bytes.length; i++) fputc(0xee, file);
  fclose(file);
  assert_int_equal(snapmla_pack_verify(pack), SNAPMLA_OK);
  snapmla_pack_close(pack);
  assert_int_equal(snapmla_pack_open(path, NULL, &pack), SNAPMLA_BAD_FORMAT);
  assert_int_equal(snapmla_pack_open(in(state, "none"), NULL, &pack), SNAPMLA_NOT_FOUND);
  smla_buffer_free(&bytes);
}

static void opens_parts(void **state) {
  (void)state;
  smla_buffer bytes = {0};
  snapmla_pack *pack = NULL;
  sample_pack("sm_90a", 12, 0, &bytes);
  const unsigned char *data = (const unsigned char *)bytes.data;
  const snapmla_pack_part parts[] = {{data, 1}, {data + 1, 299}, {NULL, 0}, {data + 300, bytes.length - 300}};
  const snapmla_pack_source source = {parts, 4}, less = {parts, 3};
  assert_int_equal(snapmla_pack_open_source(&source, NULL, &pack), SNAPMLA_OK);
  assert_int_equal(snapmla_pack_verify(pack), SNAPMLA_OK);
  snapmla_pack_close(pack);
  assert_int_equal(snapmla_pack_open_source(&less, NULL, &pack), SNAPMLA_BAD_FORMAT);
  smla_buffer_free(&bytes);
}

static void makes_keys(void **state) {
  (void)state;
  unsigned char public_key[32], secret_key[64], half[32];
  assert_int_equal(snapmla_pack_keys_make(public_key, secret_key), SNAPMLA_OK);
  assert_int_equal(snapmla_pack_key_public(secret_key, half), SNAPMLA_OK);
  assert_memory_equal(half, public_key, 32);
  secret_key[40] ^= 1;
  assert_int_equal(snapmla_pack_key_public(secret_key, half), SNAPMLA_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_was_written),
      cmocka_unit_test(reads_version_2),
      cmocka_unit_test(begins_as_specified),
      cmocka_unit_test(refuses_every_truncation),
      cmocka_unit_test(refuses_every_flipped_bit),
      cmocka_unit_test(survives_forged_bytes),
      cmocka_unit_test(names_what_is_wrong),
      cmocka_unit_test(refuses_another_version),
      cmocka_unit_test(demands_the_callers_keys),
      cmocka_unit_test_setup_teardown(keeps_a_private_copy, temporary_setup, temporary_teardown),
      cmocka_unit_test(opens_parts),
      cmocka_unit_test(makes_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
