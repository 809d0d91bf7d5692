#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "env.h"

static const char *const level_names[] = {"none", "error", "warning", "info", "debug"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static smla_log_listener *current; /* NULL: standard error, at the environment's level */
static void *current_user;
static smla_log_level current_level;

static smla_log_level environment_level(void) {
  const char *wanted = smla_env(SMLA_ENV_LOG);
  for (int level = SMLA_LOG_NONE; wanted && level <= SMLA_LOG_DEBUG; level++)
    if (!strcmp(wanted, level_names[level])) return (smla_log_level)level;
  return wanted ? SMLA_LOG_WARNING
                : SMLA_LOG_NONE; /* a misspelt level asks for something: better too much than nothing */
}

static int heard(smla_log_level level) {
  smla_log_level limit = current ? current_level : environment_level();
  return level != SMLA_LOG_NONE && level <= limit;
}

void smla_log_listen(smla_log_listener *listener, void *user, smla_log_level level) {
  pthread_mutex_lock(&lock);
  current = listener;
  current_user = user;
  current_level = level;
  pthread_mutex_unlock(&lock);
}

int smla_log_wants(smla_log_level level) {
  pthread_mutex_lock(&lock);
  int wanted = heard(level);
  pthread_mutex_unlock(&lock);
  return wanted;
}

void smla_log(smla_log_level level, const char *format, ...) {
  pthread_mutex_lock(&lock);
  if (heard(level)) {
    char message[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (current)
      current(current_user, level, message);
    else
      fprintf(stderr, "snapmla: %s: %s\n", level_names[level], message);
  }
  pthread_mutex_unlock(&lock);
}
