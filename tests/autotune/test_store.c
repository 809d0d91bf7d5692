/* The store under everything that may befall it: killed writers, damaged files, links, no space, no permission. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "status.h"
#include "store_folder.h"
#include "store_lock.h"
#include "store_sweep.h"
#include "tune_mark.h"
#include "tune_store.h"
#include "util/temporary.h"

static char templates[] = "00000000000000000000000000000000000000000000000000000000000000ab";
static const char problem[] = "h16-q1-l512-r64-p64-fp8_token-fast-b1-c1024";

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  return setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1);
}

static smla_measurement make(char *variant, double us, int effort) {
  smla_measurement m = {.variant = variant, .us = us, .samples = 3, .effort = effort, .modelled = 1};
  snprintf(m.device, sizeof m.device, "emulator-132sm");
  snprintf(m.problem, sizeof m.problem, "%s", problem);
  snprintf(m.target, sizeof m.target, "emulator");
  snprintf(m.templates, sizeof m.templates, "%s", templates);
  smla_measurement_key(variant, m.target, m.templates, m.key);
  return m;
}

static size_t stored(double *us) {
  smla_measurements list = {0};
  assert_int_equal(smla_tune_store_read(NULL, &list), SNAPMLA_OK);
  size_t count = list.count;
  if (us && count) *us = list.items[0].us;
  smla_measurements_free(&list);
  return count;
}

static const char *path_of(void **state, const smla_measurement *m) {
  char name[400];
  snprintf(name, sizeof name, "cache/v1/tune/%s/%s/%s.json", m->device, m->problem, m->key);
  return in(state, name);
}

static void keeps_what_outranks(void **state) {
  (void)state;
  double us;
  smla_measurement patient = make("a:n=1", 7, 2), rushed = make("a:n=1", 5, 1);
  assert_int_equal(stored(NULL), 0);
  assert_int_equal(smla_tune_store_write(&rushed), SNAPMLA_OK);
  assert_int_equal(smla_tune_store_write(&patient), SNAPMLA_OK);
  assert_int_equal(smla_tune_store_write(&rushed), SNAPMLA_OK);
  assert_int_equal(stored(&us), 1);
  assert_true(us == 7);
}

/* A search's verdict stays with what it measured, also where the store has more samples of it: a plan of the greatest effort
 * searches around its winner and so measures that one twice. */
static void keeps_the_last_verdict(void **state) {
  (void)state;
  smla_measurements list = {0};
  smla_measurement first = make("a:n=1", 7, 2), second = make("a:n=1", 6, 2), rushed = make("a:n=1", 5, 1);
  first.samples = second.samples + 9;
  second.won = second.final = 1;
  assert_int_equal(smla_tune_store_write(&first), SNAPMLA_OK);
  assert_int_equal(smla_tune_store_write(&second), SNAPMLA_OK);
  assert_int_equal(smla_tune_store_write(&rushed), SNAPMLA_OK);
  assert_int_equal(smla_tune_store_read(NULL, &list), SNAPMLA_OK);
  assert_int_equal(list.count, 1);
  assert_true(list.items[0].won && list.items[0].final);
  assert_true(list.items[0].us == 7);
  first.won = 0;
  assert_int_equal(smla_wisdom_renew(&list, &first), SNAPMLA_OK);
  assert_int_equal(list.count, 1);
  assert_false(list.items[0].won);
  smla_measurements_free(&list);
}

static int kill_at;
static void kill_here(int step, const char *path) {
  (void)path;
  if (step == kill_at) kill(getpid(), SIGKILL);
}

/* kill -9 at every step of a publication: the old file or the new one is there, whole, and the next writer succeeds. */
static void survives_a_kill_at_every_step(void **state) {
  double us;
  smla_measurement old = make("a:n=1", 7, 1), new = make("a:n=1", 5, 2);
  for (int step = 1; step <= SMLA_FILE_STEPS; step++) {
    assert_int_equal(smla_tune_store_forget(NULL, NULL), SNAPMLA_OK);
    assert_int_equal(smla_tune_store_write(&old), SNAPMLA_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
      kill_at = step;
      smla_file_step_hook = kill_here;
      _exit(smla_tune_store_write(&new) ? 1 : 0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    assert_int_equal(stored(&us), 1);
    assert_true(us == (step < SMLA_FILE_PUBLISHED ? 7 : 5));
    assert_int_equal(smla_tune_store_write(&new), SNAPMLA_OK);
    assert_int_equal(stored(&us), 1);
    assert_true(us == 5);
  }
  /* What the killed left lies in tmp/, and goes once it is old. */
  smla_store_names left = {0};
  assert_int_equal(smla_store_list("tmp", "", &left), SNAPMLA_OK);
  assert_int_equal(left.count, SMLA_FILE_PUBLISHED - 1);
  smla_sweep sweep;
  assert_int_equal(smla_store_sweep(1 << 30, 0, &sweep), SNAPMLA_OK);
  assert_int_equal(sweep.abandoned, 0);
  for (size_t i = 0; i < left.count; i++) {
    char name[300];
    snprintf(name, sizeof name, "cache/v1/tmp/%s", left.items[i]);
    const struct timespec old_times[2] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, in(state, name), old_times, 0), 0);
  }
  assert_int_equal(smla_store_sweep(1 << 30, 0, &sweep), SNAPMLA_OK);
  assert_int_equal(sweep.abandoned, SMLA_FILE_PUBLISHED - 1);
  smla_store_names_free(&left);
}

