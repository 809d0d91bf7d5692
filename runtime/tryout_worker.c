#include "tryout_worker.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "context_object.h"
#include "env.h"
#include "file.h"
#include "library.h"
#include "status.h"

enum { OPEN_SECONDS = 60, COMPILE_SECONDS = 180, JOB_SECONDS = 60, MOST_PROCESSES = 64, LINE_MAX_BYTES = 1 << 20 };

extern char **environ;

/* One process, or none: pid 0. */
typedef struct child {
  pid_t pid;
  int fd;
} child;

struct smla_tryout_worker {
  char *program, *opening; /* opening: the first line that every worker gets */
  double job_seconds;
  int processes;
  child main, compilers[MOST_PROCESSES];
};

/* SNAPMLA_WORKER, else snapmla-worker beside the library or the program that holds it, in its parent, or in bin/ beside
 * that. */
static snapmla_status find_program(smla_buffer *out) {
  static const char *const places[] = {"", "../", "../bin/"};
  const char *asked = smla_env(SMLA_ENV_WORKER);
  if (asked && access(asked, X_OK))
    return smla_fail(SNAPMLA_NOT_FOUND, "SNAPMLA_WORKER is %s, which cannot be run; name the program snapmla-worker",
                     asked);
  if (asked) return smla_buffer_append_text(out, asked);
  smla_buffer library = {0};
  snapmla_status status = smla_library_path((const void *)&find_program, &library);
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  self[length > 0 ? length : 0] = 0;
  const char *from[] = {status ? "" : library.data, self};
  for (size_t f = 0; f < 2; f++) {
    const char *slash = strrchr(from[f], '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
      out->length = 0;
      status = smla_buffer_printf(out, "%.*s/%ssnapmla-worker", (int)(slash - from[f]), from[f], places[i]);
      if (status || !access(out->data, X_OK)) {
        smla_buffer_free(&library);
        return status;
      }
    }
  }
  smla_buffer_free(&library);
  return smla_fail(SNAPMLA_NOT_FOUND,
                   "the program snapmla-worker is not beside the library; install it, or name it in SNAPMLA_WORKER");
}

static void end_child(child *c) {
  if (!c->pid) return;
  kill(c->pid, SIGKILL);
  while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) continue;
  close(c->fd);
  *c = (child){0};
}

/* How a child that hung up ended; it is gone afterwards. */
static void describe_end(child *c, char *reason, size_t room) {
  int how = 0;
  close(c->fd);
  while (waitpid(c->pid, &how, 0) < 0 && errno == EINTR) continue;
  *c = (child){0};
  if (WIFSIGNALED(how))
    snprintf(reason, room, "its process died of signal %d (%s)", WTERMSIG(how), strsignal(WTERMSIG(how)));
  else
    snprintf(reason, room, "its process ended with exit code %d", WEXITSTATUS(how));
}

static snapmla_status start_child(const smla_tryout_worker *w, child *c) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
    return smla_fail(SNAPMLA_IO, "cannot make a socket to a worker: %s", strerror(errno));
  posix_spawn_file_actions_t actions;
  const char *const argv[] = {w->program, NULL};
  pid_t pid = 0;
  int error = posix_spawn_file_actions_init(&actions);
  if (!error) {
    error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (!error) error = posix_spawn(&pid, w->program, &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
  }
  close(ends[1]);
  if (error) {
    close(ends[0]);
    return smla_fail(SNAPMLA_IO, "cannot start %s: %s", w->program, strerror(error));
  }
  *c = (child){pid, ends[0]};
  return SNAPMLA_OK;
}

