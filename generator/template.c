#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "status.h"

/* Where the parser is. */
typedef struct parser {
  lua_State *L;
  smla_template *out;
  const char *text;
  smla_position position;
} parser;

static void fault(parser *p, const char *message) {
  p->out->broken = 1;
  smla_sandbox_report(p->L, p->position, message);
}

static void emit(parser *p, const char *text, size_t length) {
  smla_sandbox_check(p->L, smla_buffer_append(&p->out->chunk, text, length));
}

static void emit_text(parser *p, const char *text) { emit(p, text, strlen(text)); }

/* Room for one more element of a growing array. */
static void *grown(parser *p, void *array, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity) return array;
  size_t larger = *capacity ? 2 * *capacity : 64;
  void *result = realloc(array, larger * size);
  if (!result) smla_sandbox_raise(p->L, smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: parsing a template"));
  *capacity = larger;
  return result;
}

static void add_piece(parser *p, size_t offset, size_t length, int is_expression) {
  smla_template *t = p->out;
  t->pieces = grown(p, t->pieces, t->piece_count, &t->piece_capacity, sizeof *t->pieces);
  t->pieces[t->piece_count++] = (smla_piece){offset, length, is_expression};
  ++t->lines[t->line_count - 1].piece_count;
}

/* --- expressions ------------------------------------------------------------------------------------------------ */

/* The number of '=' of a long bracket that opens at text[at], or -1. */
static long long_bracket(const char *text, size_t at, size_t end) {
  size_t level = 0;
  while (at + 1 + level < end && text[at + 1 + level] == '=') ++level;
  return at + 1 + level < end && text[at + 1 + level] == '[' ? (long)level : -1;
}

/* The place after the string that opens at text[at]; `end` if it does not close. */
static size_t skip_string(const char *text, size_t at, size_t end) {
  char quote = text[at++];
  while (at < end && text[at] != quote) at += text[at] == '\\' ? 2 : 1;
  return at < end ? at + 1 : end;
}

static size_t skip_long_string(const char *text, size_t at, size_t end, size_t level) {
  for (at += level + 2; at < end; ++at) {
    if (text[at] != ']') continue;
    size_t equals = 0;
    while (at + 1 + equals < end && text[at + 1 + equals] == '=') ++equals;
    if (equals == level && at + 1 + level < end && text[at + 1 + level] == ']') return at + level + 2;
  }
  return end;
}

/* The '}' that closes the expression from `at`, or `end`: braces nest, and those in strings do not count. */
static size_t closing_brace(const char *text, size_t at, size_t end) {
  int depth = 0;
  while (at < end) {
    char c = text[at];
    long level = c == '[' ? long_bracket(text, at, end) : -1;
    if (level >= 0) {
      at = skip_long_string(text, at, end, (size_t)level);
      continue;
    }
    if (c == '"' || c == '\'') {
      at = skip_string(text, at, end);
      continue;
    }
    if (c == '}' && !depth) return at;
    depth += (c == '{') - (c == '}');
    ++at;
  }
  return end;
}

static int is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* _ENV would replace the environment in which an undefined name is an error. */
static void refuse_environment(parser *p, size_t at, size_t end) {
  static const char word[] = "_ENV";
  for (size_t i = at; i + 4 <= end; ++i)
    if (!memcmp(p->text + i, word, 4) && (i == at || !is_word(p->text[i - 1])) &&
        (i + 4 == end || !is_word(p->text[i + 4])))
      fault(p, "_ENV is not available to templates");
}

/* Compiles prefix + expression + suffix: 0 if it is not Lua, with Lua's message reported if `say`. */
static int compiles(parser *p, const char *prefix, size_t at, size_t length, const char *suffix, int say) {
  lua_State *L = p->L;
  lua_pushfstring(L, "%s", prefix);
  lua_pushlstring(L, p->text + at, length);
  lua_pushstring(L, suffix);
  lua_concat(L, 3);
  size_t total;
  const char *text = lua_tolstring(L, -1, &total);
  int code = luaL_loadbufferx(L, text, total, "=expression", "t");
  if (code == LUA_ERRMEM) smla_sandbox_memory_failed(L);
  if (code != LUA_OK && say) {
    const char *message = lua_tostring(L, -1), *place = message ? strstr(message, ": ") : NULL;
    lua_pushfstring(L, "${%s}: %s", lua_pushlstring(L, p->text + at, length < 60 ? length : 60),
                    place ? place + 2 : "not an expression");
    fault(p, lua_tostring(L, -1));
  }
  return code == LUA_OK;
}

