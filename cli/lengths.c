#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "console.h"
#include "options.h"
#include "problem.h"

enum { MAX_LENGTHS = 1 << 24, MAX_LINE = 64 };

static snapmla_status append(smla_lengths *lengths, size_t *room, int32_t length) {
  if (lengths->count == MAX_LENGTHS)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--context: more than %d lengths", MAX_LENGTHS);
  if ((size_t)lengths->count == *room) {
    size_t grown = *room ? *room * 2 : 64;
    int32_t *items = realloc(lengths->items, grown * sizeof *items);
    if (!items) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the lengths");
    lengths->items = items;
    *room = grown;
  }
  lengths->items[lengths->count++] = length;
  return SNAPMLA_OK;
}

/* One length at text[0 … size - 1]; `where` names it in a message. */
static snapmla_status read_one(const char *text, size_t size, const char *where, smla_lengths *lengths, size_t *room) {
  long long number;
  while (size && (text[0] == ' ' || text[0] == '\t')) ++text, --size;
  while (size && strchr(" \t\r\n", text[size - 1])) --size;
  if (smla_read_integer(text, size, &number))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: '%.*s' is not a length: give integers in 0..%d", where,
                             (int)(size > 40 ? 40 : size), text, INT32_MAX);
  if (number < 0 || number > INT32_MAX)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: %.*s is out of range: a length is in 0..%d", where,
                             (int)(size > 40 ? 40 : size), text, INT32_MAX);
  return append(lengths, room, (int32_t)number);
}

static snapmla_status read_list(const char *text, smla_lengths *lengths, size_t *room) {
  for (;;) {
    size_t size = strcspn(text, ",");
    snapmla_status status = read_one(text, size, "--context", lengths, room);
    if (status || !text[size]) return status;
    text += size + 1;
  }
}

static snapmla_status read_lines(const char *path, smla_lengths *lengths, size_t *room) {
  snapmla_status status = SNAPMLA_OK;
  char line[MAX_LINE], where[256];
  struct stat info;
  FILE *file = fopen(path, "re");
  if (!file || fstat(fileno(file), &info)) {
    status = smla_console_fail(errno == ENOENT ? SNAPMLA_NOT_FOUND : SNAPMLA_IO, "--context: cannot read %s: %s", path,
                               strerror(errno));
    goto out;
  }
  if (S_ISDIR(info.st_mode)) {
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "--context: %s is a directory: give a file with one length per line", path);
    goto out;
  }
  for (int number = 1; !status && fgets(line, sizeof line, file); ++number) {
    size_t size = strlen(line);
    snprintf(where, sizeof where, "%.200s, line %d", path, number);
    if (size == sizeof line - 1 && line[size - 1] != '\n')
      status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: longer than a length can be", where);
    else if (line[strspn(line, " \t\r\n")])
      status = read_one(line, size, where, lengths, room);
  }
  if (!status && ferror(file)) status = smla_console_fail(SNAPMLA_IO, "--context: cannot read %s", path);
  if (!status && !lengths->count)
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--context: %s holds no length: write one per line", path);
out:
  if (file) fclose(file);
  return status;
}

/* One length, or the default ones, and --batch N: N requests of them in turn. */
static snapmla_status spread(smla_lengths *lengths, size_t *room, int32_t batch, int given) {
  snapmla_status status = SNAPMLA_OK;
  int32_t count = lengths->count;
  if (!batch || batch == count) return SNAPMLA_OK;
  if (count > 1 && given)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--batch %" PRId32 " with %" PRId32
                             " lengths in --context: give one length, or leave --batch out",
                             batch, lengths->count);
  while (!status && lengths->count < batch) status = append(lengths, room, lengths->items[lengths->count % count]);
  if (lengths->count > batch) lengths->count = batch;
  return status;
}

snapmla_status smla_lengths_read(const smla_settings *settings, const char *otherwise, smla_lengths *out) {
  const char *text = settings->context ? settings->context : otherwise;
  struct stat info;
  size_t room = 0;
  *out = (smla_lengths){0};
  snapmla_status status = SNAPMLA_OK;
  if (text[0] == '@') {
    status = read_lines(text + 1, out, &room);
  } else if (text[strspn(text, "0123456789,")] && !stat(text, &info)) {
    status = read_lines(text, out, &room);
  } else {
    status = read_list(text, out, &room);
  }
  if (!status) status = spread(out, &room, settings->batch, settings->context != NULL);
  if (status) smla_lengths_free(out);
  return status;
}

void smla_lengths_free(smla_lengths *lengths) {
  free(lengths->items);
  *lengths = (smla_lengths){0};
}
