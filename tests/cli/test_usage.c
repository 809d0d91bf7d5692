/* Wrong usage, help, version: codes, messages, which stream. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <snapmla/problem.h>

#include "cmocka_all.h"
#include "program.h"
#include "temporary.h"

static const struct {
  const char *arguments[8];
  const char *message;
} wrong[] = {
    {{"rum"}, "there is no command 'rum': the nearest is 'run'"},
    {{"xyzzyplugh"}, "there is no command 'xyzzyplugh': 'snapmla help' lists them"},
    {{"help", "buidl"}, "the nearest is 'build'"},
    {{"run", "--head", "16"}, "run has no option --head: the nearest is --heads"},
    {{"run", "--contxt=5"}, "run has no option --contxt: the nearest is --context"},
    {{"run", "--zzzzzzzzzz"}, "run has no option --zzzzzzzzzz: 'snapmla run --help' lists them"},
    {{"verify", "--output", "x"}, "verify has no option --output"},
    {{"run", "-x"}, "run has no option -x"},
    {{"run", "stray"}, "unexpected argument 'stray'"},
    {{"run", "--"}, "run has no option --"},
    {{"run", "--heads"}, "--heads: its argument N is missing"},
    {{"run", "--json=1"}, "--json takes no argument"},
    {{"run", "--heads", ""}, "not an integer"},
    {{"run", "--heads", "12x"}, "--heads 12x: not an integer"},
    {{"run", "--heads", "0"}, "--heads 0: out of range: give an integer in 1..2147483647"},
    {{"run", "--heads", "-4"}, "--heads -4: out of range"},
    {{"run", "--heads", "99999999999999999999999"}, "out of range"},
    {{"run", "--heads", "129"}, "heads"},
    {{"run", "--q-len", "129"}, "q_len is 129, it must be 1 to 128"},
    {{"run", "--latent", "500"}, "latent"},
    {{"run", "--rope", "48"}, "rope"},
    {{"run", "--page", "48"}, "page"},
    {{"run", "--format", "fp9"}, "fp8_token"},
    {{"run", "--accuracy", "best"}, "fast"},
    {{"run", "--device", "tpu:0"}, "tpu:0"},
    {{"run", "--seed", "-1"}, "--seed -1: give an integer in 0..2^64-1"},
    {{"run", "--seed", "18446744073709551616"}, "2^64-1"},
    {{"run", "--softmax-scale", "nan"}, "--softmax-scale nan: out of range"},
    {{"run", "--softmax-scale", "inf"}, "out of range"},
    {{"run", "--softmax-scale", "0"}, "out of range"},
    {{"run", "--sigma", "1e"}, "--sigma 1e: not a number"},
    {{"run", "--data", "gauss"}, "give one of normal, sink, uniform, outlier"},
    {{"run", "--emulator-order", "later"}, "give one of eager, late, random"},
    {{"run", "--context", "1,,2"}, "'' is not a length"},
    {{"run", "--context", "1,2x"}, "'2x' is not a length"},
    {{"run", "--context", ""}, "--context: its argument is empty"},
    {{"run", "--context", "-5"}, "-5 is out of range: a length is in 0..2147483647"},
    {{"run", "--context", "2147483648"}, "out of range"},
    {{"run", "--context", "no/such/file"}, "'no/such/file' is not a length"},
    {{"run", "--context", "@no/such/file"}, "cannot read no/such/file"},
    {{"run", "--context", "@."}, "is a directory"},
    {{"run", "--context", "1,2,3", "--batch", "2"}, "--batch 2 with 3 lengths"},
    {{"run", "--batch", "0"}, "--batch 0: out of range"},
    {{"run", "--context", "100", "--max-context", "99"}, "request 0 has 100 tokens, more than --max-context 99"},
    {{"run", "--variant", "mla_decode:stages=3", "--variant", "mla_decode:stages=4"}, "--variant is given 2 times"},
    {{"run", "-o", "result.txt"}, "-o result.txt: give FILE.safetensors"},
    {{"run", "--save-cache", "cache.npy"}, "give a file called *.safetensors"},
    {{"run", "--input", "no/such/file.safetensors"}, "cannot read no/such/file.safetensors"},
    {{"gen", "--family", "mla_decod"}, "mla_decod"},
    {{"gen", "--variant", "stages=3"}, "it names no family"},
    {{"gen", "--family", "schedule", "--variant", "mla_decode:stages=3"}, "is not of --family schedule"},
    {{"gen", "--variant", "mla_decode:stage=3"}, "stage"},
    /* what would make a plan's append take another call's parameters */
    {{"run", "--device", "emulator", "--variant", "kv_append:norm=rms"}, "norm is rms and the problem's is none"},
    {{"run", "--device", "emulator", "--variant", "kv_append:rotate=half"}, "rotate is half and the problem's is none"},
    {{"layer", "--device", "emulator", "--variant", "kv_append:norm=none"}, "norm is none and the problem's is rms"},
    {{"layer", "--device", "emulator", "--hidden", "100"}, "hidden_size is 100"},
    {{"layer", "--device", "emulator", "--variant", "nosuch:a=1"},
     "one of kv_append, query_absorb, value_project, kv_fetch, query_quant, mla_decode, mla_combine, schedule"},
    {{"gen", "--variant", "mla_decode:stages=77"}, "stages"},
    {{"gen", "--hidden", "2048"}, "--hidden is of a layer's problem: give --layer too"},
    {{"build", "--layer", "--family", "nosuch"}, "a layer's plan has no such kernel"},
    {{"gen", "--layer", "--variant", "nosuch:a=1"}, "is no family"},
    {{"gen", "--layer", "--hidden", "100"}, "hidden_size is 100"},
    {{"gen", "--layer", "--set", "default"}, "options that describe a problem"},
    {{"gen", "--target", "sm80"}, "give one of sm90a, emulator"},
    {{"gen", "--device", "gpu"}, "give cuda:N or emulator"},
    {{"gen", "-o", "-", "--json"}, "both mean stdout"},
    {{"gen", "--templates", "no/such/directory"}, "no/such/directory"},
    {{"gen", "-o", ""}, "its argument is empty"},
};

