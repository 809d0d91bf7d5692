/* snapmla bench: how long a plan takes to make, in fresh processes with an empty and with a warm store, and again in one. */
#include <errno.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "console.h"
#include "html_report.h"
#include "json_output.h"
#include "library.h"
#include "planning.h"
#include "problem.h"
#include "session.h"

extern char **environ;

typedef struct bench_times {
  double context, first, again; /* seconds: opening the device, the first plan, the same plan once more */
} bench_times;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static snapmla_status measure(const smla_settings *settings, bench_times *times) {
  snapmla_context *context = NULL;
  snapmla_plan *plan = NULL;
  snapmla_device_info info;
  snapmla_problem problem;
  char *variant = NULL;
  snapmla_status status = smla_planning_problem(settings, &problem);
  if (!status) status = smla_problem_variant(settings, &variant);
  double start = now();
  if (!status) status = smla_device_open(settings, &context, &info);
  times->context = now() - start;
  const snapmla_plan_options options = smla_planning_options(settings, SNAPMLA_EFFORT_ESTIMATE, variant);
  for (int i = 0; i < 2 && !status; ++i) {
    start = now();
    status = smla_library_status(snapmla_plan_create(context, &problem, &options, &plan));
    *(i ? &times->again : &times->first) = now() - start;
    snapmla_plan_destroy(plan);
    plan = NULL;
  }
  free(variant);
  snapmla_context_destroy(context);
  return status;
}

/* The environment with another store; pointers into `setting` and the environment; owned by the caller. */
static char **environment_with(char *setting) {
  size_t count = 0, kept = 0, name = strcspn(setting, "=") + 1;
  while (environ[count]) count++;
  char **copy = calloc(count + 2, sizeof *copy);
  for (size_t i = 0; copy && i < count; ++i)
    if (strncmp(environ[i], setting, name)) copy[kept++] = environ[i];
  if (copy) copy[kept] = setting;
  return copy;
}

/* The words of this program's own command line, one after the other with their NULs; freed by the caller. NULL on failure. */
static char *own_words(size_t *length) {
  FILE *self = fopen("/proc/self/cmdline", "rb");
  char *words = NULL;
  size_t room = 0;
  ssize_t got = self ? getdelim(&words, &room, EOF, self) : -1; /* EOF is no byte: to the end */
  if (self) fclose(self);
  if (got > 0) {
    *length = (size_t)got;
    return words;
  }
  free(words);
  return NULL;
}

/* argv of that command line with --once behind it: pointers into `words`; the array is freed by the caller. */
static char **arguments_of(char *words, size_t length) {
  static char once[] = "--once";
  size_t count = 0;
  for (size_t i = 0; i < length; ++i) count += !words[i];
  char **argv = calloc(count + 2, sizeof *argv);
  size_t used = 0;
  for (char *word = words; argv && used < count; word += strlen(word) + 1) argv[used++] = word;
  if (argv) argv[used] = once;
  return argv;
}

static snapmla_status cannot_start(int error) {
  return smla_console_fail(
      SNAPMLA_IO,
      "cannot start a process to measure in: %s: see that /proc is mounted and processes and memory are "
      "left, or measure in this one with --once",
      strerror(error));
}

/* Starts this program again; what it prints goes to `out`. */
static snapmla_status spawn(char **argv, char **environment, char *out, size_t room) {
  int ends[2], how = 0;
  size_t used = 0;
  ssize_t got;
  pid_t pid;
  if (pipe(ends)) return cannot_start(errno);
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (!error) {
    error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (!error) error = posix_spawn_file_actions_addclose(&actions, ends[0]);
    if (!error) error = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
  }
  close(ends[1]);
  while (!error && used + 1 < room && (got = read(ends[0], out + used, room - 1 - used)) > 0) used += (size_t)got;
  out[used] = 0;
  close(ends[0]);
  if (error) return cannot_start(error);
  if (waitpid(pid, &how, 0) != pid || !WIFEXITED(how) || WEXITSTATUS(how))
    return smla_console_fail(
        SNAPMLA_IO, "the process to measure in failed: mend the reason that stands above, or see it again with --once");
  return SNAPMLA_OK;
}

