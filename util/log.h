/* Diagnostics for whoever asks for them: silent unless a listener is set or SNAPMLA_LOG names a level. Thread-safe. */
#ifndef SMLA_UTIL_LOG_H
#define SMLA_UTIL_LOG_H

typedef enum smla_log_level {
  SMLA_LOG_NONE = 0,
  SMLA_LOG_ERROR = 1,
  SMLA_LOG_WARNING = 2,
  SMLA_LOG_INFO = 3,
  SMLA_LOG_DEBUG = 4
} smla_log_level;

/* Gets each message up to its level: one line without the newline, valid during the call. Called from any thread, one
 * at a time; must not log. */
typedef void smla_log_listener(void *user, smla_log_level level, const char *message);

/* Sets the listener for messages up to `level`; NULL goes back to SNAPMLA_LOG, which writes to standard error. */
void smla_log_listen(smla_log_listener *listener, void *user, smla_log_level level);

/* Nonzero where a message of this level would be heard: for messages that are costly to make. */
int smla_log_wants(smla_log_level level);

void smla_log(smla_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
