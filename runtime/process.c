#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "status.h"

extern char **environ;

/* The environment with LC_ALL=C, so that messages are the ones that are looked for. Pointers into the environment. */
static char **plain_environment(void) {
  static char locale[] = "LC_ALL=C";
  size_t count = 0, kept = 0;
  while (environ && environ[count]) count++;
  char **copy = calloc(count + 2, sizeof *copy);
  if (!copy) return NULL;
  for (size_t i = 0; i < count; i++)
    if (strncmp(environ[i], "LC_ALL=", 7)) copy[kept++] = environ[i];
  copy[kept] = locale;
  return copy;
}

static int spawn(const char *const argv[], char *const environment[], int output, pid_t *child) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (error) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  sigaddset(&usual, SIGCHLD);
  error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  if (!error) error = posix_spawnattr_setsigmask(&attributes, &none);
  if (!error) error = posix_spawnattr_setsigdefault(&attributes, &usual);
  if (!error)
    error =
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  if (!error) error = posix_spawn(child, argv[0], &actions, &attributes, (char *const *)argv, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* Reads to the end even where memory is short: the child must not block. One that takes too long is killed, with what it
 * started. */
static snapmla_status collect(int fd, pid_t child, double seconds, smla_buffer *output) {
  double end = smla_clock_seconds() + seconds;
  snapmla_status status = SNAPMLA_OK;
  char block[4096];
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    double left = end - smla_clock_seconds();
    int found = left > 0 ? poll(&ready, 1, (int)(left * 1000) + 1) : 0;
    if (found < 0 && errno == EINTR) continue;
    if (found == 0) {
      kill(-child, SIGKILL);
      return smla_fail(SNAPMLA_COMPILE, "it did not end within %.0f s and was killed", seconds);
    }
    ssize_t got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return status;
    if (!status) status = smla_buffer_append(output, block, (size_t)got);
  }
}

static int wait_for(pid_t child) {
  int how;
  while (waitpid(child, &how, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
}

snapmla_status smla_process_run(const char *const argv[], double seconds, smla_buffer *output, int *exit_code) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return smla_fail(SNAPMLA_IO, "cannot make a pipe to %s: %s", argv[0], strerror(errno));
  snapmla_status status = SNAPMLA_OK;
  pid_t child = 0;
  char **environment = plain_environment();
  if (!environment) {
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the environment of %s", argv[0]);
  } else {
    int error = spawn(argv, environment, ends[1], &child);
    if (error) status = smla_fail(SNAPMLA_IO, "cannot start %s: %s", argv[0], strerror(error));
  }
  free(environment);
  close(ends[1]);
  if (!status) {
    status = collect(ends[0], child, seconds, output);
    *exit_code = wait_for(child);
  }
  close(ends[0]);
  return status;
}
