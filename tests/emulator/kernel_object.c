#include "kernel_object.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "cmocka_all.h"
#include "file.h"

static char *read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("cannot read %s: run the tests from the repository's root", path);
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
  fclose(file);
  return text;
}

/* The dialect as the generator expands it: the services' table in the place of its include line. */
static void write_dialect(FILE *out) {
  static const char include[] = "% include(\"dialect/services.h\")\n";
  char *prelude = read_text("templates/dialect/emulator.inc"), *services = read_text("templates/dialect/services.h");
  char *place = strstr(prelude, include);
  assert_non_null(place);
  fwrite(prelude, 1, (size_t)(place - prelude), out);
  fputs(services, out);
  fputs(place + strlen(include), out);
  free(prelude);
  free(services);
}

kernel_object kernel_object_load(const char *name) {
  char path[4096], object_path[4096], command[16384];
  smla_buffer folder = {0};
  kernel_object kernel = {0};
  assert_int_equal(smla_file_make_temporary("snapmla-kernel", &folder), SNAPMLA_OK);
  snprintf(path, sizeof path, "tests/emulator/kernels/%s.cc", name);
  kernel.text = read_text(path);
  snprintf(path, sizeof path, "%s/kernel.cc", folder.data);
  snprintf(object_path, sizeof object_path, "%s/kernel.so", folder.data);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  write_dialect(file);
  fprintf(file, "#line 1 \"%s.cc\"\n%s", name, kernel.text);
  assert_int_equal(fclose(file), 0);
  snprintf(command, sizeof command,
           "c++ -std=c++17 -O2 -Wall -Wextra -Werror -ffreestanding -fno-exceptions -fno-rtti -fno-stack-protector "
           "-ffp-contract=off -fPIC -shared -nostdlib -Wl,--no-undefined -o '%s' '%s'",
           object_path, path);
  if (system(command) != 0) fail_msg("%s does not compile", name);
  kernel.object = dlopen(object_path, RTLD_NOW | RTLD_LOCAL);
  if (!kernel.object) fail_msg("%s", dlerror());
  void *entry = dlsym(kernel.object, "smla_kernel_entry");
  assert_non_null(entry);
  memcpy(&kernel.entry, &entry, sizeof kernel.entry);
  assert_int_equal(smla_file_remove_tree(folder.data), SNAPMLA_OK);
  smla_buffer_free(&folder);
  return kernel;
}

void kernel_object_unload(kernel_object *kernel) {
  if (kernel->object) dlclose(kernel->object);
  free(kernel->text);
  memset(kernel, 0, sizeof *kernel);
}

int kernel_object_line(const kernel_object *kernel, const char *tag) {
  char mark[64];
  snprintf(mark, sizeof mark, "@%s\n", tag);
  const char *place = strstr(kernel->text, mark);
  if (!place) fail_msg("no line is tagged @%s", tag);
  int line = 1;
  for (const char *c = kernel->text; c < place; c++) line += *c == '\n';
  return line;
}

snapmla_status kernel_object_run(const kernel_object *kernel, kernel_run *run) {
  const smla_emulator_options options = {.order = run->order, .seed = run->seed, .threads = run->host_threads};
  const kernel_params params = {run->which, run->count, run->in, run->out};
  smla_launch launch = {.entry = kernel->entry,
                        .name = "test",
                        .threads = run->threads ? run->threads : 128,
                        .cluster = run->cluster,
                        .smem_bytes = run->smem_bytes ? run->smem_bytes : 49152,
                        .params = &params};
  for (int i = 0; i < 3; i++) launch.grid[i] = run->grid[i] ? run->grid[i] : 1;
  smla_emulator *emulator;
  assert_int_equal(smla_emulator_create(&options, &emulator), SNAPMLA_OK);
  if (run->in_bytes)
    assert_int_equal(smla_emulator_memory_add(emulator, (void *)(uintptr_t)run->in, run->in_bytes, 0), SNAPMLA_OK);
  if (run->out_bytes) assert_int_equal(smla_emulator_memory_add(emulator, run->out, run->out_bytes, 1), SNAPMLA_OK);
  const snapmla_status status = smla_emulator_launch(emulator, &launch, &run->counters);
  snprintf(run->report, sizeof run->report, "%s", smla_emulator_report(emulator));
  smla_emulator_destroy(emulator);
  return status;
}

void kernel_object_run_all(const kernel_object *kernel, kernel_run *run, int fill) {
  unsigned char *first = NULL;
  for (int i = 0; i < 12; i++) {
    run->order = i == 0 ? SNAPMLA_EMULATOR_EAGER : i == 1 ? SNAPMLA_EMULATOR_LATE : SNAPMLA_EMULATOR_RANDOM;
    run->seed = (uint64_t)i;
    run->host_threads = 1 + i % 3;
    memset(run->out, fill, run->out_bytes);
    if (kernel_object_run(kernel, run) != SNAPMLA_OK)
      fail_msg("which %u, order %d, seed %d: %s\n%s", run->which, run->order, i, snapmla_error_message(), run->report);
    if (first)
      assert_memory_equal(first, run->out, run->out_bytes);
    else {
      first = malloc(run->out_bytes);
      assert_non_null(first);
      memcpy(first, run->out, run->out_bytes);
    }
  }
  free(first);
}
