/* snapmla-renew-wisdom: what scripts/renew_wisdom.sh does to a wisdom file. See docs/tuning.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "generator_make.h"
#include "plan_make.h"
#include "renewal.h"
#include "status.h"
#include "wisdom.h"

static const char help[] =
    "usage: snapmla-renew-wisdom --digest DIR\n"
    "       snapmla-renew-wisdom --stale DIR FILE...\n"
    "       snapmla-renew-wisdom [--vouched DIGEST] [--same-schedule] --renew OLD NEW FILE...\n\n"
    "Of folders of templates, which are taken whole: what the program was built with counts for nothing.\n\n"
    "  --digest   prints the digest that measurements made with DIR have\n"
    "  --stale    prints the digests of the measurements in the files that were not made with DIR, each once\n"
    "  --renew    measurements made with OLD become measurements made with NEW where all their kernels are the same "
    "program\n"
    "             under both: the same text but for comments and blanks, or the same machine code. The files are "
    "rewritten\n"
    "  --vouched  what has this digest was made with OLD too: the caller's word\n"
    "  --same-schedule  the schedule kernel, which is not in what is timed, writes what it wrote: the caller's word\n\n"
    "exit: 0 done, 1 a measurement stays stale, 2 the command line, a folder or a file is wrong\n";

enum { DONE, STALE, WRONG };

static int complain(void) {
  fprintf(stderr, "snapmla-renew-wisdom: error: %s\n", snapmla_error_message());
  return WRONG;
}

static snapmla_status read_wisdom(const char *path, smla_measurements *out) {
  smla_buffer text = {0};
  snapmla_status status = smla_file_read(path, SMLA_WISDOM_FILE_LIMIT, &text);
  if (!status) status = smla_wisdom_read(path, text.data, text.length, out);
  smla_buffer_free(&text);
  return status;
}

static snapmla_status write_wisdom(const char *path, const smla_measurements *list) {
  smla_buffer text = {0};
  snapmla_status status = smla_wisdom_print(list, &text);
  if (!status) status = smla_file_write(path, text.data, text.length, 0644);
  smla_buffer_free(&text);
  return status;
}

static snapmla_status digest_of(const char *folder, char digest[SMLA_HASH_HEX]) {
  smla_generator *generator;
  snapmla_status status = smla_generator_make(NULL, 0, folder, &generator);
  if (!status) status = smla_plan_timed_digest(generator, digest);
  smla_generator_destroy(generator);
  return status;
}

static int print_digest(const char *folder) {
  char digest[SMLA_HASH_HEX];
  if (digest_of(folder, digest)) return complain();
  puts(digest);
  return DONE;
}

static int print_stale(const char *folder, char *const *files, int count) {
  char here[SMLA_HASH_HEX];
  smla_measurements all = {0};
  snapmla_status status = digest_of(folder, here);
  for (int i = 0; i < count && !status; i++) status = read_wisdom(files[i], &all);
  for (size_t i = 0; i < all.count && !status; i++) {
    size_t before = 0;
    while (strcmp(all.items[before].templates, all.items[i].templates)) before++;
    if (before == i && strcmp(all.items[i].templates, here)) puts(all.items[i].templates);
  }
  smla_measurements_free(&all);
  return status ? complain() : DONE;
}

/* --- renewing ----------------------------------------------------------------------------------------------------- */

static snapmla_status renew_file(renewal *r, const char *path, int *stale) {
  static const char *const fates[] = {[RENEW_CURRENT] = "current",
                                      [RENEW_FOREIGN] = "of other templates",
                                      [RENEW_RENEWED] = "renewed",
                                      [RENEW_STALE] = "stale"};
  smla_measurements list = {0};
  size_t counts[sizeof fates / sizeof *fates] = {0};
  snapmla_status status = read_wisdom(path, &list);
  for (size_t i = 0; i < list.count && !status; i++) {
    renew_fate fate;
    char reason[1024];
    status = renewal_apply(r, &list.items[i], &fate, reason);
    if (status) break;
    counts[fate]++;
    if (fate == RENEW_STALE) printf("stale: %s, %s: %s\n", path, list.items[i].problem, reason);
  }
  if (!status && counts[RENEW_RENEWED]) status = write_wisdom(path, &list);
  if (!status) {
    printf("%s: %zu measurements:", path, list.count);
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++)
      if (counts[i]) printf(" %zu %s", counts[i], fates[i]);
    printf("\n");
    *stale |= counts[RENEW_STALE] > 0;
  }
  smla_measurements_free(&list);
  return status;
}

static void print_kernels(const renewal *r) {
  static const char *const verdicts[] = {[RENEW_SAME_TEXT] = "same text",
                                         [RENEW_SAME_CODE] = "same machine code",
                                         [RENEW_OTHER_PROGRAM] = "another program",
                                         [RENEW_OTHER] = "another"};
  for (size_t i = 0; i < r->count; i++) {
    const renew_compared *c = &r->compared[i];
    printf("%-18s %s\n", verdicts[c->kernel.verdict], c->variant);
    if (c->kernel.variant && strcmp(c->kernel.variant, c->variant))
      printf("%-18s %s\n", "  is now called", c->kernel.variant);
  }
}

static int renew(const char *old_folder, const char *new_folder, const char *vouched, int same_schedule,
                 char *const *files, int count) {
  smla_generator *old = NULL, *now = NULL;
  renewal r = {0};
  int stale = 0;
  snapmla_status status = smla_generator_make(NULL, 0, old_folder, &old);
  if (!status) status = smla_generator_make(NULL, 0, new_folder, &now);
  if (!status) status = renewal_open(old, now, vouched, &r);
  r.same_schedule = same_schedule;
  for (int i = 0; i < count && !status; i++) status = renew_file(&r, files[i], &stale);
  if (!status) print_kernels(&r);
  renewal_close(&r);
  smla_generator_destroy(old);
  smla_generator_destroy(now);
  return status ? complain() : stale ? STALE : DONE;
}

int main(int argc, char **argv) {
  const char *vouched = NULL;
  if (argc > 2 && !strcmp(argv[1], "--vouched")) {
    vouched = argv[2];
    argc -= 2, argv += 2;
  }
  const int same_schedule = argc > 1 && !strcmp(argv[1], "--same-schedule");
  if (same_schedule) argc--, argv++;
  const int word = vouched || same_schedule;
  const char *mode = argc > 1 ? argv[1] : "";
  if (!word && argc == 2 && (!strcmp(mode, "--help") || !strcmp(mode, "-h"))) return fputs(help, stdout) < 0;
  if (!word && argc == 3 && !strcmp(mode, "--digest")) return print_digest(argv[2]);
  if (!word && argc > 3 && !strcmp(mode, "--stale")) return print_stale(argv[2], argv + 3, argc - 3);
  if (argc > 4 && !strcmp(mode, "--renew")) return renew(argv[2], argv[3], vouched, same_schedule, argv + 4, argc - 4);
  fputs(help, stderr);
  return WRONG;
}
