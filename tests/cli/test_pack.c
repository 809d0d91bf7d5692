/* export, pack and run --pack, as a stranger uses them; the kernels are the emulator's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "program.h"
#include "temporary.h"

#define PROBLEM "--heads", "16", "--latent", "256", "--batch", "2", "--max-context", "512"
#define WORKLOAD \
  "--heads", "16", "--latent", "256", "--context", "100,30", "--device", "emulator", "--emulator-sms", "8"

static const char *const nothing = NULL;

static void export_pack(const char *path) {
  assert_program(PROGRAM, 0, NULL, "export", PROBLEM, "--target", "emulator", "-o", path);
}

static void assert_text(json_t *object, const char *key, const char *expected) {
  const char *value = json_string_value(json_object_get(object, key));
  if (!value || strcmp(value, expected)) fail_msg("%s is %s, expected %s", key, value ? value : "no text", expected);
}

static void runs_what_was_exported(void **state) {
  const char *path = in(state, "a.smlapack");
  export_pack(path);
  program_result packed =
      program_run(PACK_RUN, "--pack", path, "--strict", "--allow-host-code", WORKLOAD, "--json", nothing);
  program_check(&packed, 0, NULL, __FILE__, __LINE__);
  program_result compiled = program_run(PROGRAM, "run", WORKLOAD, "--json", nothing);
  program_check(&compiled, 0, NULL, __FILE__, __LINE__);
  program_result full =
      program_run(PROGRAM, "run", "--pack", path, "--strict", "--allow-host-code", WORKLOAD, "--json", nothing);
  program_check(&full, 0, NULL, __FILE__, __LINE__);
  json_t *a = program_json(&packed), *b = program_json(&compiled), *c = program_json(&full);
  assert_text(a, "digest", json_string_value(json_object_get(b, "digest")));
  assert_text(c, "digest", json_string_value(json_object_get(b, "digest")));
  assert_text(a, "variant", json_string_value(json_object_get(b, "variant")));
  json_decref(a);
  json_decref(b);
  json_decref(c);
  /* verify takes its kernels from there too */
  assert_program(PROGRAM, 0, NULL, "verify", "--pack", path, "--strict", "--allow-host-code", "--data", "normal",
                 WORKLOAD);
  program_free(&packed);
  program_free(&compiled);
  program_free(&full);
}

/* As on a GPU: a libcuda that runs launches on the emulator. */
static void runs_through_the_driver(void **state) {
  const char *path = in(state, "a.smlapack");
  char library[5000] = "SNAPMLA_CUDA=";
  size_t start = strlen(library);
  ssize_t length = readlink("/proc/self/exe", library + start, sizeof library - start - 64);
  assert_true(length > 0);
  library[start + (size_t)length] = 0;
  strcpy(strrchr(library, '/'), "/libsmla_fake_cuda.so");
  export_pack(path);
  program_result r = program_run(PACK_RUN, library, "SNAPMLA_CUDA_TARGET=emulator", "--pack", path, "--strict",
                                 "--allow-host-code", "--heads", "16", "--latent", "256", "--context", "100,30",
                                 "--device", "cuda:0", "--repeat", "2", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(r.out, "Fake Hopper"));
  assert_non_null(strstr(r.out, "(measured)"));
  program_free(&r);
}