/* Is it one whole expression? In parentheses it could still be "1) + (2", bare it could end in a comment. */
static int check_expression(parser *p, size_t at, size_t length) {
  int top = lua_gettop(p->L), fine = 0;
  size_t blanks = strspn(p->text + at, " \t");
  if (blanks >= length)
    fault(p, "${} without an expression");
  else if (compiles(p, "return ", at, length, "", 1))
    fine = compiles(p, "return (", at, length, ")", 1);
  lua_settop(p->L, top);
  return fine;
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

static void parse_text(parser *p, size_t at, size_t end) {
  char call[48];
  int length = snprintf(call, sizeof call, "do " SMLA_LINE_FUNCTION "(%d", p->position.line);
  emit(p, call, (size_t)length);
  int expressions = 0;
  while (at < end) {
    size_t open = at;
    while (open < end && !(p->text[open] == '$' && open + 1 < end && p->text[open + 1] == '{')) ++open;
    if (open > at) add_piece(p, at, open - at, 0);
    if (open == end) break;
    size_t first = open + 2, close = closing_brace(p->text, first, end);
    if (close == end) {
      fault(p, "'${' without its '}' on the same line");
      break;
    }
    if (++expressions > SMLA_TEMPLATE_MAX_EXPRESSIONS) {
      fault(p, "more than 200 ${} on one line");
      break;
    }
    refuse_environment(p, first, close);
    if (check_expression(p, first, close - first)) {
      add_piece(p, first, close - first, 1);
      emit_text(p, ",function()return ");
      emit(p, p->text + first, close - first);
      emit_text(p, " end");
    }
    at = close + 1;
  }
  emit_text(p, ")end");
}

/* One line of the file, [at, end) without its newline. */
static void parse_line(parser *p, size_t at, size_t end) {
  size_t first = at;
  while (first < end && (p->text[first] == ' ' || p->text[first] == '\t')) ++first;
  int control = first < end && p->text[first] == '%';
  for (size_t i = at; i < end; ++i)
    if (((unsigned char)p->text[i] < ' ' && p->text[i] != '\t') || p->text[i] == 127) {
      fault(p, "a control character: templates are plain text");
      return;
    }
  if (!control) {
    parse_text(p, at, end);
  } else if (first + 1 < end && p->text[first + 1] == '%') {
    if (first > at) add_piece(p, at, first - at, 0);
    parse_text(p, first + 1, end);
  } else {
    refuse_environment(p, first + 1, end);
    emit(p, p->text + first + 1, end - first - 1);
  }
}

void smla_template_parse(lua_State *L, long file, smla_template *out) {
  const smla_template_file *source = smla_sandbox_of(L)->store->files + file;
  parser p = {.L = L, .out = out, .text = source->text, .position = {file, 0}};
  out->parsed = 1;
  size_t at = 0;
  while (at < source->length) {
    const char *newline = memchr(source->text + at, '\n', source->length - at);
    size_t next = newline ? (size_t)(newline - source->text) + 1 : source->length, end = newline ? next - 1 : next;
    if (end > at && source->text[end - 1] == '\r') --end;
    ++p.position.line;
    out->lines = grown(&p, out->lines, out->line_count, &out->line_capacity, sizeof *out->lines);
    out->lines[out->line_count++] = (smla_line){out->piece_count, 0};
    parse_line(&p, at, end);
    emit_text(&p, "\n");
    at = next;
  }
}

void smla_template_free(smla_template *parsed) {
  smla_buffer_free(&parsed->chunk);
  free(parsed->pieces);
  free(parsed->lines);
  *parsed = (smla_template){0};
}
