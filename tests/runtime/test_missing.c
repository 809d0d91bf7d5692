/* What is said where something is missing: no driver, no NVRTC, no host compiler, no writable cache. Nothing that is
 * found once is looked for again, so this program never lets a driver or an NVRTC be found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

#include "compiler.h"
#include "image_cache.h"
#include "nvrtc.h"
#include "process.h"
#include "util/temporary.h"

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1);
  setenv("SNAPMLA_CUDA", in(state, "no-libcuda.so.1"), 1);
  setenv("SNAPMLA_NVRTC", in(state, "no-libnvrtc.so"), 1);
  unsetenv("SNAPMLA_CXX");
  unsetenv("CUDA_HOME");
  return 0;
}

static void says(const char *word) {
  if (!strstr(snapmla_error_message(), word)) fail_msg("\"%s\" is not in \"%s\"", word, snapmla_error_message());
}

static void opens_the_emulator_without_a_driver(void **state) {
  (void)state;
  snapmla_context *context = NULL;
  const snapmla_context_options options = {.size = sizeof options, .device = "cuda:0"};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_NO_DEVICE);
  assert_null(context);
  says("no-libcuda.so.1");
  says("SNAPMLA_CUDA");
  assert_int_equal(snapmla_context_create(NULL, &context), SNAPMLA_OK);
  snapmla_device_info info = {.size = sizeof info};
  assert_int_equal(snapmla_context_info(context, &info), SNAPMLA_OK);
  assert_string_equal(info.name, "emulator");
  assert_int_equal(info.multiprocessors, 132);
  snapmla_context_destroy(context);
}

/* libc.so.6 is there, and no libcuda. */
static void refuses_a_library_that_is_no_driver(void **state) {
  (void)state;
  setenv("SNAPMLA_CUDA", "libc.so.6", 1);
  snapmla_context *context = NULL;
  const snapmla_context_options options = {.size = sizeof options, .device = "cuda:0"};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_NO_DEVICE);
  says("libcuda has no function cuInit");
}

static snapmla_status compile(snapmla_target target) {
  const snapmla_source_options options = {.size = sizeof options, .target = target};
  snapmla_artifact *artifact = NULL;
  snapmla_status status = snapmla_artifact_compile(&options, "schedule", &artifact);
  snapmla_artifact_destroy(artifact);
  return status;
}

static void names_what_gets_nvrtc(void **state) {
  (void)state;
  assert_int_equal(compile(SNAPMLA_TARGET_SM90A), SNAPMLA_NO_COMPILER);
  says("no-libnvrtc.so");
  says("SNAPMLA_NVRTC");
  says("pip install");
  setenv("SNAPMLA_NVRTC", "libc.so.6", 1);
  assert_int_equal(compile(SNAPMLA_TARGET_SM90A), SNAPMLA_NO_COMPILER);
  says("nvrtcVersion");
}

static void names_what_gets_a_host_compiler(void **state) {
  char *path = strdup(getenv("PATH"));
  assert_non_null(path);
  setenv("PATH", *state, 1);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_NO_COMPILER);
  says("apt-get install g++");
  setenv("SNAPMLA_CXX", "no-such-c++", 1);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_NO_COMPILER);
  says("SNAPMLA_CXX names \"no-such-c++\"");
  setenv("PATH", path, 1);
  setenv("SNAPMLA_CXX", "g++ -O0", 1);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_NO_COMPILER);
  says("without options");
  free(path);
}

static const char *write_script(void **state, const char *text) {
  const char *path = in(state, "compiler");
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(path, 0700), 0);
  return path;
}

static void takes_a_failing_compiler_at_its_word(void **state) {
  setenv("SNAPMLA_CXX", write_script(state, "#!/bin/sh\nexit 3\n"), 1);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_NO_COMPILER);
  says("--version fails (exit code 3)");
  setenv("SNAPMLA_CXX",
         write_script(state,
                      "#!/bin/sh\ncase $1 in --version) echo odd 1.0;; *) echo it is an error >&2; exit 1;; esac\n"),
         1);
  const snapmla_source_options options = {.size = sizeof options, .target = SNAPMLA_TARGET_EMULATOR};
  snapmla_artifact *artifact = NULL;
  assert_int_equal(snapmla_artifact_compile(&options, "schedule", &artifact), SNAPMLA_COMPILE);
  says("it is an error");
  assert_non_null(artifact);
  snapmla_artifact_report report;
  snapmla_artifact_report_get(artifact, &report);
  assert_string_equal(report.log, "it is an error\n");
  assert_int_equal(report.image_bytes, 0);
  assert_null(report.image);
  snapmla_artifact_destroy(artifact);
}

static void a_compiler_that_makes_nothing_has_failed(void **state) {
  setenv("SNAPMLA_CXX", write_script(state, "#!/bin/sh\necho odd\n"), 1);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_COMPILE);
}

static void goes_on_without_a_cache(void **state) {
  FILE *file = fopen(in(state, "cache"), "w"); /* a file is in its place, so that root cannot write there either */
  assert_non_null(file);
  fclose(file);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_OK);
}

