#include "build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifact_key.h"
#include "artifact_store.h"
#include "buffer.h"
#include "clock.h"
#include "compiler.h"
#include "facts.h"
#include "image_cache.h"
#include "log.h"
#include "nvrtc.h"
#include "recipe.h"
#include "status.h"
#include "store_lock.h"
#include "store_sweep.h"
#include "tune_mark.h"

enum { LOCK_SECONDS = 120, WRITES_PER_SWEEP = 64 };

/* What `make` needs: the build and its texts. */
typedef struct job {
  smla_build *build;
  const smla_compiler *compiler;
  smla_buffer source; /* that the key is of: with #line directives only where they change the image */
  smla_buffer entry;
  smla_buffer identity; /* the compiler's */
  char key[SMLA_HASH_HEX];
  int stored; /* nonzero: the store has the kernel */
} job;

static snapmla_status expand(const job *j, int line_directives, smla_buffer *out) {
  const smla_expand_options options = {j->compiler->target == SNAPMLA_TARGET_EMULATOR, line_directives};
  return smla_generator_expand(j->build->generator, j->build->variant, &options, out);
}

/* The key is of what decides the image's bytes: where #line directives do not, they are left out. */
static void make_key(job *j) {
  const smla_artifact_fields fields = {.schema = SMLA_ARTIFACT_SCHEMA,
                                       .source = j->source.data,
                                       .source_bytes = j->source.length,
                                       .options = j->compiler->options,
                                       .compiler = j->identity.data ? j->identity.data : "",
                                       .target = j->compiler->name,
                                       .entry = j->entry.data ? j->entry.data : ""};
  smla_artifact_key(&fields, j->key);
}

static void read_facts(smla_image *image) {
  int tells_spills;
  smla_facts_read_log(image->log, &image->facts, &tells_spills);
  if (image->target != SNAPMLA_TARGET_SM90A) return;
  smla_facts_read_cubin(image->bytes, image->size, &image->facts);
  /* Without a word on spills, the stack frame bounds them from above. */
  if (!tells_spills) image->facts.spill_bytes = image->facts.stack_bytes;
}

static int major_of_nvrtc(snapmla_target target) {
  const smla_nvrtc *nvrtc;
  return target == SNAPMLA_TARGET_SM90A && !smla_nvrtc_open(&nvrtc) ? nvrtc->major : 0;
}

static snapmla_status compile(job *j, smla_image **out) {
  smla_compiled compiled = {0};
  double start = smla_clock_seconds();
  smla_buffer text = {0}; /* with #line directives, for messages that name templates */
  snapmla_status status = j->compiler->line_directives_in_image ? SNAPMLA_OK : expand(j, 1, &text);
  if (!status) status = j->compiler->compile(text.data ? text.data : j->source.data, j->build->variant, &compiled);
  smla_buffer_free(&text);
  if (status) {
    j->build->log = smla_buffer_take(&compiled.log);
  } else {
    size_t size = compiled.image.length;
    char *log = smla_buffer_take(&compiled.log);
    status = smla_image_create(j->compiler->target, j->key, j->entry.data, log, smla_buffer_take(&compiled.image), size,
                               out);
    free(log);
  }
  smla_buffer_free(&compiled.image);
  smla_buffer_free(&compiled.log);
  if (status) return status;
  (*out)->seconds = smla_clock_seconds() - start;
  (*out)->nvrtc_major = major_of_nvrtc(j->compiler->target);
  read_facts(*out);
  return SNAPMLA_OK;
}

/* What the store has of the key: OK; COMPILE where it is known not to compile; else NOT_FOUND. */
static snapmla_status look_up(job *j, smla_image **out) {
  snapmla_status status = smla_store_read(j->compiler->target, j->key, out);
  if (!status && !j->build->no_write) smla_store_mark_used(j->key);
  j->stored = !status;
  if (!status) return SNAPMLA_OK;
  if (status != SNAPMLA_NOT_FOUND) smla_log(SMLA_LOG_WARNING, "store not used: %s", snapmla_error_message());
  smla_mark mark;
  if (smla_mark_read(SMLA_MARK_NEG, j->key, &mark)) return SNAPMLA_NOT_FOUND;
  j->build->log = strdup(mark.reason);
  status = smla_compiler_failed(j->compiler->name, j->build->variant, mark.reason);
  smla_mark_clear(&mark);
  return status;
}

