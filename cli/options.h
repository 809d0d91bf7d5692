/* The command line: one table of commands, one of options. */
#ifndef SMLA_CLI_OPTIONS_H
#define SMLA_CLI_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include <snapmla/status.h>

#include "console.h"
#include "settings.h"

/* Bits of smla_option.commands. */
enum {
  SMLA_FOR_GEN = 1,
  SMLA_FOR_BUILD = 2,
  SMLA_FOR_RUN = 4,
  SMLA_FOR_VERIFY = 8,
  SMLA_FOR_DOCTOR = 16,
  SMLA_FOR_HELP = 32,
  SMLA_FOR_VERSION = 64,
  SMLA_FOR_LAYER = 1 << 15,
  SMLA_FOR_ANALYZE = 1 << 12,
  SMLA_FOR_EXPORT = 1 << 16,
  SMLA_FOR_PACK = 1 << 17,
  SMLA_FOR_PACK_RUN = 1 << 18, /* the program snapmla-run */
  SMLA_FOR_TUNE = 1 << 19,
  SMLA_FOR_BENCH = 1 << 20,
  SMLA_FOR_EXPLAIN = 1 << 21,
  SMLA_FOR_MODEL = 1 << 22,
  SMLA_FOR_LS = 1 << 23,
  SMLA_FOR_GC = 1 << 24,
  SMLA_FOR_WISDOM = 1 << 25,
  SMLA_FOR_IMPORT = 1 << 26,
  SMLA_FOR_MERGE = 1 << 27,
  SMLA_FOR_FORGET = 1 << 28,
  SMLA_FOR_QUARANTINE = 1 << 29,
  SMLA_FOR_PLANNING = SMLA_FOR_TUNE | SMLA_FOR_BENCH | SMLA_FOR_EXPLAIN,
  SMLA_FOR_SELECTION = SMLA_FOR_LS | SMLA_FOR_WISDOM | SMLA_FOR_FORGET,
  SMLA_FOR_LAYERED = SMLA_FOR_GEN | SMLA_FOR_BUILD | SMLA_FOR_TUNE, /* --layer makes the problem a layer's */
  /* what expands templates */
  SMLA_FOR_SOURCES = SMLA_FOR_GEN | SMLA_FOR_BUILD | SMLA_FOR_RUN | SMLA_FOR_VERIFY | SMLA_FOR_PLANNING |
                     SMLA_FOR_MODEL | SMLA_FOR_LAYER,
  SMLA_FOR_DATA = SMLA_FOR_RUN | SMLA_FOR_VERIFY | SMLA_FOR_PACK_RUN,
  SMLA_FOR_PACKED = SMLA_FOR_DATA | SMLA_FOR_LAYER, /* kernels may come from a pack */
  SMLA_FOR_DEVICE = SMLA_FOR_SOURCES | SMLA_FOR_DATA,
  SMLA_FOR_PROBLEM = SMLA_FOR_DEVICE | SMLA_FOR_EXPORT,
  SMLA_FOR_ALL = 0x7fffffff
};

typedef struct smla_option smla_option;
struct smla_option {
  const char *name;     /* without the dashes */
  char letter;          /* of the short form, 0: none */
  const char *argument; /* as help shows it, NULL: a flag */
  const char *help;
  /* `text` is NULL for a flag; `field` points into the settings. */
  snapmla_status (*parse)(const smla_option *option, const char *text, void *field);
  size_t field;
  unsigned commands;
  double low, high;           /* of numbers, both included */
  const char *const *choices; /* of smla_parse_choice, NULL-terminated */
  /* The names of a value in the library, which help lists: 0 is the default, NULL is past the last. NULL: help says all. */
  const char *(*name_of)(int value);
};

typedef struct smla_command {
  const char *name, *summary;
  const char *detail; /* paragraphs below the usage line */
  unsigned bit;
  smla_exit (*run)(const smla_settings *settings);
  const char *operands; /* as help shows the words that are no options, NULL: there are none */
  const char *invoked;  /* how it is called, NULL: "snapmla NAME" */
} smla_command;

extern const smla_option smla_options[];   /* ends with a NULL name */
extern const smla_command smla_commands[]; /* ends with a NULL name */

extern const char *const smla_data_names[];   /* of smla_data_kind */
extern const char *const smla_target_names[]; /* of snapmla_target */
extern const char *const smla_order_names[];  /* of snapmla_emulator_order */
extern const char *const smla_effort_names[]; /* of snapmla_effort */
extern const char *const smla_weight_names[]; /* of snapmla_weight_type */
extern const char *const smla_pair_names[];   /* of snapmla_rope_pairs */
extern const char *const smla_output_names[]; /* generated, cublaslt */

/* How the command is called: "snapmla run". Valid until the next call. */
const char *smla_command_invoked(const smla_command *command);
/* NULL if there is none of that name. */
const smla_command *smla_command_find(const char *name);
/* Reads `count` words of argv into `settings`. Errors: INVALID_ARGUMENT, naming the option, the rule and, for an
 * unknown option, the nearest known one; OUT_OF_MEMORY. */
snapmla_status smla_options_parse(const smla_command *command, int count, char **argv, smla_settings *settings);

/* The name in `names` (NULL-terminated) nearest to `text`, NULL if none is near. */
const char *smla_nearest_name(const char *text, const char *const *names);

void smla_help_program(FILE *out);
void smla_help_command(FILE *out, const smla_command *command);

/* Parsers of the option table; each writes the type that its name says. */
snapmla_status smla_parse_flag(const smla_option *option, const char *text, void *field);   /* int */
snapmla_status smla_parse_count(const smla_option *option, const char *text, void *field);  /* int32_t */
snapmla_status smla_parse_seed(const smla_option *option, const char *text, void *field);   /* uint64_t */
snapmla_status smla_parse_real(const smla_option *option, const char *text, void *field);   /* double */
snapmla_status smla_parse_text(const smla_option *option, const char *text, void *field);   /* const char * */
snapmla_status smla_parse_list(const smla_option *option, const char *text, void *field);   /* smla_text_list */
snapmla_status smla_parse_choice(const smla_option *option, const char *text, void *field); /* int */

/* Error: OUT_OF_MEMORY. */
snapmla_status smla_list_add(smla_text_list *list, const char *text);

/* Strict numbers, for options and for files of lengths: nothing before or after the digits. Zero on success. */
int smla_read_integer(const char *text, size_t length, long long *number);

#endif
