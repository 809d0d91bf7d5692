#include "kernel_text.h"

#include <ctype.h>
#include <string.h>

#include "status.h"

/* Where the reading is, and what stands before it in the output. */
typedef struct reader {
  const char *at;
  smla_buffer *out;
  int in_directive; /* to the end of the line */
  int line_start;   /* nothing of this line was written */
  int blank;        /* a blank is due before what comes next */
} reader;

static int is_spliced(const char *at) { return at[0] == '\\' && (at[1] == '\n' || (at[1] == '\r' && at[2] == '\n')); }

/* The place after a comment that begins at `at`, or `at`. A line comment's end is the line end itself. */
static const char *skip_comment(const char *at) {
  if (at[0] != '/') return at;
  if (at[1] == '*') {
    const char *end = strstr(at + 2, "*/");
    return end ? end + 2 : at + strlen(at);
  }
  if (at[1] != '/') return at;
  while (*at && *at != '\n') at += is_spliced(at) ? (at[1] == '\r' ? 3 : 2) : 1;
  return at;
}

/* The place after the string or character that opens at `at`. */
static const char *skip_quoted(const char *at) {
  char quote = *at++;
  while (*at && *at != quote && *at != '\n') at += at[0] == '\\' && at[1] ? 2 : 1;
  return *at == quote ? at + 1 : at;
}

static int is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static snapmla_status put(reader *r, const char *text, size_t length) {
  snapmla_status status = SNAPMLA_OK;
  if (r->blank && !r->line_start) status = smla_buffer_append(r->out, " ", 1);
  r->blank = r->line_start = 0;
  return status ? status : smla_buffer_append(r->out, text, length);
}

static snapmla_status end_line(reader *r) {
  r->at++;
  r->blank = 1;
  if (!r->in_directive) return SNAPMLA_OK;
  r->in_directive = r->blank = 0;
  r->line_start = 1;
  return smla_buffer_append(r->out, "\n", 1);
}

/* A '#' that is the first of its line. */
static snapmla_status begin_directive(reader *r) {
  snapmla_status status = r->line_start ? SNAPMLA_OK : smla_buffer_append(r->out, "\n", 1);
  r->line_start = 1;
  r->in_directive = 1;
  return status ? status : put(r, r->at++, 1);
}

snapmla_status renew_text_strip(const char *text, smla_buffer *out) {
  reader r = {.at = text, .out = out, .line_start = 1};
  snapmla_status status = SNAPMLA_OK;
  int first = 1; /* nothing but blanks and comments stands in this line of the text */
  while (*r.at && !status) {
    const char *after = skip_comment(r.at);
    if (after != r.at) {
      r.at = after;
      r.blank = 1;
    } else if (is_spliced(r.at)) { /* is nothing, not even a blank */
      r.at = strchr(r.at, '\n') + 1;
    } else if (*r.at == '\n') {
      status = end_line(&r);
      first = 1;
    } else if (isspace((unsigned char)*r.at)) {
      r.at++;
      r.blank = 1;
    } else if (*r.at == '/' && is_spliced(r.at + 1)) {
      return smla_fail(SNAPMLA_UNSUPPORTED,
                       "a kernel has a line that ends in '/\\', which this comparison does not read");
    } else if (*r.at == '#' && first) {
      status = begin_directive(&r);
      first = 0;
    } else {
      /* a word or a number with the digits' separators, a quoted text, or another character */
      const char *from = r.at;
      first = 0;
      if (is_word(*r.at)) {
        while (is_word(*r.at) || (*r.at == '\'' && isdigit((unsigned char)*from) && is_word(r.at[1]))) r.at++;
        if (*r.at == '"' && r.at[-1] == 'R')
          return smla_fail(SNAPMLA_UNSUPPORTED, "a kernel has a raw string, which this comparison does not read");
      } else {
        r.at = *from == '"' || *from == '\'' ? skip_quoted(from) : from + 1;
      }
      status = put(&r, from, (size_t)(r.at - from));
    }
  }
  return status;
}

snapmla_status renew_text_compare(const char *a, const char *b, int *same) {
  smla_buffer left = {0}, right = {0};
  snapmla_status status = renew_text_strip(a, &left);
  if (!status) status = renew_text_strip(b, &right);
  if (!status) *same = left.length == right.length && (!left.length || !memcmp(left.data, right.data, left.length));
  smla_buffer_free(&left);
  smla_buffer_free(&right);
  return status;
}