static void wrong_usage(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    const char *const *a = wrong[i].arguments;
    program_result r = program_run(PROGRAM, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], (const char *)NULL);
    int one_line = strchr(r.err, '\n') && !strchr(r.err, '\n')[1];
    if (r.code != 2 || !strstr(r.err, wrong[i].message) || r.out[0] || !one_line ||
        strncmp(r.err, "snapmla: error: ", 16))
      fail_msg("case %zu (%s %s %s): code %d, stdout '%s', stderr '%s', expected '%s'", i, a[0], a[1] ? a[1] : "",
               a[2] ? a[2] : "", r.code, r.out, r.err, wrong[i].message);
    program_free(&r);
  }
}

static void no_command(void **state) {
  (void)state;
  program_result r = program_run(PROGRAM, (const char *)NULL);
  assert_int_equal(r.code, 2);
  assert_string_equal(r.out, "");
  assert_non_null(strstr(r.err, "usage: snapmla COMMAND"));
  program_free(&r);
}

static void help_everywhere(void **state) {
  (void)state;
  static const char *const commands[] = {"gen",    "build", "run",        "verify", "tune",   "bench",   "explain",
                                         "model",  "ls",    "gc",         "wisdom", "import", "merge",   "forget",
                                         "export", "pack",  "quarantine", "doctor", "help",   "version", "analyze"};
  static const char *const problem[] = {"--heads N", "--q-len N",     "--latent N", "--rope N",
                                        "--page N",  "--format",      "--accuracy", "--batch N",
                                        "--context", "--device NAME", "--seed N",   "--variant TEXT"};
  program_result all = program_run(PROGRAM, "help", (const char *)NULL);
  program_check(&all, 0, NULL, __FILE__, __LINE__);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
    program_result one = program_run(PROGRAM, commands[i], "--help", (const char *)NULL);
    program_result other = program_run(PROGRAM, "help", commands[i], (const char *)NULL);
    program_check(&one, 0, NULL, __FILE__, __LINE__);
    program_check(&other, 0, NULL, __FILE__, __LINE__);
    assert_string_equal(one.out, other.out);
    assert_non_null(strstr(all.out, commands[i]));
    assert_non_null(strstr(one.out, "--json"));
    for (size_t k = 0; i < 4 && k < sizeof problem / sizeof *problem; ++k)
      if (!strstr(one.out, problem[k])) fail_msg("%s --help lacks %s", commands[i], problem[k]);
    for (int k = 0; i < 4 && snapmla_kv_format_name((snapmla_kv_format)k); ++k)
      if (!strstr(one.out, snapmla_kv_format_name((snapmla_kv_format)k))) fail_msg("%s --help: a format", commands[i]);
    for (const char *line = one.out; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
      size_t length = strcspn(line, "\n");
      if (length > 120 || (length && line[length - 1] == ' '))
        fail_msg("help of %s: '%.*s'", commands[i], (int)length, line);
    }
    program_free(&one);
    program_free(&other);
  }
  program_free(&all);
}