static int send_line(int fd, const char *text) {
  size_t length = strlen(text);
  while (length) {
    ssize_t put = send(fd, text, length, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return 0;
    text += put;
    length -= (size_t)put;
  }
  return 1;
}

typedef enum answer { ANSWERED, HUNG_UP, TOO_LATE } answer;

/* Reads up to a newline; a worker sends nothing unasked. */
static answer read_line(int fd, double seconds, smla_buffer *out) {
  double end = smla_clock_seconds() + seconds;
  for (;;) {
    char block[4096];
    double left = end - smla_clock_seconds();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (left <= 0) return TOO_LATE;
    int ready = poll(&p, 1, (int)(left * 1000) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return TOO_LATE;
    ssize_t got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || out->length > LINE_MAX_BYTES || smla_buffer_append(out, block, (size_t)got)) return HUNG_UP;
    if (out->data[out->length - 1] == '\n') return ANSWERED;
  }
}

/* One job's answer, or NULL with the verdict set; the child is gone then. */
static json_t *ask(child *c, const char *line, double seconds, smla_verdict *verdict) {
  smla_buffer text = {0};
  json_t *json = NULL;
  answer how = send_line(c->fd, line) ? read_line(c->fd, seconds, &text) : HUNG_UP;
  if (how == ANSWERED) json = json_loadb(text.data, text.length, 0, NULL);
  char reason[SMLA_REASON_MAX];
  if (how == TOO_LATE) {
    snprintf(reason, sizeof reason, "it did not end within %.3g s and was killed", seconds);
    smla_verdict_fail(verdict, SMLA_FATE_HUNG, reason);
    end_child(c);
  } else if (!json) {
    if (how == ANSWERED) kill(c->pid, SIGKILL); /* it talks nonsense */
    describe_end(c, reason, sizeof reason);
    smla_verdict_fail(verdict, SMLA_FATE_CRASHED, reason);
  }
  smla_buffer_free(&text);
  return json;
}

static void read_verdict(const json_t *json, smla_verdict *verdict) {
  int ok = 0, fate = SMLA_FATE_FAILED;
  const char *reason = "the worker's answer is malformed";
  (void)json_unpack((json_t *)json, "{s:b s:i s:s}", "ok", &ok, "fate", &fate, "reason", &reason);
  verdict->ok = ok;
  if (!ok) smla_verdict_fail(verdict, fate > SMLA_FATE_WON || fate < 0 ? SMLA_FATE_FAILED : (smla_fate)fate, reason);
}

/* A child that is ready for jobs. */
static int ensure(const smla_tryout_worker *w, child *c, smla_verdict *verdict) {
  if (c->pid) return 1;
  if (start_child(w, c)) {
    smla_verdict_fail(verdict, SMLA_FATE_FAILED, snapmla_error_message());
    return 0;
  }
  json_t *json = ask(c, w->opening, OPEN_SECONDS, verdict);
  if (!json) return 0;
  read_verdict(json, verdict);
  json_decref(json);
  if (!verdict->ok) end_child(c);
  return verdict->ok;
}

/* `job` as a line to the child; its answer, whose verdict is read, or NULL. */
static json_t *run_job(const smla_tryout_worker *w, child *c, const char *job, const char *text, size_t count,
                       double seconds, smla_verdict *verdict) {
  if (!ensure(w, c, verdict)) return NULL;
  json_t *request = json_pack("{s:s s:s s:i}", "job", job, "text", text, "count", (int)count);
  char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
  smla_buffer whole = {0};
  json_t *answer_of = NULL;
  if (!line || smla_buffer_printf(&whole, "%s\n", line))
    smla_verdict_fail(verdict, SMLA_FATE_FAILED, "out of memory: a worker's job");
  else
    answer_of = ask(c, whole.data, seconds, verdict);
  if (answer_of) read_verdict(answer_of, verdict);
  smla_buffer_free(&whole);
  free(line);
  json_decref(request);
  return answer_of;
}

static char *make_opening(const snapmla_context *context, const snapmla_problem *p,
                          const smla_tryout_options *options) {
  snapmla_device_info info = {.size = sizeof info};
  const snapmla_context_options *o = &context->options;
  context->device->ops->info(context->device, &info);
  json_t *json = json_pack(
      "{s:s s:s s:s* s:i s:I s:i s:i s:i s:I s:[i,i,i,i,i,i,i,i,i,i,i]}", "job", "open", "device", info.name,
      "templates", o->templates, "order", (int)o->emulator_order, "seed", (json_int_t)o->emulator_seed, "sms",
      o->emulator_sms, "threads", o->emulator_threads, "flags", (int)(options->flags & SNAPMLA_PLAN_NO_WRITE), "memory",
      (json_int_t)options->memory_limit, "problem", p->heads, p->q_len, p->latent_rank, p->rope_dim, p->page_tokens,
      (int)p->kv_format, (int)p->accuracy, p->max_batch, p->max_context, p->max_indices, (int)p->flags);
  char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
  smla_buffer line = {0};
  char *result = text && !smla_buffer_printf(&line, "%s\n", text) ? smla_buffer_take(&line) : NULL;
  smla_buffer_free(&line);
  free(text);
  json_decref(json);
  return result;
}

snapmla_status smla_tryout_worker_create(const snapmla_context *context, const snapmla_problem *problem,
                                         const smla_tryout_options *options, smla_tryout_worker **out) {
  smla_buffer program = {0};
  smla_verdict verdict = {0};
  smla_tryout_worker *w = calloc(1, sizeof *w);
  if (!w) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a worker");
  w->job_seconds = options->job_seconds > 0 ? options->job_seconds : JOB_SECONDS;
  w->processes = options->workers > 0 ? options->workers : smla_clock_cores();
  if (w->processes > MOST_PROCESSES) w->processes = MOST_PROCESSES;
  snapmla_status status = find_program(&program);
  if (!status) {
    w->program = smla_buffer_take(&program);
    w->opening = make_opening(context, problem, options);
    if (!w->program || !w->opening) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a worker");
  }
  smla_buffer_free(&program);
  if (!status && !ensure(w, &w->main, &verdict)) status = smla_fail(SNAPMLA_IO, "%s: %s", w->program, verdict.reason);
  if (status)
    smla_tryout_worker_destroy(w);
  else
    *out = w;
  return status;
}

void smla_tryout_worker_destroy(smla_tryout_worker *w) {
  if (!w) return;
  end_child(&w->main);
  for (int i = 0; i < MOST_PROCESSES; i++) end_child(&w->compilers[i]);
  free(w->program);
  free(w->opening);
  free(w);
}

/* What the threads of one compilation share. Each has a process. */
typedef struct crew {
  smla_tryout_worker *w;
  pthread_mutex_t lock;
  const char *const *texts;
  smla_verdict *verdicts;
  size_t count, next;
  int processes;
} crew;

static void *compile_some(void *user) {
  crew *c = user;
  pthread_mutex_lock(&c->lock);
  child *mine = &c->w->compilers[c->processes++];
  while (c->next < c->count) {
    size_t i = c->next++;
    pthread_mutex_unlock(&c->lock);
    json_decref(run_job(c->w, mine, "compile", c->texts[i], 0, COMPILE_SECONDS, &c->verdicts[i]));
    pthread_mutex_lock(&c->lock);
  }
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

void smla_tryout_worker_compile(smla_tryout_worker *w, const char *const *texts, size_t count, smla_verdict *verdicts) {
  crew c = {.w = w, .texts = texts, .verdicts = verdicts, .count = count};
  pthread_t ids[MOST_PROCESSES];
  int started = 0;
  pthread_mutex_init(&c.lock, NULL);
  while (started < w->processes && (size_t)started + 1 < count &&
         !pthread_create(&ids[started], NULL, compile_some, &c))
    started++;
  compile_some(&c);
  for (int i = 0; i < started; i++) pthread_join(ids[i], NULL);
  pthread_mutex_destroy(&c.lock);
}

void smla_tryout_worker_check(smla_tryout_worker *w, const char *text, smla_verdict *verdict) {
  json_decref(run_job(w, &w->main, "check", text, 0, w->job_seconds, verdict));
}

void smla_tryout_worker_time(smla_tryout_worker *w, const char *text, size_t count, double *microseconds,
                             int32_t *batch, int64_t *tokens, smla_verdict *verdict) {
  json_t *json = run_job(w, &w->main, "time", text, count, w->job_seconds, verdict);
  const json_t *samples = json_object_get(json, "samples");
  if (json && verdict->ok && json_array_size(samples) != count)
    smla_verdict_fail(verdict, SMLA_FATE_FAILED, "the worker's answer lacks samples");
  for (size_t i = 0; json && verdict->ok && i < count; i++)
    microseconds[i] = json_number_value(json_array_get(samples, i));
  if (json && verdict->ok) {
    *batch = (int32_t)json_integer_value(json_object_get(json, "batch"));
    *tokens = json_integer_value(json_object_get(json, "tokens"));
  }
  json_decref(json);
}