/* This program again with the words of its own command line and --once, its store in `cache`. */
static snapmla_status run_child(const char *cache, char *out, size_t room) {
  size_t length = 0;
  char *words = own_words(&length), *setting = NULL;
  if (asprintf(&setting, "SNAPMLA_CACHE_DIR=%s", cache) < 0) setting = NULL;
  char **argv = words ? arguments_of(words, length) : NULL, **environment = setting ? environment_with(setting) : NULL;
  snapmla_status status =
      argv && environment ? spawn(argv, environment, out, room) : cannot_start(words ? ENOMEM : errno);
  free(environment);
  free(argv);
  free(setting);
  free(words);
  return status;
}

static snapmla_status measure_child(const char *cache, bench_times *times) {
  char text[256];
  snapmla_status status = run_child(cache, text, sizeof text);
  if (!status && sscanf(text, "%lf %lf %lf", &times->context, &times->first, &times->again) != 3)
    status = smla_console_fail(
        SNAPMLA_BAD_FORMAT,
        "the process to measure in printed no times: run it by itself with --once to see what it says");
  return status;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where) {
  (void)info, (void)kind, (void)where;
  return remove(path);
}

/* What the report is called after. */
static snapmla_status write_report(const smla_settings *settings, const json_t *root) {
  snapmla_problem p;
  char text[200];
  snapmla_status status = smla_planning_problem(settings, &p);
  if (status) return status;
  snprintf(text, sizeof text, "%s, %d heads, q_len %d, latent %d, pages of %d, batch %d, context %d",
           snapmla_kv_format_name(p.kv_format), p.heads, p.q_len, p.latent_rank, p.page_tokens, p.max_batch,
           p.max_context);
  return smla_html_report_bench(settings->report, text, root);
}

static snapmla_status report(const smla_settings *settings, const bench_times *cold, const bench_times *warm) {
  const struct {
    const char *name;
    double seconds;
  } rows[] = {{"open_device", warm->context},
              {"plan_cold_store", cold->first},
              {"plan_warm_store", warm->first},
              {"plan_in_memory", warm->again}};
  json_t *root = json_object();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    smla_json_set(root, rows[i].name, smla_json_real(rows[i].seconds));
    if (!settings->json) printf("%-16s %10.2f ms\n", rows[i].name, 1e3 * rows[i].seconds);
  }
  snapmla_status status = settings->report ? write_report(settings, root) : SNAPMLA_OK;
  if (!status && settings->json) return smla_json_print(root);
  json_decref(root);
  return status;
}

/* A new directory for the stores to measure with; freed by the caller. Errors: IO, OUT_OF_MEMORY. */
static snapmla_status make_folder(char **out) {
  const char *parent = secure_getenv("TMPDIR");
  char *folder = NULL;
  if (asprintf(&folder, "%s/snapmla-bench-XXXXXX", parent && *parent ? parent : "/tmp") < 0)
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the name of a directory");
  if (mkdtemp(folder)) {
    *out = folder;
    return SNAPMLA_OK;
  }
  snapmla_status status =
      smla_console_fail(SNAPMLA_IO, "cannot make the directory %.400s: %s: set TMPDIR to a directory that is writable",
                        folder, strerror(errno));
  free(folder);
  return status;
}

static snapmla_status compare_stores(const smla_settings *settings) {
  bench_times cold, warm;
  char *folder = NULL, *cache = NULL;
  snapmla_status status = make_folder(&folder);
  if (status) return status;
  if (asprintf(&cache, "%s/cache", folder) < 0) {
    cache = NULL;
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the name of a directory");
  }
  if (!status) status = measure_child(cache, &cold);
  if (!status) status = measure_child(cache, &warm);
  if (!status) status = report(settings, &cold, &warm);
  (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(cache);
  free(folder);
  return status;
}

smla_exit smla_command_bench(const smla_settings *settings) {
  bench_times once;
  snapmla_status status = settings->once ? measure(settings, &once) : compare_stores(settings);
  if (!status && settings->once) printf("%.9f %.9f %.9f\n", once.context, once.first, once.again);
  if (status) smla_console_error();
  return smla_console_exit_code(status);
}
