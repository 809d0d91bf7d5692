/* run and verify on the reference in place of a device: what they print, what they find, what they read and write. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmocka_all.h"
#include "output_file.h"
#include "program.h"
#include "temporary.h"
#include "tensor.h"

#define R PROGRAM_ON_REFERENCE
static const char *const nothing = NULL;

static double number(json_t *object, const char *key) {
  json_t *value = json_object_get(object, key);
  if (!json_is_number(value)) fail_msg("%s is no number", key);
  return json_number_value(value);
}

static const char *text(json_t *object, const char *key) {
  const char *value = json_string_value(json_object_get(object, key));
  if (!value) fail_msg("%s is no text", key);
  return value;
}

static void run_json(void **state) {
  (void)state;
  program_result r =
      program_run(R, "run", "--json", "--heads", "8", "--context", "1,65,0,130", "--q-len", "2", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_true(json_is_true(json_object_get(root, "ok")));
  assert_string_equal(text(root, "variant"), "mla_decode:default=1");
  assert_string_equal(text(root, "device"), "emulator");
  assert_string_equal(text(root, "time_kind"), "modelled");
  assert_true(number(root, "rel_l2") > 1e-3 && number(root, "rel_l2") < 3.5e-2);
  assert_true(number(root, "rel_l2_rounded_p") < 3e-3); /* bf16's own rounding */
  assert_true(number(root, "lse_of_limit") < 1);
  assert_true(number(root, "time_us") == 10 + 1);
  /* 1 + 2 + 3 images of 41216 bytes; 4 * 2 * 8 rows of 512 + 64 + 512 bf16 and one fp32 */
  assert_true(number(root, "bytes") == 6 * 41216 + 64 * (2 * 1088 + 4));
  assert_true(number(root, "compared") == 4);
  assert_true(number(root, "cache_wrong_bytes") == 0);
  json_decref(root);
  program_free(&r);
}

static void gpu_times_are_medians(void **state) {
  (void)state;
  program_result r = program_run(R, "SNAPMLA_TEST_GPU=1", "run", "--json", "--heads", "4", "--context", "9",
                                 "--no-check", "--repeat", "7", nothing);
  json_t *root = program_json(&r);
  assert_string_equal(text(root, "time_kind"), "measured");
  assert_true(number(root, "time_us") == 11); /* of 10, 11 and 12 in turn */
  assert_true(json_is_null(json_object_get(root, "rel_l2")));
  assert_true(json_is_true(json_object_get(root, "ok")));
  json_decref(root);
  program_free(&r);
}

static void same_bits_same_seed(void **state) {
  (void)state;
  char *digests[3];
  static const char *const seeds[] = {"1", "1", "2"};
  for (int i = 0; i < 3; ++i) {
    program_result r = program_run(R, "run", "--json", "--heads", "4", "--context", "70", "--seed", seeds[i], nothing);
    json_t *root = program_json(&r);
    digests[i] = strdup(text(root, "digest"));
    json_decref(root);
    program_free(&r);
  }
  assert_string_equal(digests[0], digests[1]);
  assert_string_not_equal(digests[0], digests[2]);
  for (int i = 0; i < 3; ++i) free(digests[i]);
}

/* The page size decides where tokens lie; it does not change the result. */
static void placement_does_not_matter(void **state) {
  static const char *const pages[] = {"16", "32", "64", "128"};
  const char *directory = in(state, "out/");
  char *results[4];
  size_t bytes[4];
  for (int i = 0; i < 4; ++i) {
    assert_program(R, 0, NULL, "run", "--heads", "4", "--context", "170,3", "-o", directory, "--page", pages[i]);
    assert_int_equal(program_count_files(directory), 2);
    results[i] = program_read_file(in(state, "out/out.npy"), &bytes[i]);
    assert_non_null(results[i]);
  }
  for (int i = 1; i < 4; ++i) {
    assert_int_equal(bytes[0], bytes[i]);
    assert_memory_equal(results[0], results[i], bytes[0]);
  }
  for (int i = 0; i < 4; ++i) free(results[i]);
}