static void misses_and_permissions(void **state) {
  const char *path = in(state, "a.smlapack"), *none = in(state, "none");
  export_pack(path);
  assert_program(PACK_RUN, 2, "--allow-host-code", "--pack", path, WORKLOAD);
  assert_program(PACK_RUN, 2, "has no plan for heads=8,", "--pack", path, "--allow-host-code", "--heads", "8",
                 "--context", "10", "--device", "emulator");
  assert_program(PACK_RUN, 2, "no pack is named", WORKLOAD);
  assert_program(PACK_RUN, 2, "cannot open", "--pack", none, WORKLOAD);
  assert_program(PACK_RUN, 2, "snapmla-run has no option --variant", "--pack", path, "--variant", "x");
  assert_program(PACK_RUN, 2, "has no option --output", "--pack", path, "--output", "x");
  /* the whole program compiles what is missing, unless it may not */
  assert_program(PROGRAM, 2, "has no plan for heads=8,", "run", "--pack", path, "--allow-host-code", "--heads", "8",
                 "--strict", "--context", "10", "--device", "emulator");
  assert_program(PROGRAM, 0, "compiled instead", "run", "--pack", path, "--allow-host-code", "--heads", "8", "--latent",
                 "256", "--context", "10", "--device", "emulator", "--emulator-sms", "8");
  assert_program(PROGRAM, 2, "give --pack FILE too", "run", "--strict", WORKLOAD);
  assert_program(PROGRAM, 2, "--pack and --variant", "run", "--pack", path, "--variant", "stages=3", WORKLOAD);
}