static void needs_a_temporary_directory(void **state) {
  smla_image_cache_clear();
  setenv("TMPDIR", in(state, "nowhere"), 1);
  assert_int_equal(compile(SNAPMLA_TARGET_EMULATOR), SNAPMLA_IO);
  says("TMPDIR");
  unsetenv("TMPDIR");
}

static void looks_in_wheels_and_toolkits(void **state) {
  static const char *const folders[] = {"venv/lib/python3.11/site-packages/nvidia/cu13/lib",
                                        "venv/lib/python3.9/site-packages/nvidia/cuda_nvrtc/lib", "toolkit/lib64"};
  char expected[3][4096];
  for (int i = 0; i < 3; i++) {
    assert_int_equal(smla_file_make_directory(in(state, folders[i])), SNAPMLA_OK);
    snprintf(expected[i], sizeof expected[i], "%s/libnvrtc.so.13", in(state, folders[i]));
    assert_int_equal(smla_file_write(expected[i], "", 0, 0600), SNAPMLA_OK);
  }
  setenv("VIRTUAL_ENV", in(state, "venv"), 1);
  setenv("CUDAToolkit_ROOT", in(state, "toolkit"), 1);
  smla_buffer places = {0};
  assert_int_equal(smla_nvrtc_places(13, &places), SNAPMLA_OK);
  const char *place = places.data;
  assert_string_equal(place, expected[2]);
  place += strlen(place) + 1;
  assert_string_equal(place, expected[0]);
  place += strlen(place) + 1;
  assert_string_equal(place, expected[1]);
  place += strlen(place) + 1;
  assert_string_equal(place, "libnvrtc.so.13");
  smla_buffer_free(&places);
  unsetenv("VIRTUAL_ENV");
  unsetenv("CUDAToolkit_ROOT");
}

static void collects_what_a_program_says(void **state) {
  (void)state;
  static const char *const loud[] = {"/bin/sh", "-c", "echo out; echo err >&2; echo $LC_ALL; exit 7", NULL};
  static const char *const killed[] = {"/bin/sh", "-c", "kill -9 $$", NULL};
  static const char *const none[] = {"/nonexistent/program", NULL};
  smla_buffer output = {0};
  int code;
  assert_int_equal(smla_process_run(loud, 60, &output, &code), SNAPMLA_OK);
  assert_int_equal(code, 7);
  assert_string_equal(output.data, "out\nerr\nC\n");
  assert_int_equal(smla_process_run(killed, 60, &output, &code), SNAPMLA_OK);
  assert_int_equal(code, 128 + 9);
  const char *const hanging[] = {"/bin/sh", "-c", "sleep 100 & sleep 100", NULL};
  assert_int_equal(smla_process_run(hanging, 0.2, &output, &code), SNAPMLA_COMPILE);
  assert_non_null(strstr(snapmla_error_message(), "was killed"));
  if (smla_process_run(none, 60, &output, &code))
    says("/nonexistent/program");
  else
    assert_int_equal(code, 127); /* where vfork is a fork, as under valgrind, the child cannot tell its parent */
  smla_buffer_free(&output);
}

typedef struct findings {
  int count, failing;
  char names[512];
} findings;

static void collect(void *user, const snapmla_finding *finding) {
  findings *f = user;
  f->count++;
  f->failing += !finding->ok;
  strcat(strcat(f->names, finding->name), finding->ok ? "+" : "-");
  assert_non_null(finding->found);
  assert_true(finding->ok || *finding->remedy);
  assert_true(!finding->ok || !*finding->remedy);
}

static void the_doctor_finds_it_all(void **state) {
  FILE *file = fopen(in(state, "cache"), "w");
  assert_non_null(file);
  fclose(file);
  findings f = {0};
  assert_int_equal(snapmla_doctor(collect, &f), SNAPMLA_OK);
  assert_string_equal(f.names, "driver-devices-nvrtc-host compiler+templates+cache directory-temporary directory+");
  setenv("SNAPMLA_CXX", "no-such-c++", 1);
  setenv("SNAPMLA_TEMPLATES", in(state, "no-templates"), 1);
  setenv("TMPDIR", in(state, "nowhere"), 1);
  f = (findings){0};
  assert_int_equal(snapmla_doctor(collect, &f), SNAPMLA_OK);
  assert_int_equal(f.count, 7);
  assert_int_equal(f.failing, 7);
  unsetenv("SNAPMLA_TEMPLATES");
  unsetenv("TMPDIR");
  assert_int_equal(snapmla_doctor(NULL, NULL), SNAPMLA_INVALID_ARGUMENT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(opens_the_emulator_without_a_driver),
      TEST(refuses_a_library_that_is_no_driver),
      TEST(names_what_gets_nvrtc),
      TEST(names_what_gets_a_host_compiler),
      TEST(takes_a_failing_compiler_at_its_word),
      TEST(a_compiler_that_makes_nothing_has_failed),
      TEST(goes_on_without_a_cache),
      TEST(needs_a_temporary_directory),
      TEST(looks_in_wheels_and_toolkits),
      TEST(collects_what_a_program_says),
      TEST(the_doctor_finds_it_all),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