static void store(job *j, const smla_image *image) {
  static atomic_uint writes;
  if (j->build->no_write) return;
  if (smla_store_write(image)) {
    smla_log(SMLA_LOG_WARNING, "kernel not stored: %s", snapmla_error_message());
    return;
  }
  j->stored = 1;
  smla_sweep sweep;
  if (atomic_fetch_add(&writes, 1) % WRITES_PER_SWEEP == 0) (void)smla_store_sweep(smla_store_limit(), 0, &sweep);
}

/* A compiler that found an error will find it again; one that was killed, or had no room, may not. */
static void remember_failure(const job *j) {
  const char *log = j->build->log ? j->build->log : "";
  if (j->build->no_write || !strstr(log, "error")) return;
  if (strstr(log, "No space left") || strstr(log, "cannot allocate") || strstr(log, "out of memory") ||
      strstr(log, "Killed"))
    return;
  if (smla_mark_write(SMLA_MARK_NEG, j->key, j->build->variant, "", "does not compile", log))
    smla_log(SMLA_LOG_WARNING, "a failed compilation is not remembered: %s", snapmla_error_message());
}

/* From the store, else compiled and stored, by one process at a time. A store that fails is done without, and said. */
static snapmla_status make(void *user, smla_image **out) {
  job *j = user;
  snapmla_status status = look_up(j, out);
  if (status != SNAPMLA_NOT_FOUND) return status;
  if (j->build->no_jit)
    return smla_fail(SNAPMLA_NOT_FOUND,
                     "%s is not compiled yet, and compiling is not allowed here (SNAPMLA_PLAN_NO_JIT); make the plan "
                     "once without it, or use a pack",
                     j->build->variant);
  smla_store_lock *lock = NULL;
  if (!j->build->no_write) {
    if (smla_store_lock_take(j->key, LOCK_SECONDS, &lock))
      smla_log(SMLA_LOG_INFO, "compiling without a lock: %s", snapmla_error_message());
    else
      status = look_up(j, out); /* another process may have compiled it meanwhile */
  }
  if (status == SNAPMLA_NOT_FOUND) {
    status = compile(j, out);
    if (!status)
      store(j, *out);
    else if (status == SNAPMLA_COMPILE) {
      char reason[2048];
      snprintf(reason, sizeof reason, "%s", snapmla_error_message());
      remember_failure(j);
      smla_fail(status, "%s", reason);
    }
  }
  smla_store_lock_release(lock);
  return status;
}

static snapmla_status from_store(void *user, smla_image **out) { return look_up(user, out); }

/* By the key that the recipe led to before. NOT_FOUND where that is not known, or what it names is gone. */
static snapmla_status get_known(job *j, const char *recipe) {
  if (!recipe[0] || smla_store_read_key(j->compiler->target, recipe, j->key)) return SNAPMLA_NOT_FOUND;
  return smla_image_cache_get(j->key, from_store, j, &j->build->image);
}

static snapmla_status find_recipe(const job *j, char recipe[SMLA_HASH_HEX]) {
  smla_buffer fingerprint = {0};
  recipe[0] = 0;
  snapmla_status status = j->compiler->fingerprint(&fingerprint);
  if (!status)
    status = smla_recipe(j->build->generator, j->build->variant, j->compiler, fingerprint.data ? fingerprint.data : "",
                         recipe);
  smla_buffer_free(&fingerprint);
  return status;
}

/* What a warm store serves, without loading a compiler. */
static snapmla_status get_by_recipe(job *j, char recipe[SMLA_HASH_HEX]) {
  snapmla_status status = find_recipe(j, recipe);
  return status ? status : get_known(j, recipe);
}

static void remember_key(const job *j, const char *recipe) {
  if (!recipe[0] || !j->stored || j->build->no_write) return;
  if (smla_store_write_key(j->compiler->target, recipe, j->key))
    smla_log(SMLA_LOG_INFO, "a kernel's key is not remembered: %s", snapmla_error_message());
}

static snapmla_status get_expanded(job *j, const char *recipe) {
  snapmla_status status = expand(j, j->compiler->line_directives_in_image, &j->source);
  if (!status) {
    size_t family = strcspn(j->build->variant, ":");
    char *name = strndup(j->build->variant, family);
    status = name ? smla_generator_entry(j->build->generator, name, &j->entry)
                  : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the name of a family");
    free(name);
  }
  if (!status) {
    make_key(j);
    status = smla_image_cache_get(j->key, make, j, &j->build->image);
  }
  if (!status) remember_key(j, recipe);
  return status;
}