static void lists_and_verifies(void **state) {
  const char *path = in(state, "a.smlapack");
  export_pack(path);
  program_result r = program_run(PROGRAM, "pack", "list", path, "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *kernels = json_object_get(root, "kernels"), *plans = json_object_get(root, "plans");
  assert_int_equal(json_array_size(kernels), 6);
  assert_int_equal(json_array_size(plans), 1);
  json_t *plan = json_array_get(plans, 0);
  assert_text(plan, "target", "emulator");
  assert_text(plan, "shape",
              "heads=16,q_len=1,latent=256,rope=64,page=64,format=fp8_token,accuracy=fast,flags=0,indices=0");
  assert_int_equal(json_integer_value(json_object_get(plan, "max_batch")), 2);
  assert_int_equal(json_integer_value(json_object_get(plan, "max_context")), 512);
  assert_int_equal(json_array_size(json_object_get(plan, "variants")), 6);
  assert_true(json_is_null(json_object_get(root, "signer")));
  json_decref(root);
  program_free(&r);
  r = program_run(PROGRAM, "pack", "verify", path, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(r.out, "all digests hold; not signed"));
  program_free(&r);
  /* one byte of a kernel */
  size_t bytes;
  char *data = program_read_file(path, &bytes);
  data[bytes - 200] ^= 1;
  program_write_file(path, data, bytes);
  free(data);
  assert_program(PROGRAM, 2, "was changed", "pack", "verify", path);
  assert_program(PROGRAM, 2, "say what to do", "pack");
  assert_program(PROGRAM, 2, "the nearest is verify", "pack", "verfy", path);
  assert_program(PROGRAM, 2, "it takes 2", "pack", "diff", path);
}

static void signs_and_demands_keys(void **state) {
  const char *path = in(state, "a.smlapack"), *base = in(state, "k"), *other = in(state, "other");
  char secret[4200], public[4200], stranger[4200];
  snprintf(secret, sizeof secret, "%s.key", base);
  snprintf(public, sizeof public, "%s.pub", base);
  snprintf(stranger, sizeof stranger, "%s.pub", other);
  assert_program(PROGRAM, 0, NULL, "pack", "keygen", "-o", base);
  assert_program(PROGRAM, 0, NULL, "pack", "keygen", "-o", other);
  assert_program(PROGRAM, 1, "choose a new name", "pack", "keygen", "-o", base);
  struct stat info;
  assert_int_equal(stat(secret, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_program(PROGRAM, 0, NULL, "export", PROBLEM, "--target", "emulator", "--sign", secret, "-o", path);
  assert_program(PROGRAM, 0, NULL, "pack", "verify", path, "--key", public);
  assert_program(PROGRAM, 2, "none of the 1 given", "pack", "verify", path, "--key", stranger);
  assert_program(PROGRAM, 0, NULL, "pack", "verify", path, "--key", stranger, "--key", public);
  assert_program(PACK_RUN, 0, NULL, "--pack", path, "--strict", "--allow-host-code", "--key", public, WORKLOAD);
  assert_program(PACK_RUN, 2, "none of the 1 given", "--pack", path, "--allow-host-code", "--key", stranger, WORKLOAD);
  assert_program(PROGRAM, 2, "is no such key", "pack", "verify", path, "--key", secret);
  assert_program(PROGRAM, 2, "is no such key", "export", PROBLEM, "--sign", public, "-o", path);
  export_pack(path);
  assert_program(PACK_RUN, 2, "is not signed", "--pack", path, "--allow-host-code", "--key", public, WORKLOAD);
}

static void shows_differences(void **state) {
  const char *a = in(state, "a.smlapack"), *b = in(state, "b.smlapack");
  export_pack(a);
  export_pack(b);
  assert_program(PROGRAM, 0, NULL, "pack", "diff", a, b);
  assert_program(PROGRAM, 0, NULL, "export", PROBLEM, "--target", "emulator", "--variant", "stages=2", "-o", b);
  program_result r = program_run(PROGRAM, "pack", "diff", a, b, nothing);
  program_check(&r, 1, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(r.out, "variant: heads=16,"));
  assert_non_null(strstr(r.out, "stages=2"));
  program_free(&r);
  assert_program(PROGRAM, 0, NULL, "export", "--heads", "16", "--latent", "256", "--batch", "4", "--max-context", "512",
                 "--target", "emulator", "-o", b);
  r = program_run(PROGRAM, "pack", "diff", a, b, "--json", nothing);
  program_check(&r, 1, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *list = json_object_get(root, "differences");
  assert_int_equal(json_array_size(list), 2);
  assert_text(json_array_get(list, 0), "what", "plan");
  json_decref(root);
  program_free(&r);
  /* the same kernels, stored in another way */
  assert_program(PROGRAM, 0, NULL, "export", PROBLEM, "--target", "emulator", "--compression", "-1", "-o", b);
  r = program_run(PROGRAM, "pack", "diff", a, b, nothing);
  program_check(&r, 1, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(r.out, "file: the kernels are the same"));
  program_free(&r);
}

/* --- device classes: the winner that wisdom knows is what is packed --------------------------------------------------- */

#define TUNED "--heads", "8", "--latent", "128", "--batch", "2", "--max-context", "200"

/* The list's one plan. */
static json_t *list_plan(const char *cache, const char *path) {
  program_result r = program_run(PROGRAM, cache, "pack", "list", path, "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *plan = json_incref(json_array_get(json_object_get(root, "plans"), 0));
  json_decref(root);
  program_free(&r);
  return plan;
}

static int has_variant(const json_t *plan, const char *variant) {
  size_t i;
  const json_t *one;
  json_array_foreach(json_object_get(plan, "variants"), i, one) if (!strcmp(json_string_value(one), variant)) return 1;
  return 0;
}

/* Wisdom in which a variant that is not the default has won; the text of its decode kernel, freed by the caller. */
static char *plant_wisdom(const char *cache, const char *path) {
  program_result r = program_run(PROGRAM, cache, "tune", TUNED, "--device", "emulator", "--emulator-sms", "4",
                                 "--in-process", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  program_free(&r);
  assert_program(PROGRAM, 0, NULL, cache, "wisdom", "-o", path);
  json_t *root = json_load_file(path, 0, NULL), *list = json_object_get(root, "measurements");
  char *loser = NULL;
  size_t i;
  json_t *m;
  assert_non_null(list);
  json_array_foreach(list, i, m) {
    if (json_is_true(json_object_get(m, "won")) || loser) {
      json_object_set_new(m, "won", json_false());
      continue;
    }
    const char *variant = json_string_value(json_object_get(m, "variant"));
    loser = strndup(variant, strcspn(variant, ";"));
    json_object_set_new(m, "won", json_true());
    json_object_set_new(m, "final", json_true());
    json_object_set_new(m, "effort", json_integer(3));
    json_object_set_new(m, "microseconds", json_real(7.5));
  }
  assert_non_null(loser);
  assert_int_equal(json_dump_file(root, path, 0), 0);
  json_decref(root);
  assert_program(PROGRAM, 0, NULL, cache, "import", "--file", path);
  return loser;
}

static void packs_the_winner_of_a_device_class(void **state) {
  const char *a = in(state, "a.smlapack"), *b = in(state, "b.smlapack"), *wisdom = in(state, "wisdom.json");
  char cache[4200];
  snprintf(cache, sizeof cache, "SNAPMLA_CACHE_DIR=%s", in(state, "tuned"));
  char *winner = plant_wisdom(cache, wisdom);
  /* without a class: the default, whatever wisdom knows */
  assert_program(PROGRAM, 0, NULL, cache, "export", TUNED, "--target", "emulator", "-o", a);
  json_t *plan = list_plan(cache, a);
  assert_true(json_is_null(json_object_get(plan, "device_class")));
  assert_text(plan, "provenance", "default");
  assert_false(has_variant(plan, winner));
  json_decref(plan);
  /* with one: the winner, and its time */
  assert_program(PROGRAM, 0, NULL, cache, "export", TUNED, "--target", "emulator", "--device-class", "emulator-4sm",
                 "-o", b);
  plan = list_plan(cache, b);
  assert_text(plan, "device_class", "emulator-4sm");
  assert_text(plan, "provenance", "exact");
  assert_text(plan, "time_kind", "modelled");
  assert_true(json_number_value(json_object_get(plan, "time_us")) == 7.5);
  assert_true(has_variant(plan, winner));
  json_decref(plan);
  program_result r = program_run(PROGRAM, "pack", "diff", a, b, nothing);
  program_check(&r, 1, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(r.out, "emulator-4sm"));
  program_free(&r);
  /* another class: wisdom is the nearest, where that is allowed; else there is none */
  assert_program(PROGRAM, 2, "there is no wisdom for", cache, "export", TUNED, "--target", "emulator", "--device-class",
                 "emulator-5sm", "--wisdom-only", "-o", a);
  assert_program(PROGRAM, 0, NULL, cache, "export", TUNED, "--target", "emulator", "--device-class", "emulator-5sm",
                 "--allow-nearest", "-o", a);
  plan = list_plan(cache, a);
  assert_text(plan, "provenance", "near");
  assert_text(plan, "difference", "device emulator-4sm (here emulator-5sm)");
  assert_true(has_variant(plan, winner));
  json_decref(plan);
  assert_program(PROGRAM, 0, NULL, cache, "export", TUNED, "--target", "emulator", "--device-class", "emulator-5sm",
                 "-o", a);
  plan = list_plan(cache, a);
  assert_text(plan, "provenance", "estimated");
  json_decref(plan);
  free(winner);
}

static void says_that_a_pack_is_for_another_device(void **state) {
  const char *path = in(state, "a.smlapack");
#define SMALL "--heads", "8", "--latent", "128", "--context", "100,30", "--device", "emulator", "--allow-host-code"
  assert_program(PROGRAM, 0, NULL, "export", TUNED, "--target", "emulator", "--device-class", "emulator-4sm",
                 "--device-class", "emulator-8sm", "-o", path);
  program_result r = program_run(PROGRAM, "pack", "list", path, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(r.out, "for emulator-4sm: estimated"));
  assert_non_null(strstr(r.out, "for emulator-8sm: estimated"));
  program_free(&r);
  assert_program(PACK_RUN, 0, NULL, "--pack", path, "--strict", SMALL, "--emulator-sms", "8");
  assert_program(PACK_RUN, 0, "chosen for the device class emulator-8sm, and this device is of emulator-7sm", "--pack",
                 path, SMALL, "--emulator-sms", "7");
  assert_program(PACK_RUN, 2, "chosen for the device class emulator-8sm and none for emulator-7sm", "--pack", path,
                 "--strict", SMALL, "--emulator-sms", "7");
  assert_program(PROGRAM, 2, "is no device class", "export", TUNED, "--device-class", "h100", "-o", path);
  assert_program(PROGRAM, 2, "runs none of the pack's targets", "export", TUNED, "--device-class", "emulator-4sm", "-o",
                 path);
  assert_program(PROGRAM, 2, "is named twice", "export", TUNED, "--target", "emulator", "--device-class",
                 "emulator-4sm", "--device-class", "emulator-4sm", "-o", path);
  assert_program(PROGRAM, 2, "give --device-class too", "export", TUNED, "--wisdom-only", "-o", path);
}

static void reads_problems(void **state) {
  static const char good[] =
      "[{\"heads\": 16, \"latent_rank\": 256, \"max_batch\": 2, \"max_context\": 512},\n"
      " {\"heads\": 32, \"latent_rank\": 256, \"max_batch\": 2, \"max_context\": 512, \"variant\": "
      "\"mla_decode:stages=2\"}]";
  static const char wrapped[] =
      "{\"problems\": [{\"heads\": 16, \"latent_rank\": 256, \"max_batch\": 2, \"max_context\": 512}]}";
  const char *file = in(state, "problems.json"), *pack = in(state, "a.smlapack"), *same = in(state, "b.smlapack");
  program_write_file(file, good, strlen(good));
  program_result r =
      program_run(PROGRAM, "export", "--problems", file, "--target", "emulator", "-o", pack, "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_int_equal(json_integer_value(json_object_get(root, "plans")), 2);
  json_decref(root);
  program_free(&r);
  program_write_file(file, wrapped, strlen(wrapped));
  assert_program(PROGRAM, 0, NULL, "export", "--problems", file, "--target", "emulator", "-o", pack);
  export_pack(same);
  assert_program(PROGRAM, 0, NULL, "pack", "diff", pack, same);
  static const struct {
    const char *text, *expected;
  } bad[] = {
      {"[", "line 1"},
      {"[]", "no list of problems"},
      {"{}", "no list of problems"},
      {"[3]", "problem 1: it is not an object"},
      {"[{\"heads\": 16}, {\"head\": 16}]", "problem 2: there is no member \"head\": the nearest is \"heads\""},
      {"[{\"heads\": 1.5}]", "\"heads\" is not an integer"},
      {"[{\"heads\": 0}]", "problem 1: problem: heads is 0"},
      {"[{\"variant\": 1}]", "\"variant\" is not a text"},
      {"[{\"kv_format\": \"nope\"}]", "nope"},
      {"[{\"heads\": 16, \"heads\": 17}]", "duplicate"},
      {"[{\"heads\": []}]", "problem 1: \"heads\" is an empty list"},
      {"[{\"heads\": [[16]]}]", "problem 1: \"heads\" is a list of lists"},
      {"[{\"heads\": [16, 0]}]", "problem 1: problem: heads is 0"},
      {"[{\"sinks\": 1}]", "\"sinks\" is neither true nor false"},
      {"[{\"name\": 1}]", "\"name\" is not a text"},
      {"[{\"layer\": 1}]", "\"layer\" is neither true nor false"},
      {"[{\"heads\": 16, \"v_dim\": 64}]",
       "problem 1: \"v_dim\" is a member of a layer's problem: add \"layer\": true"},
      {"[{\"layer\": false, \"rotated\": true}]", "add \"layer\": true"},
      {"[{\"layer\": true, \"weights\": \"int4\"}]", "\"weights\" is \"int4\": write one of bf16, fp8"},
      {"[{\"layer\": true, \"v_dim\": 100}]", "problem 1: layer: v_dim is 100"},
      {"[{\"layer\": true, \"nope\": 64}]", "there is no member \"nope\": the nearest is \"nope_dim\""},
      {"[{\"layer\": true, \"batch_invariant\": true}]", "BATCH_INVARIANT"},
      {"[{\"heads\": [1,2,3,4,5,6,7,8], \"q_len\": [1,2,3,4,5,6,7,8], \"max_batch\": [1,2,3,4,5,6,7,8],"
       " \"max_context\": [1,2,3,4,5,6,7,8,9]}]",
       "more than 4096 problems"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    program_write_file(file, bad[i].text, strlen(bad[i].text));
    assert_program(PROGRAM, 2, bad[i].expected, "export", "--problems", file, "--target", "emulator", "-o", pack);
  }
  assert_program(PROGRAM, 2, "give one of the two", "export", "--problems", file, "--heads", "16", "-o", pack);
  assert_program(PROGRAM, 2, "nothing is to be written", "export", PROBLEM);
  assert_program(PROGRAM, 2, "--target sm80: unknown", "export", PROBLEM, "--target", "sm80", "-o", pack);
}

/* A member with several values stands for a problem of each. */
static void reads_lists_of_values(void **state) {
  static const char listed[] =
      "[{\"name\": \"a\", \"heads\": [8, 16], \"latent_rank\": 128, \"max_batch\": [1, 2], \"max_context\": 512}]";
  static const char single[] =
      "[{\"heads\": 8, \"latent_rank\": 128, \"max_batch\": 1, \"max_context\": 512, \"sinks\": false},"
      "{\"heads\": 8, \"latent_rank\": 128, \"max_batch\": 2, \"max_context\": 512},"
      "{\"heads\": 16, \"latent_rank\": 128, \"max_batch\": 1, \"max_context\": 512},"
      "{\"heads\": 16, \"latent_rank\": 128, \"max_batch\": 2, \"max_context\": 512}]";
  const char *file = in(state, "problems.json"), *pack = in(state, "a.smlapack"), *same = in(state, "b.smlapack");
  program_write_file(file, listed, strlen(listed));
  assert_program(PROGRAM, 0, NULL, "export", "--problems", file, "--target", "emulator", "-o", pack);
  program_write_file(file, single, strlen(single));
  assert_program(PROGRAM, 0, NULL, "export", "--problems", file, "--target", "emulator", "-o", same);
  assert_program(PROGRAM, 0, NULL, "pack", "diff", pack, same);
}

/* A layer's problem in the file, its plan in the pack, its step from there alone. */
static void packs_layers(void **state) {
  static const char listed[] =
      "[{\"heads\": 3, \"latent_rank\": 128, \"max_batch\": 2, \"max_context\": 128, \"layer\": [false, true]},\n"
      " {\"heads\": 3, \"latent_rank\": 128, \"max_batch\": 2, \"max_context\": 128, \"layer\": true, \"nope_dim\": "
      "64,\n"
      "  \"v_dim\": 192, \"hidden\": 136, \"weights\": \"fp8\", \"rope_pairs\": \"half\", \"variant\": "
      "\"value_project:stages=3\"}]";
  const char *file = in(state, "problems.json"), *pack = in(state, "a.smlapack"), *other = in(state, "b.smlapack");
  program_write_file(file, listed, strlen(listed));
  assert_program(PROGRAM, 0, NULL, "export", "--problems", file, "--target", "emulator", "-o", pack);
  program_result r = program_run(PROGRAM, "pack", "list", pack, "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *plans = json_object_get(root, "plans"), *last = json_array_get(plans, 2);
  assert_int_equal(json_array_size(plans), 3);
  assert_int_equal(json_array_size(json_object_get(json_array_get(plans, 0), "roles")), 6);
  assert_text(last, "shape",
              "heads=3,q_len=1,latent=128,rope=64,page=64,format=fp8_token,accuracy=fast,flags=0,indices=0,"
              "nope=64,v=192,weights=fp8,rotate=half,norm=rms,hidden=136");
  json_t *roles = json_object_get(last, "roles"), *variants = json_object_get(last, "variants");
  assert_int_equal(json_array_size(roles), 15);
  assert_int_equal(json_array_size(variants), 15);
  assert_string_equal(json_string_value(json_array_get(roles, 6)), "layer_output");
  assert_string_equal(json_string_value(json_array_get(roles, 8)), "layer_project");
  assert_non_null(strstr(json_string_value(json_array_get(variants, 8)), "stages=3"));
  json_decref(root);
  program_free(&r);
  r = program_run(PROGRAM, "pack", "list", pack, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  assert_non_null(strstr(
      r.out, "nope=64,v=192,weights=fp8,rotate=half,norm=rms,hidden=136 up to batch 2 and context 128 on emulator"));
  assert_non_null(strstr(r.out, ", layer_absorb_few "));
  program_free(&r);
#define LAYER "--heads", "3", "--latent", "128", "--context", "100,30", "--device", "emulator", "--emulator-sms", "8"
  r = program_run(PROGRAM, "layer", "--pack", pack, "--strict", "--allow-host-code", LAYER, "--nope", "64", "--v",
                  "192", "--hidden", "136", "--weights", "fp8", "--rope-pairs", "half", "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  root = program_json(&r);
  assert_non_null(strstr(json_string_value(json_array_get(json_object_get(root, "variants"), 2)), "stages=3"));
  assert_true(json_is_true(json_object_get(root, "ok")));
  json_decref(root);
  program_free(&r);
  assert_program(PROGRAM, 2, "has no plan for heads=3,", "layer", "--pack", pack, "--strict", "--allow-host-code",
                 LAYER, "--nope", "256");
  assert_program(PROGRAM, 0, "compiled instead", "layer", "--pack", pack, "--allow-host-code", LAYER, "--v", "64");
  assert_program(PROGRAM, 2, "give --pack FILE too", "layer", "--strict", LAYER);
  assert_program(PROGRAM, 2, "--allow-host-code", "layer", "--pack", pack, LAYER);
  /* the decode problem of the same pack */
  assert_program(PACK_RUN, 0, NULL, "--pack", pack, "--strict", "--allow-host-code", LAYER);
  /* what differs is told by what the kernels are for */
  static const char without[] =
      "[{\"heads\": 3, \"latent_rank\": 128, \"max_batch\": 2, \"max_context\": 128},\n"
      " {\"heads\": 3, \"latent_rank\": 128, \"max_batch\": 2, \"max_context\": 128, \"layer\": "
      "true, \"variant\": \"query_absorb:stages=3\"}]";
  program_write_file(file, without, strlen(without));
  assert_program(PROGRAM, 0, NULL, "export", "--problems", file, "--target", "emulator", "-o", other);
  r = program_run(PROGRAM, "pack", "diff", pack, other, "--json", nothing);
  program_check(&r, 1, NULL, __FILE__, __LINE__);
  root = program_json(&r);
  json_t *list = json_object_get(root, "differences");
  assert_int_equal(json_array_size(list), 3); /* query_absorb, twice; a plan that the second lacks */
  assert_text(json_array_get(list, 0), "what", "variant");
  assert_non_null(strstr(json_string_value(json_object_get(json_array_get(list, 0), "where")), ": layer_absorb"));
  assert_non_null(strstr(json_string_value(json_object_get(json_array_get(list, 0), "b")), "query_absorb:"));
  assert_text(json_array_get(list, 1), "what", "variant");
  assert_text(json_array_get(list, 2), "what", "plan");
  json_decref(root);
  program_free(&r);
}

static void names_tables(void **state) {
  const char *source = in(state, "my-kernels.c"), *odd = in(state, "9.c");
  assert_program(PROGRAM, 0, NULL, "export", PROBLEM, "--target", "emulator", "--c-source", source);
  size_t bytes;
  char *text = program_read_file(source, &bytes);
  assert_non_null(strstr(text, "\nconst snapmla_pack_source my_kernels = {parts, 7};\n"));
  assert_non_null(strstr(text, "/* mla_decode:rows=16,"));
  free(text);
  assert_program(PROGRAM, 2, "is no name in C", "export", PROBLEM, "--target", "emulator", "--c-source", odd);
  assert_program(PROGRAM, 0, NULL, "export", PROBLEM, "--target", "emulator", "--c-source", odd, "--c-name", "nine");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(runs_what_was_exported),
      TEST(runs_through_the_driver),
      TEST(misses_and_permissions),
      TEST(lists_and_verifies),
      TEST(signs_and_demands_keys),
      TEST(shows_differences),
      TEST(reads_problems),
      TEST(reads_lists_of_values),
      TEST(packs_layers),
      TEST(names_tables),
      TEST(packs_the_winner_of_a_device_class),
      TEST(says_that_a_pack_is_for_another_device),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