static void steps(void **state) {
  (void)state;
  program_result r =
      program_run(R, "run", "--json", "--heads", "4", "--context", "66,2,0", "--q-len", "2", "--steps", "3", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_true(number(root, "requests") == 9);
  assert_true(number(root, "compared") == 9);
  json_decref(root);
  program_free(&r);
}

/* Each fault is one that only its own check sees. */
static void planted_faults(void **state) {
  (void)state;
  static const struct {
    const char *fault, *says;
    int code;
  } faults[] = {
      {"SNAPMLA_TEST_FAULT=none", "ok", 0},
      {"SNAPMLA_TEST_FAULT=element", "FAILED", 1},
      {"SNAPMLA_TEST_FAULT=scale", "FAILED", 1},
      {"SNAPMLA_TEST_FAULT=nan", "elements are not finite", 1},
      {"SNAPMLA_TEST_FAULT=stale", "elements are not finite", 1},
      {"SNAPMLA_TEST_FAULT=lse", "FAILED", 1},
      {"SNAPMLA_TEST_FAULT=cache", "1 bytes of the cache are not the reference's", 1},
      {"SNAPMLA_TEST_FAULT=status", "status word is 1", 1},
      {"SNAPMLA_TEST_FAULT=bits", "a repeated decode gave other bits", 1},
  };
  for (size_t i = 0; i < sizeof faults / sizeof *faults; ++i)
    for (int command = 0; command < 2; ++command) {
      program_result r = program_run(R, faults[i].fault, "SNAPMLA_TEST_GPU=1", command ? "verify" : "run", "--heads",
                                     "4", "--context", "100,3", "--data", "normal", "--sigma", "1", nothing);
      if (r.code != faults[i].code || !strstr(r.out, faults[i].says) || r.err[0])
        fail_msg("%s, %s: code %d, %s%s", command ? "verify" : "run", faults[i].fault, r.code, r.out, r.err);
      program_free(&r);
    }
  program_result r =
      program_run(R, "SNAPMLA_TEST_FAULT=kernel", "run", "--json", "--heads", "4", "--context", "3", nothing);
  program_check(&r, 1, "kernel.cu:12: a planted fault", __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_true(json_is_false(json_object_get(root, "ok")));
  assert_non_null(strstr(text(root, "error"), "kernel.cu:12: a planted fault"));
  json_decref(root);
  program_free(&r);
}

/* Lists of 50 of the tokens, or of all where there are fewer; causal; also where the cache is given. */
static void sparse_lists(void **state) {
  const char *cache = in(state, "cache.safetensors");
  program_result r = program_run(R, "run", "--json", "--heads", "4", "--context", "100,3,0", "--q-len", "2", "--sparse",
                                 "50", "--save-cache", cache, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_true(number(root, "compared") == 3);
  /* 50 + 50, 2 + 3 and no tokens of 644 bytes; 24 rows as in run_json */
  assert_true(number(root, "bytes") == 105 * 644 + 24 * (2 * 1088 + 4));
  char *digest = strdup(text(root, "digest"));
  assert_true(number(root, "quantization_rel_l2") > 1e-3);
  json_decref(root);
  program_free(&r);
  r = program_run(R, "run", "--json", "--heads", "4", "--input", cache, "--q-len", "2", "--sparse", "50", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  root = program_json(&r);
  assert_string_equal(text(root, "digest"), digest);
  json_decref(root);
  program_free(&r);
  free(digest);
  r = program_run(R, "run", "--heads", "4", "--context", "100", "--sparse", "50", nothing);
  assert_true(r.code == 0 && strstr(r.out, "each query token has a list of at most 50 tokens"));
  program_free(&r);
  assert_program(R, 0, NULL, "verify", "--heads", "4", "--context", "0,70", "--sparse", "66");
  assert_program(R, 1, NULL, "SNAPMLA_TEST_FAULT=list", "run", "--heads", "4", "--context", "30", "--sparse", "20");
  assert_program(R, 2, "max_indices is 2000000, it must be 0 to 1048576", "run", "--sparse", "2000000");
}

static void verify_json(void **state) {
  (void)state;
  program_result r = program_run(R, "verify", "--json", "--heads", "4", "--context", "0,1,65", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *entry;
  json_t *cases = json_object_get(root, "cases");
  size_t i, count = json_array_size(cases);
  double worst = 0;
  int kinds[4] = {0}, offsets[2] = {0};
  static const char *const names[] = {"normal", "sink", "uniform", "outlier"};
  assert_int_equal(count, 36);
  json_array_foreach(cases, i, entry) {
    assert_true(json_is_true(json_object_get(entry, "ok")));
    worst = fmax(worst, number(entry, "rel_l2"));
    assert_true(number(entry, "rel_l2") <= number(entry, "rel_l2_limit"));
    for (int k = 0; k < 4; ++k) kinds[k] += !strcmp(text(entry, "data"), names[k]);
    ++offsets[number(entry, "value_offset") == 1];
    if (number(entry, "length") == 0) assert_true(number(entry, "rel_l2") == 0);
    if (number(entry, "length") == 65) assert_true(number(entry, "quantization_rel_l2") > 1e-3);
    double lse_limit = 1e-3 + (number(entry, "sigma") == 8 ? 7.5e-4 : 5e-4) * number(entry, "max_logit");
    assert_true(fabs(number(entry, "lse_of_limit") * lse_limit - number(entry, "lse_abs")) < 1e-9);
  }
  assert_true(kinds[0] == 24 && kinds[1] == 3 && kinds[2] == 6 && kinds[3] == 3);
  assert_true(offsets[1] == 15);
  assert_true(fabs(worst - number(root, "rel_l2")) < 1e-9);
  static const char *const keys[] = {"lse_abs", "time_us", "bytes"};
  for (int k = 0; k < 3; ++k) (void)number(root, keys[k]);
  assert_string_equal(text(root, "time_kind"), "modelled");
  json_decref(root);
  program_free(&r);
}

static smla_tensor *tensor_of(smla_tensor_file *file, const char *name) {
  smla_tensor *tensor = smla_tensor_file_find(file, name);
  if (!tensor) fail_msg("no tensor %s", name);
  assert_int_equal(smla_tensor_load(file, tensor), SNAPMLA_OK);
  return tensor;
}

/* A cache written by one run gives the next the same result; metadata of the input travel along. */
static void cache_round_trip(void **state) {
  const char *cache = in(state, "cache.safetensors"), *out = in(state, "out.safetensors");
  const char *again = in(state, "again.safetensors");
  assert_program(R, 0, NULL, "run", "--heads", "4", "--page", "128", "--context", "130,0,5", "--save-cache", cache,
                 "-o", out);
  assert_program(R, 0, NULL, "run", "--heads", "4", "--input", cache, "-o", again);
  smla_tensor_file files[3];
  assert_int_equal(smla_tensor_file_open(&files[0], out, "x"), SNAPMLA_OK);
  assert_int_equal(smla_tensor_file_open(&files[1], again, "x"), SNAPMLA_OK);
  assert_int_equal(smla_tensor_file_open(&files[2], cache, "x"), SNAPMLA_OK);
  static const char *const names[] = {"out", "lse"};
  for (int i = 0; i < 2; ++i) {
    smla_tensor *a = tensor_of(&files[0], names[i]), *b = tensor_of(&files[1], names[i]);
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->data, b->data, a->bytes);
  }
  smla_tensor *table = tensor_of(&files[2], "block_table");
  const int32_t *entries = table->data;
  assert_int_equal(table->shape[0], 3);
  for (int64_t i = 0; i < table->shape[1]; ++i) {
    assert_int_equal(entries[i] >= 0, i < 2);
    assert_int_equal(entries[table->shape[1] + i], -1);
  }
  assert_string_equal(smla_tensor_file_metadata(&files[2], "snapmla.page"), "128");
  assert_non_null(smla_tensor_file_metadata(&files[0], "snapmla.variant"));
  for (int i = 0; i < 3; ++i) smla_tensor_file_close(&files[i]);
  /* the fingerprint of another layout */
  assert_program(R, 2, "its layout's fingerprint", "run", "--heads", "4", "--input", cache, "--page", "64");
}

enum { BATCH = 2, HEADS = 3, RANK = 256, DIM = 64, TOKENS = 67 };
static float q_nope[BATCH * HEADS * RANK], q_rope[BATCH * HEADS * DIM], latent[TOKENS * RANK], rope[TOKENS * DIM];
static int64_t seqlens[BATCH] = {66, 1};
static smla_tensor inputs[] = {
    {.name = (char *)"q_nope",
     .dtype = SMLA_DTYPE_F32,
     .rank = 4,
     .shape = {BATCH, 1, HEADS, RANK},
     .bytes = sizeof q_nope,
     .data = q_nope},
    {.name = (char *)"q_rope",
     .dtype = SMLA_DTYPE_F32,
     .rank = 4,
     .shape = {BATCH, 1, HEADS, DIM},
     .bytes = sizeof q_rope,
     .data = q_rope},
    {.name = (char *)"latent",
     .dtype = SMLA_DTYPE_F32,
     .rank = 2,
     .shape = {TOKENS, RANK},
     .bytes = sizeof latent,
     .data = latent},
    {.name = (char *)"rope",
     .dtype = SMLA_DTYPE_F32,
     .rank = 2,
     .shape = {TOKENS, DIM},
     .bytes = sizeof rope,
     .data = rope},
    {.name = (char *)"seqlens",
     .dtype = SMLA_DTYPE_I64,
     .rank = 1,
     .shape = {BATCH},
     .bytes = sizeof seqlens,
     .data = seqlens},
};

/* Small integers: exact in every format, so that the result can be worked out by hand. */
static void fill_inputs(void) {
  for (int i = 0; i < BATCH * HEADS * RANK; ++i) q_nope[i] = 0;
  for (int i = 0; i < BATCH * HEADS * DIM; ++i) q_rope[i] = 0;
  for (int t = 0; t < TOKENS; ++t) {
    for (int c = 0; c < RANK; ++c) latent[t * RANK + c] = (float)(t < 66 ? (c % 2 ? 2 : -1) : 4);
    for (int c = 0; c < DIM; ++c) rope[t * DIM + c] = 1;
  }
  seqlens[0] = 66;
  seqlens[1] = 1;
}

/* With a query of zeros all weights are equal: the output is the mean of the latent, the lse the log of the length. */
static void tensors_by_hand(void **state) {
  const char *path = in(state, "in.safetensors"), *directory = in(state, "result/");
  fill_inputs();
  assert_int_equal(smla_safetensors_write(path, inputs, 5, NULL, 0), SNAPMLA_OK);
  assert_program(R, 0, "tensor latent is rounded from F32 to bf16", "run", "--input", path, "-o", directory);
  smla_tensor_file out, lse;
  assert_int_equal(smla_tensor_file_open(&out, in(state, "result/out.npy"), "v"), SNAPMLA_OK);
  assert_int_equal(smla_tensor_file_open(&lse, in(state, "result/lse.npy"), "v"), SNAPMLA_OK);
  const float *values = tensor_of(&out, "v")->data, *logs = tensor_of(&lse, "v")->data;
  assert_int_equal(out.tensors[0].dtype, SMLA_DTYPE_F32);
  assert_int_equal(out.tensors[0].rank, 4);
  for (int i = 0; i < HEADS * RANK; ++i) {
    assert_true(values[i] == (i % 2 ? 2 : -1));
    assert_true(values[HEADS * RANK + i] == 4);
  }
  for (int h = 0; h < HEADS; ++h) {
    assert_true(fabsf(logs[h] - logf(66)) < 1e-5f);
    assert_true(fabsf(logs[HEADS + h]) < 1e-6f);
  }
  smla_tensor_file_close(&out);
  smla_tensor_file_close(&lse);
}

static void npy_inputs(void **state) {
  static const char *const options[] = {"--q-nope", "--q-rope", "--latent-rows", "--rope-rows", "--seqlens"};
  const char *arguments[10];
  char paths[5][4200];
  fill_inputs();
  for (int i = 0; i < 5; ++i) {
    snprintf(paths[i], sizeof paths[i], "%s/%s.safetensors", (const char *)*state, inputs[i].name);
    assert_int_equal(smla_safetensors_write(paths[i], &inputs[i], 1, NULL, 0), SNAPMLA_OK);
    arguments[2 * i] = options[i];
    arguments[2 * i + 1] = paths[i];
  }
  assert_program(R, 0, "is rounded", "run", arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                 arguments[5], arguments[6], arguments[7], arguments[8], arguments[9]);
  /* lengths from the command line; the tensor of one file under another's name */
  assert_program(R, 0, "is rounded", "run", arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                 arguments[5], arguments[6], arguments[7], "--context", "66,1");
  assert_program(R, 2, "has no tensor kv", "run", "--kv", paths[0]);
}

/* The bits of bf16 as uint16 in .npy files, both ways. */
static void bf16_in_npy(void **state) {
  const char *wide = in(state, "wide.safetensors"), *directory = in(state, "bits/"), *path = in(state, "q_nope.npy");
  static uint16_t bits[BATCH * HEADS * RANK];
  smla_tensor tensor = inputs[0];
  smla_output_file output;
  fill_inputs();
  assert_int_equal(smla_safetensors_write(wide, inputs, 5, NULL, 0), SNAPMLA_OK);
  tensor.dtype = SMLA_DTYPE_U16;
  tensor.bytes = sizeof bits;
  tensor.data = bits;
  assert_int_equal(smla_output_file_open(&output, path), SNAPMLA_OK);
  assert_int_equal(smla_npy_write(&output, &tensor), SNAPMLA_OK);
  assert_int_equal(smla_output_file_commit(&output), SNAPMLA_OK);
  assert_program(R, 2, "or say --npy-bf16", "run", "--input", wide, "--q-nope", path);
  assert_program(R, 0, "is rounded", "run", "--input", wide, "--q-nope", path, "--npy-bf16", "-o", directory);
  smla_tensor_file out;
  assert_int_equal(smla_tensor_file_open(&out, in(state, "bits/out.npy"), "v"), SNAPMLA_OK);
  const uint16_t *values = tensor_of(&out, "v")->data;
  assert_int_equal(out.tensors[0].dtype, SMLA_DTYPE_U16);
  assert_int_equal(values[0], 0xbf80); /* -1 */
  assert_int_equal(values[1], 0x4000); /* 2 */
  smla_tensor_file_close(&out);
}

/* Writes the inputs with one thing changed, and expects the message. */
static void expect_refused(void **state, const char *message, const char *option, const char *value) {
  const char *path = in(state, "bad.safetensors");
  assert_int_equal(smla_safetensors_write(path, inputs, 5, NULL, 0), SNAPMLA_OK);
  if (option)
    assert_program(R, 2, message, "run", "--input", path, option, value);
  else
    assert_program(R, 2, message, "run", "--input", path);
}

static void bad_tensors(void **state) {
  fill_inputs();
  expect_refused(state, "number of heads, is 3, another tensor or an option says 16", "--heads", "16");
  expect_refused(state, "both seqlens and --context", "--context", "66,1");
  expect_refused(state, "leave --steps out", "--steps", "2");
  expect_refused(state, "more than --max-context 65", "--max-context", "65");
  expect_refused(state, "the batch, is 2, another tensor or an option says 3", "--batch", "3");
  seqlens[0] = 65;
  expect_refused(state, "it has 67 rows, the lengths add up to 66", NULL, NULL);
  seqlens[0] = -1;
  expect_refused(state, "element 0 is -1: a length is not negative", NULL, NULL);
  seqlens[0] = INT64_C(1) << 40;
  expect_refused(state, "32 bits are read", NULL, NULL);
  seqlens[0] = 66;
  latent[5] = NAN;
  expect_refused(state, "tensor latent: element 5 is infinite or not a number", NULL, NULL);
  latent[5] = 3.4e38f;
  expect_refused(state, "or too large", NULL, NULL);
  latent[5] = 1;
  inputs[0].name = (char *)"q_content";
  expect_refused(state, "q_nope and q_rope come together", NULL, NULL);
  inputs[0].name = (char *)"q_nope";
  inputs[0].rank = 2;
  inputs[0].shape[0] = BATCH * HEADS;
  inputs[0].shape[1] = RANK;
  expect_refused(state, "its shape is [6, 256], it should be [batch, q_len, heads, latent]", NULL, NULL);
  inputs[0].rank = 4;
  inputs[0].shape[0] = BATCH;
  inputs[0].shape[1] = 1;
  inputs[4].dtype = SMLA_DTYPE_F64;
  expect_refused(state, "its dtype is F64: give I32 or I64", NULL, NULL);
  inputs[4].dtype = SMLA_DTYPE_I64;
  inputs[2].dtype = SMLA_DTYPE_I32;
  expect_refused(state, "its dtype is I32: give BF16, F16 or F32", NULL, NULL);
  inputs[2].dtype = SMLA_DTYPE_F32;
}

static void bad_cache(void **state) {
  enum { PAGE_BYTES = 41216, PAGES = 2 };
  static uint8_t kv[PAGES * PAGE_BYTES];
  int32_t table[4] = {0, 1, 1, 99}, lengths[2] = {128, 3};
  smla_tensor tensors[] = {
      {.name = (char *)"kv",
       .dtype = SMLA_DTYPE_U8,
       .rank = 2,
       .shape = {PAGES, PAGE_BYTES},
       .bytes = sizeof kv,
       .data = kv},
      {.name = (char *)"block_table",
       .dtype = SMLA_DTYPE_I32,
       .rank = 2,
       .shape = {2, 2},
       .bytes = sizeof table,
       .data = table},
      {.name = (char *)"seqlens",
       .dtype = SMLA_DTYPE_I32,
       .rank = 1,
       .shape = {2},
       .bytes = sizeof lengths,
       .data = lengths},
  };
  const char *path = in(state, "cache.safetensors");
#define TRY(code, message)                                                                  \
  do {                                                                                      \
    assert_int_equal(smla_safetensors_write(path, tensors, 3, NULL, 0), SNAPMLA_OK);        \
    assert_program(R, code, message, "run", "--heads", "2", "--no-check", "--input", path); \
  } while (0)
  TRY(0, NULL); /* the entry of 99 is past the length */
  lengths[1] = 65;
  TRY(2, "entry 1 of request 1 is 99: the cache has pages 0..1");
  table[3] = -7;
  TRY(2, "entry 1 of request 1 is -7");
  lengths[1] = 129;
  TRY(2, "request 1 has 129 tokens, that is 3 pages, its row has 2 entries");
  lengths[1] = 1;
  tensors[0].shape[0] = 4;
  tensors[0].shape[1] = PAGE_BYTES / 2;
  TRY(2, "request 0 has 128 tokens, that is 4 pages"); /* of 32 tokens */
  tensors[0].shape[0] = 8;
  tensors[0].shape[1] = PAGE_BYTES / 4;
  TRY(2, "fit no page size");
  tensors[0].shape[0] = PAGES;
  tensors[0].shape[1] = PAGE_BYTES;
  tensors[0].dtype = SMLA_DTYPE_I8;
  TRY(2, "page images are U8");
#undef TRY
}

static void results_are_whole_or_absent(void **state) {
  /* lse.npy cannot be written: out.npy must not be either */
  const char *nested = in(state, "both");
  char blocked[4200];
  snprintf(blocked, sizeof blocked, "%s/lse.npy", nested);
  assert_int_equal(mkdir(nested, 0700), 0);
  assert_int_equal(mkdir(blocked, 0700), 0);
  assert_program(R, 1, "lse.npy is a directory", "run", "--heads", "2", "--context", "3", "-o", nested);
  assert_int_equal(program_count_files(nested), 1);
}

static void quiet_unless_asked(void **state) {
  (void)state;
  assert_program(R, 0, NULL, "run", "--heads", "2", "--context", "3");
  assert_program(R, 0, "appending request 1 of 1", "run", "--heads", "2", "--context", "3", "--progress");
  assert_program(R, 0, "--repeat is for a GPU", "run", "--heads", "2", "--context", "3", "--repeat", "5");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(run_json),
      cmocka_unit_test(gpu_times_are_medians),
      cmocka_unit_test(same_bits_same_seed),
      TEST(placement_does_not_matter),
      cmocka_unit_test(steps),
      cmocka_unit_test(planted_faults),
      TEST(sparse_lists),
      cmocka_unit_test(verify_json),
      TEST(cache_round_trip),
      TEST(tensors_by_hand),
      TEST(npy_inputs),
      TEST(bf16_in_npy),
      TEST(bad_tensors),
      TEST(bad_cache),
      TEST(results_are_whole_or_absent),
      cmocka_unit_test(quiet_unless_asked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
