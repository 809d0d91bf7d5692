#include "key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Exactly 2 * bytes digits; zero on success. */
static int parse(const char *text, size_t length, unsigned char *key, size_t bytes) {
  if (length != 2 * bytes) return -1;
  for (size_t i = 0; i < bytes; ++i) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    key[i] = (unsigned char)(high << 4 | low);
  }
  return 0;
}

static snapmla_status read_file(const char *path, unsigned char *key, size_t bytes) {
  char text[4 * SNAPMLA_PACK_SECRET_KEY_BYTES];
  FILE *file = fopen(path, "re");
  if (!file)
    return smla_console_fail(errno == ENOENT ? SNAPMLA_NOT_FOUND : SNAPMLA_IO,
                             "cannot read the key %.200s: %s: give a file or %zu hexadecimal digits", path,
                             strerror(errno), 2 * bytes);
  size_t length = fread(text, 1, sizeof text, file);
  int failed = ferror(file);
  fclose(file);
  if (failed) return smla_console_fail(SNAPMLA_IO, "cannot read the key %.200s: give a file", path);
  while (length && (text[length - 1] == '\n' || text[length - 1] == '\r')) --length;
  int wrong = parse(text, length, key, bytes);
  memset(text, 0, sizeof text);
  if (wrong)
    return smla_console_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "%.200s is no such key: it must hold %zu hexadecimal digits, as 'snapmla pack keygen' writes", path, 2 * bytes);
  return SNAPMLA_OK;
}

snapmla_status smla_public_keys_read(const smla_text_list *keys, unsigned char **out) {
  enum { BYTES = SNAPMLA_PACK_PUBLIC_KEY_BYTES };
  snapmla_status status = SNAPMLA_OK;
  *out = NULL;
  if (!keys->count) return SNAPMLA_OK;
  unsigned char *all = malloc(keys->count * BYTES);
  if (!all) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for keys");
  for (size_t i = 0; i < keys->count && !status; ++i)
    if (parse(keys->items[i], strlen(keys->items[i]), all + i * BYTES, BYTES))
      status = read_file(keys->items[i], all + i * BYTES, BYTES);
  if (status)
    free(all);
  else
    *out = all;
  return status;
}

snapmla_status smla_secret_key_read(const char *path, unsigned char key[SNAPMLA_PACK_SECRET_KEY_BYTES]) {
  return read_file(path, key, SNAPMLA_PACK_SECRET_KEY_BYTES);
}

void smla_key_text(const unsigned char *key, size_t bytes, char *text) {
  for (size_t i = 0; i < bytes; ++i) snprintf(text + 2 * i, 3, "%02x", key[i]);
}

snapmla_status smla_key_write(const char *path, unsigned mode, const unsigned char *key, size_t bytes) {
  char text[2 * SNAPMLA_PACK_SECRET_KEY_BYTES + 2];
  smla_key_text(key, bytes, text);
  text[2 * bytes] = '\n';
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  snapmla_status status = SNAPMLA_OK;
  if (fd < 0)
    status = smla_console_fail(SNAPMLA_IO, "cannot write the key %.200s: %s: choose a new name", path, strerror(errno));
  else if (write(fd, text, 2 * bytes + 1) != (ssize_t)(2 * bytes + 1))
    status =
        smla_console_fail(SNAPMLA_IO, "cannot write the key %.200s: %s: free some space, or name another directory",
                          path, strerror(errno));
  if (fd >= 0 && close(fd) && !status)
    status =
        smla_console_fail(SNAPMLA_IO, "cannot write the key %.200s: %s: free some space, or name another directory",
                          path, strerror(errno));
  if (fd >= 0 && status) unlink(path);
  memset(text, 0, sizeof text);
  return status;
}