static snapmla_status run(smla_build *build) {
  job j = {.build = build, .compiler = smla_compiler_of(build->target)};
  char recipe[SMLA_HASH_HEX];
  if (!j.compiler)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "target %d is none; SNAPMLA_TARGET_SM90A or SNAPMLA_TARGET_EMULATOR",
                     (int)build->target);
  snapmla_status status = get_by_recipe(&j, recipe);
  if (status == SNAPMLA_NOT_FOUND) status = j.compiler->identity(&j.identity);
  /* The compiler is loaded now, and may be another than it was thought to be: its own recipe decides, and is remembered. */
  char before[SMLA_HASH_HEX];
  if (!status && !j.build->image) {
    strcpy(before, recipe);
    status = find_recipe(&j, recipe);
    if (!status) status = strcmp(before, recipe) ? get_known(&j, recipe) : SNAPMLA_NOT_FOUND;
    if (status == SNAPMLA_NOT_FOUND) status = get_expanded(&j, recipe);
  }
  smla_buffer_free(&j.source);
  smla_buffer_free(&j.entry);
  smla_buffer_free(&j.identity);
  if (!status) {
    build->log = strdup(build->image->log);
    if (!build->log) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a compile log");
  }
  return status;
}

snapmla_status smla_build_run(smla_build *build) {
  double start = smla_clock_seconds();
  build->status = run(build);
  build->seconds = smla_clock_seconds() - start;
  if (build->image && build->image->seconds > build->seconds) build->seconds = build->image->seconds;
  if (build->status) build->reason = strdup(snapmla_error_message());
  return build->status;
}

void smla_build_clear(smla_build *build) {
  smla_image_release(build->image);
  free(build->log);
  free(build->reason);
  build->image = NULL;
  build->log = build->reason = NULL;
}

/* Work shared by the threads of one smla_build_all. */
typedef struct crew {
  pthread_mutex_t lock;
  pthread_cond_t ended;
  smla_build *builds;
  size_t count, next;
  size_t *ends, end_count; /* indices of builds that ended, in that order */
} crew;

static void *work(void *user) {
  crew *c = user;
  pthread_mutex_lock(&c->lock);
  while (c->next < c->count) {
    size_t mine = c->next++;
    pthread_mutex_unlock(&c->lock);
    smla_build_run(&c->builds[mine]);
    pthread_mutex_lock(&c->lock);
    c->ends[c->end_count++] = mine;
    pthread_cond_signal(&c->ended);
  }
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

/* Reports each end in this thread, whatever thread it happened in. */
static void report_ends(crew *c, smla_build_progress *progress, void *user) {
  for (size_t reported = 0; reported < c->count; reported++) {
    pthread_mutex_lock(&c->lock);
    while (c->end_count <= reported) pthread_cond_wait(&c->ended, &c->lock);
    size_t index = c->ends[reported];
    pthread_mutex_unlock(&c->lock);
    if (progress) progress(user, &c->builds[index]);
  }
}

static void build_here(smla_build *builds, size_t count, smla_build_progress *progress, void *user) {
  for (size_t i = 0; i < count; i++) {
    smla_build_run(&builds[i]);
    if (progress) progress(user, &builds[i]);
  }
}

/* Where threads or memory are short, the work is done in this one. */
static void build_together(smla_build *builds, size_t count, size_t threads, smla_build_progress *progress,
                           void *user) {
  crew c = {.builds = builds, .count = count, .ends = calloc(count, sizeof *c.ends)};
  pthread_t *ids = calloc(threads, sizeof *ids);
  size_t started = 0;
  pthread_mutex_init(&c.lock, NULL);
  pthread_cond_init(&c.ended, NULL);
  while (c.ends && ids && started < threads && !pthread_create(&ids[started], NULL, work, &c)) started++;
  if (started)
    report_ends(&c, progress, user);
  else
    build_here(builds, count, progress, user);
  for (size_t i = 0; i < started; i++) pthread_join(ids[i], NULL);
  pthread_cond_destroy(&c.ended);
  pthread_mutex_destroy(&c.lock);
  free(ids);
  free(c.ends);
}

snapmla_status smla_build_all(smla_build *builds, size_t count, int workers, smla_build_progress *progress,
                              void *user) {
  size_t cores = (size_t)(workers > 0 ? workers : smla_clock_cores());
  size_t threads = cores < count ? cores : count;
  if (threads > 1)
    build_together(builds, count, threads, progress, user);
  else
    build_here(builds, count, progress, user);
  for (size_t i = 0; i < count; i++)
    if (builds[i].status)
      return smla_fail(builds[i].status, "%s", builds[i].reason ? builds[i].reason : "out of memory");
  return SNAPMLA_OK;
}