static void damaged_files_are_skipped(void **state) {
  smla_measurement m = make("a:n=1", 7, 1), other = make("a:n=2", 8, 1);
  assert_int_equal(smla_tune_store_write(&m), SNAPMLA_OK);
  assert_int_equal(smla_tune_store_write(&other), SNAPMLA_OK);
  smla_buffer text = {0};
  char path[4096];
  snprintf(path, sizeof path, "%s", path_of(state, &m));
  assert_int_equal(smla_file_read(path, 1 << 20, &text), SNAPMLA_OK);
  assert_int_equal(smla_file_write(path, text.data, text.length / 2, 0600), SNAPMLA_OK);
  assert_int_equal(stored(NULL), 1);
  char *variant = strstr(text.data, "a:n=1");
  variant[4] = '3'; /* one bit: the key is not its content's any more */
  assert_int_equal(smla_file_write(path, text.data, text.length, 0600), SNAPMLA_OK);
  assert_int_equal(stored(NULL), 1);
  variant[4] = '1';
  assert_int_equal(smla_file_write(path, text.data, text.length, 0600), SNAPMLA_OK);
  assert_int_equal(stored(NULL), 2);
  assert_int_equal(chmod(path, 0622), 0); /* others may write: not to be trusted */
  assert_int_equal(stored(NULL), 1);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(symlink(path_of(state, &other), path), 0);
  assert_int_equal(stored(NULL), 1);
  assert_int_equal(unlink(path), 0);
  smla_buffer_free(&text);
}

static void links_in_the_way_are_refused(void **state) {
  smla_measurement m = make("a:n=1", 7, 1);
  assert_int_equal(mkdir(in(state, "cache"), 0700), 0);
  assert_int_equal(mkdir(in(state, "elsewhere"), 0700), 0);
  assert_int_equal(symlink(in(state, "elsewhere"), in(state, "cache/v1")), 0);
  assert_int_equal(smla_tune_store_write(&m), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "links do not count"));
}

/* A limit of file sizes stands for a full disk: the write fails half way, and the old file stays. */
static void a_full_disk_loses_nothing(void **state) {
  (void)state;
  double us;
  smla_measurement m = make("a:n=1", 7, 1), better = make("a:n=1", 5, 2);
  assert_int_equal(smla_tune_store_write(&m), SNAPMLA_OK);
  struct rlimit usual, tight;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
  tight = (struct rlimit){100, usual.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
  snapmla_status status = smla_tune_store_write(&better);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
  assert_int_equal(status, SNAPMLA_IO);
  assert_int_equal(stored(&us), 1);
  assert_true(us == 7);
  smla_store_names left = {0};
  assert_int_equal(smla_store_list("tmp", "", &left), SNAPMLA_OK);
  assert_int_equal(left.count, 0);
  assert_int_equal(smla_tune_store_write(&better), SNAPMLA_OK);
}

static void imports_all_or_nothing(void **state) {
  smla_measurements list = {0};
  smla_measurement known = make("a:n=1", 7, 1), new = make("a:n=2", 8, 1), better = make("a:n=1", 5, 2);
  size_t written;
  assert_int_equal(smla_tune_store_write(&known), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &new), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &better), SNAPMLA_OK);
  /* A folder in the way of the last of them. */
  smla_measurement blocked = make("a:n=3", 8, 1);
  assert_int_equal(smla_measurements_add(&list, &blocked), SNAPMLA_OK);
  assert_int_equal(mkdir(path_of(state, &blocked), 0700), 0);
  assert_int_equal(smla_tune_store_import(&list, &written), SNAPMLA_IO);
  assert_non_null(strstr(snapmla_error_message(), "nothing was imported"));
  double us;
  assert_int_equal(stored(&us), 1);
  assert_true(us == 7);
  assert_int_equal(rmdir(path_of(state, &blocked)), 0);
  assert_int_equal(smla_tune_store_import(&list, &written), SNAPMLA_OK);
  assert_int_equal(written, 3);
  assert_int_equal(stored(NULL), 3);
  assert_int_equal(smla_tune_store_import(&list, &written), SNAPMLA_OK);
  assert_int_equal(written, 0);
  const smla_wisdom_selector selector = {.variant = "n=2"};
  assert_int_equal(smla_tune_store_forget(&selector, &written), SNAPMLA_OK);
  assert_int_equal(written, 1);
  assert_int_equal(stored(NULL), 2);
  smla_measurements_free(&list);
}

