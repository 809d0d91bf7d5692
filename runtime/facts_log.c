#include <stdlib.h>
#include <string.h>

#include "facts.h"

/* ptxas' remarks on wgmma that it had to serialise; they come as "info", not as "warning". */
static const char *const serialization_codes[] = {"C7510", "C7512", "C7514"};

static const char *find(const char *line, size_t length, const char *word) {
  return memmem(line, length, word, strlen(word));
}

/* The number that stands before `unit`, as in "48 bytes spill stores"; -1 where the line has no such thing. */
static long number_before(const char *line, size_t length, const char *unit) {
  const char *end = find(line, length, unit);
  if (!end) return -1;
  const char *start = end;
  while (start > line && start[-1] >= '0' && start[-1] <= '9') start--;
  return start == end ? -1 : strtol(start, NULL, 10);
}

static int says_serialized(const char *line, size_t length) {
  for (size_t i = 0; i < sizeof serialization_codes / sizeof *serialization_codes; i++)
    if (find(line, length, serialization_codes[i])) return 1;
  return find(line, length, "wgmma") && find(line, length, "serialized");
}

/* "file:3:4: warning: …", "file(3): warning #177-D: …", "ptxas warning : …" */
static int says_warning(const char *line, size_t length) {
  return find(line, length, "warning:") || find(line, length, "warning :") || find(line, length, "warning #");
}

void smla_facts_read_log(const char *log, smla_facts *facts, int *tells_spills) {
  *tells_spills = 0;
  for (const char *line = log ? log : ""; *line;) {
    size_t length = strcspn(line, "\n");
    int serialized = says_serialized(line, length);
    if (serialized) facts->serialized_wgmma = 1;
    if (serialized || says_warning(line, length)) facts->warnings++;
    long registers = find(line, length, "Used ") ? number_before(line, length, " registers") : -1;
    if (registers > facts->registers) facts->registers = (int32_t)registers;
    long stack = number_before(line, length, " bytes stack frame");
    if (stack > facts->stack_bytes) facts->stack_bytes = (int32_t)stack;
    long stores = number_before(line, length, " bytes spill stores");
    long loads = number_before(line, length, " bytes spill loads");
    if (stores >= 0 || loads >= 0) *tells_spills = 1;
    facts->spill_bytes += (int32_t)((stores > 0 ? stores : 0) + (loads > 0 ? loads : 0));
    line += length + (line[length] == '\n');
  }
}
