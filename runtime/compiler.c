#include "compiler.h"

#include <stdio.h>
#include <string.h>

#include "status.h"

const smla_compiler *smla_compiler_of(snapmla_target target) {
  static const smla_compiler *const compilers[] = {&smla_compiler_sm90a, &smla_compiler_host};
  for (size_t i = 0; i < sizeof compilers / sizeof *compilers; i++)
    if (compilers[i]->target == target) return compilers[i];
  return NULL;
}

static const char *find_in_line(const char *line, size_t length, const char *word) {
  return memmem(line, length, word, strlen(word));
}

snapmla_status smla_compiler_failed(const char *compiler, const char *name, const char *log) {
  for (const char *line = log ? log : ""; *line;) {
    size_t length = strcspn(line, "\n");
    if (find_in_line(line, length, "error") || find_in_line(line, length, "fatal"))
      return smla_fail(SNAPMLA_COMPILE, "%s does not compile %s: %.*s", compiler, name,
                       (int)(length < 1024 ? length : 1024), line);
    line += length + (line[length] == '\n');
  }
  return smla_fail(SNAPMLA_COMPILE, "%s does not compile %s; the compile log has its words", compiler, name);
}