static void marks_last_until_released(void **state) {
  (void)state;
  char key[SMLA_HASH_HEX];
  smla_mark mark;
  smla_marks all;
  size_t released;
  smla_mark_key("a:n=1", "emulator", templates, "emulator-132sm", key);
  assert_int_equal(smla_mark_read(SMLA_MARK_QUARANTINE, key, &mark), SNAPMLA_NOT_FOUND);
  assert_int_equal(smla_mark_write(SMLA_MARK_QUARANTINE, key, "a:n=1", "emulator-132sm", "hung", "60 s \xff"),
                   SNAPMLA_OK);
  assert_int_equal(smla_mark_read(SMLA_MARK_QUARANTINE, key, &mark), SNAPMLA_OK);
  assert_string_equal(mark.fate, "hung");
  assert_string_equal(mark.reason, "60 s ?");
  smla_mark_clear(&mark);
  assert_int_equal(smla_mark_list(SMLA_MARK_QUARANTINE, &all), SNAPMLA_OK);
  assert_int_equal(all.count, 1);
  smla_marks_free(&all);
  assert_int_equal(smla_mark_release(SMLA_MARK_QUARANTINE, key, &released), SNAPMLA_OK);
  assert_int_equal(released, 1);
  assert_int_equal(smla_mark_read(SMLA_MARK_QUARANTINE, key, &mark), SNAPMLA_NOT_FOUND);
}

static void the_least_used_kernel_goes_first(void **state) {
  char block[1000] = "";
  smla_sweep sweep;
  for (int i = 0; i < 4; i++) {
    static const char *const suffixes[] = {"so", "json"};
    for (int k = 0; k < 2; k++) {
      char name[100], path[160];
      snprintf(name, sizeof name, "aa%062d.%s", i, suffixes[k]);
      assert_int_equal(smla_store_publish("obj/aa", name, 0, block, sizeof block), SNAPMLA_OK);
      const struct timespec times[2] = {{1000000 + 10 * ((i + 2) % 4), 0}, {1000000 + 10 * ((i + 2) % 4), 0}};
      snprintf(path, sizeof path, "cache/v1/obj/aa/%s", name);
      assert_int_equal(utimensat(AT_FDCWD, in(state, path), times, 0), 0);
    }
  }
  assert_int_equal(smla_store_sweep(4000, 1, &sweep), SNAPMLA_OK);
  assert_int_equal(sweep.removed_files, 4);
  assert_int_equal(smla_store_sweep(4000, 0, &sweep), SNAPMLA_OK);
  assert_int_equal(sweep.bytes, 8000);
  assert_int_equal(sweep.removed_bytes, 4000);
  smla_store_names left = {0};
  assert_int_equal(smla_store_list("obj/aa", ".json", &left), SNAPMLA_OK);
  assert_int_equal(left.count, 2); /* 2 and 3 were used first: (2+2)%4, (3+2)%4 */
  assert_int_equal(left.items[0][63], '0');
  assert_int_equal(left.items[1][63], '1');
  smla_store_names_free(&left);
}

static void a_lock_waits_and_dies_with_its_process(void **state) {
  (void)state;
  smla_store_lock *lock, *second = NULL;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (!child) {
    int failed = smla_store_lock_take("key", 1, &lock) != SNAPMLA_OK;
    (void)!write(ready[1], failed ? "n" : "y", 1);
    pause();
    _exit(0);
  }
  char answer;
  assert_int_equal(read(ready[0], &answer, 1), 1);
  assert_int_equal(answer, 'y');
  assert_int_equal(smla_store_lock_take("key", 0.05, &second), SNAPMLA_CANCELLED);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  assert_int_equal(smla_store_lock_take("key", 1, &second), SNAPMLA_OK);
  smla_store_lock_release(second);
  assert_int_equal(smla_store_lock_take("key", 1, &second), SNAPMLA_OK);
  smla_store_lock_release(second);
  close(ready[0]);
  close(ready[1]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(keeps_what_outranks),
      TEST(keeps_the_last_verdict),
      TEST(survives_a_kill_at_every_step),
      TEST(damaged_files_are_skipped),
      TEST(links_in_the_way_are_refused),
      TEST(a_full_disk_loses_nothing),
      TEST(imports_all_or_nothing),
      TEST(marks_last_until_released),
      TEST(the_least_used_kernel_goes_first),
      TEST(a_lock_waits_and_dies_with_its_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