static void version(void **state) {
  (void)state;
  program_result plain = program_run(PROGRAM, "version", (const char *)NULL);
  program_result dashed = program_run(PROGRAM, "--version", (const char *)NULL);
  program_result json = program_run(PROGRAM, "version", "--json", (const char *)NULL);
  assert_string_equal(plain.out, dashed.out);
  assert_memory_equal(plain.out, "snapmla ", 8);
  json_t *root = program_json(&json);
  char expected[64];
  snprintf(expected, sizeof expected, "snapmla %s\n", json_string_value(json_object_get(root, "version")));
  assert_string_equal(plain.out, expected);
  json_decref(root);
  program_free(&plain);
  program_free(&dashed);
  program_free(&json);
}

static void doctor(void **state) {
  (void)state;
  program_result plain = program_run(PROGRAM, "doctor", (const char *)NULL);
  program_result json = program_run(PROGRAM, "doctor", "--json", (const char *)NULL);
  assert_int_equal(plain.code, json.code);
  json_t *root = program_json(&json), *finding;
  json_t *findings = json_object_get(root, "findings");
  size_t i, count = json_array_size(findings);
  int missing = 0;
  assert_true(count >= 4);
  json_array_foreach(findings, i, finding) {
    int ok = json_is_true(json_object_get(finding, "ok"));
    const char *name = json_string_value(json_object_get(finding, "name"));
    const char *remedy = json_string_value(json_object_get(finding, "remedy"));
    assert_non_null(strstr(plain.out, name));
    if (ok) continue;
    missing |= json_is_true(json_object_get(finding, "required"));
    if (!remedy[0]) fail_msg("%s is not ok and has no remedy", name);
    assert_non_null(strstr(plain.out, remedy));
  }
  assert_int_equal(json.code, missing ? 3 : 0);
  assert_int_equal(json_is_true(json_object_get(root, "ok")), !missing);
  for (const char *c = plain.out; *c; ++c) assert_true(!(*c & 0x80));
  json_decref(root);
  program_free(&plain);
  program_free(&json);
}

static void no_device(void **state) {
  (void)state;
  assert_program(PROGRAM, 3, "snapmla: error: ", "run", "--device", "cuda:1000", "--context", "1");
  assert_program(PROGRAM_ON_REFERENCE, 3, "device cuda:7 is not there", "run", "--device", "cuda:7");
}

static void lengths_from_files(void **state) {
  const char *path = in(state, "lengths");
  char at[4200];
  static const char text[] = "5\n\n  64 \n1\r\n";
  program_write_file(path, text, sizeof text - 1);
  snprintf(at, sizeof at, "@%s", path);
  const char *forms[] = {path, at, "5,64,1"};
  char *first = NULL;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; ++i) {
    program_result r =
        program_run(PROGRAM_ON_REFERENCE, "run", "--heads", "4", "--context", forms[i], (const char *)NULL);
    program_check(&r, 0, NULL, __FILE__, __LINE__);
    assert_non_null(strstr(r.out, "3 of 1 to 64 tokens, 70 in all"));
    if (first) assert_string_equal(r.out, first);
    free(first);
    first = strdup(r.out);
    program_free(&r);
  }
  free(first);
  static const struct {
    const char *text, *message;
  } bad[] = {{"5\nsix\n", "lengths, line 2: 'six' is not a length"},
             {"5\n-1\n", "line 2: -1 is out of range"},
             {"\n \n", "holds no length"},
             {"5 6\n", "line 1: '5 6' is not a length"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    program_write_file(path, bad[i].text, strlen(bad[i].text));
    assert_program(PROGRAM_ON_REFERENCE, 2, bad[i].message, "run", "--context", at);
  }
}

/* More memory than there is: said, not tried. */
static void absurd_sizes(void **state) {
  (void)state;
  assert_program(PROGRAM_ON_REFERENCE, 2, "max_context is 2147483647", "run", "--batch", "4096", "--context",
                 "2147483647");
  assert_program(PROGRAM_ON_REFERENCE, 1, "this machine has", "run", "--batch", "1024", "--context", "1048576",
                 "--no-check");
}

static void stdout_closed(void **state) {
  (void)state;
  char command[5200];
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(length > 0);
  self[length] = 0;
  *strrchr(self, '/') = 0;
  snprintf(command, sizeof command, "'%s/../snapmla' help run >/dev/full 2>/dev/null", self);
  int status = system(command);
  assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_usage),
      cmocka_unit_test(no_command),
      cmocka_unit_test(help_everywhere),
      cmocka_unit_test(version),
      cmocka_unit_test(doctor),
      cmocka_unit_test(no_device),
      cmocka_unit_test_setup_teardown(lengths_from_files, temporary_setup, temporary_teardown),
      cmocka_unit_test(absurd_sizes),
      cmocka_unit_test(stdout_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
