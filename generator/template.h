/* A template file, parsed: its lines as pieces of text and expressions, and the Lua chunk that walks over them.
 *
 * The chunk has exactly one line for each line of the file: a control line verbatim, a text line as
 *   do __smla_line(<line>, function() return <expression> end, ...) end
 * so whatever Lua says about a line of the chunk is true of the line of the file. */
#ifndef SMLA_GENERATOR_TEMPLATE_H
#define SMLA_GENERATOR_TEMPLATE_H

#include "sandbox.h"

#define SMLA_LINE_FUNCTION "__smla_line"

enum { SMLA_TEMPLATE_MAX_EXPRESSIONS = 200 }; /* of one line: a call has only so many arguments */

/* A part of a line: bytes [offset, offset + length) of the file. */
typedef struct smla_piece {
  size_t offset, length;
  int is_expression;
} smla_piece;

typedef struct smla_line {
  size_t first_piece, piece_count;
} smla_line;

typedef struct smla_template {
  int parsed, broken; /* broken: a syntax error was reported, do not run */
  smla_buffer chunk;
  smla_piece *pieces;
  smla_line *lines; /* line n is lines[n - 1]; a control line has no pieces and is never asked for */
  size_t piece_count, piece_capacity, line_count, line_capacity;
} smla_template;

/* Parses store file `file` into *out; syntax errors are reported, each at its line. Throws for want of memory; what was
 * allocated is then in *out. */
void smla_template_parse(lua_State *L, long file, smla_template *out);
void smla_template_free(smla_template *parsed);

#endif
