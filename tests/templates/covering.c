/* covering FAMILY [AXIS=VALUE,AXIS=VALUE]...: variants, one a line, that have among them every pair of axis values which is legal together; then a line "# pairs N
 * covered, M illegal". A pair is illegal if no completion of it is found; greedy, and the same each time. The
 * pairs named are none: what the family's rules allow and no problem asks for.
 *
 * Each variant begins with an uncovered pair; the other axes follow in a random order, each with the legal value that covers most. An axis
 * that waives rules, "limits", comes first and keeps them where that is legal, so that most pairs are held to their level's limits. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "generator.h"

enum { MOST_AXES = 32, MOST_VALUES = 16, TRIES = 200 };

typedef struct axis {
  char *name;
  char *values[MOST_VALUES];
  int count;
} axis;

static smla_generator *generator;
static const char *family;
static axis axes[MOST_AXES];
static int axis_count;
/* 0: not yet, 1: covered, 2: illegal */
static unsigned char pairs[MOST_AXES][MOST_VALUES][MOST_AXES][MOST_VALUES];

static char **excluded; /* "axis=value,axis=value", NULL-terminated */

static uint64_t seed = 1;
static int below(int n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (int)((seed >> 33) % (uint64_t)n);
}

/* "name\tdefault\tvalues with blanks between\tabout" on each line. */
static int read_axes(void) {
  smla_buffer text = {0};
  if (smla_generator_axes(generator, family, &text)) return 0;
  char *line_end;
  for (char *line = strtok_r(text.data, "\n", &line_end); line; line = strtok_r(NULL, "\n", &line_end)) {
    if (axis_count == MOST_AXES) return 0;
    axis *a = &axes[axis_count++];
    char *field_end, *value_end;
    a->name = strdup(strtok_r(line, "\t", &field_end));
    strtok_r(NULL, "\t", &field_end);
    char *values = strtok_r(NULL, "\t", &field_end);
    for (char *v = strtok_r(values, " ", &value_end); v && a->count < MOST_VALUES; v = strtok_r(NULL, " ", &value_end))
      a->values[a->count++] = strdup(v);
  }
  smla_buffer_free(&text);
  return axis_count > 0;
}

/* Nonzero where the variant's text has both parts of a pair that is excluded. */
static int is_excluded(const char *variant) {
  for (char **pair = excluded; *pair; pair++) {
    int found = 0;
    for (const char *part = *pair; part; part = strchr(part, ',') ? strchr(part, ',') + 1 : NULL) {
      size_t length = strcspn(part, ",");
      for (const char *at = strchr(variant, ':'); at; at = strchr(at + 1, ','))
        found += !strncmp(at + 1, part, length) && (!at[1 + length] || at[1 + length] == ',');
    }
    if (found == 2) return 1;
  }
  return 0;
}

/* Of axes with a choice (-1: none taken): whether there is a variant, and its text. */
static int resolve(const int chosen[MOST_AXES], smla_buffer *out) {
  smla_setting settings[MOST_AXES];
  size_t count = 0;
  for (int a = 0; a < axis_count; a++)
    if (chosen[a] >= 0) settings[count++] = (smla_setting){axes[a].name, axes[a].values[chosen[a]]};
  out->length = 0;
  return !smla_generator_resolve(generator, family, settings, count, NULL, out) && !is_excluded(out->data);
}

static int uncovered_with(const int chosen[MOST_AXES], int a, int value) {
  int count = 0;
  for (int b = 0; b < axis_count; b++)
    if (b != a && chosen[b] >= 0) count += !pairs[a][value][b][chosen[b]];
  return count;
}

/* Takes a value for axis `a`: of the legal ones that which covers most. 0 where none is legal. */
static int choose(int chosen[MOST_AXES], int a, smla_buffer *text) {
  int order[MOST_VALUES], gain[MOST_VALUES];
  for (int i = 0; i < axes[a].count; i++) order[i] = i, gain[i] = 16 * uncovered_with(chosen, a, i) + below(16);
  for (int i = 0; i < axes[a].count; i++)
    for (int j = i + 1; j < axes[a].count; j++)
      if (gain[order[j]] > gain[order[i]]) {
        int swap = order[i];
        order[i] = order[j], order[j] = swap;
      }
  for (int i = 0; i < axes[a].count; i++) {
    chosen[a] = order[i];
    if (resolve(chosen, text)) return 1;
  }
  chosen[a] = -1;
  return 0;
}

/* A random completion of the pair, if one is found to be legal: what the others' defaults forbid other values may allow. */
static int complete(int chosen[MOST_AXES], smla_buffer *text) {
  if (resolve(chosen, text)) return 1;
  int fixed[MOST_AXES];
  memcpy(fixed, chosen, sizeof fixed);
  for (int try = 0; try < TRIES; try++) {
    memcpy(chosen, fixed, sizeof fixed);
    for (int a = 0; a < axis_count; a++)
      if (chosen[a] < 0 && below(2)) chosen[a] = below(axes[a].count);
    if (resolve(chosen, text)) return 1;
  }
  memcpy(chosen, fixed, sizeof fixed);
  return 0;
}

static void mark(const int chosen[MOST_AXES], unsigned char how) {
  for (int a = 0; a < axis_count; a++)
    for (int b = 0; b < axis_count; b++)
      if (a != b && chosen[a] >= 0 && chosen[b] >= 0 && pairs[a][chosen[a]][b][chosen[b]] != 1)
        pairs[a][chosen[a]][b][chosen[b]] = how;
}

static void cover(int a, int i, int b, int j, smla_buffer *text) {
  int chosen[MOST_AXES], order[MOST_AXES];
  for (int k = 0; k < axis_count; k++) chosen[k] = -1, order[k] = k;
  chosen[a] = i;
  chosen[b] = j;
  if (!complete(chosen, text)) {
    mark(chosen, 2);
    return;
  }
  for (int k = axis_count - 1; k > 0; k--) {
    int other = below(k + 1), swap = order[k];
    order[k] = order[other], order[other] = swap;
  }
  for (int k = 0; k < axis_count; k++)
    if (chosen[k] < 0 && !strcmp(axes[k].name, "limits")) {
      chosen[k] = 0; /* kept */
      if (!resolve(chosen, text)) chosen[k] = -1;
    }
  for (int k = 0; k < axis_count; k++)
    if (chosen[order[k]] < 0) choose(chosen, order[k], text);
  if (!resolve(chosen, text)) return; /* cannot be: the last choice was legal */
  mark(chosen, 1);
  puts(text->data);
}

int main(int argc, char **argv) {
  smla_buffer text = {0};
  if (argc < 2) return fputs("usage: covering FAMILY [AXIS=VALUE,AXIS=VALUE]...\n", stderr), 2;
  family = argv[1];
  excluded = argv + 2;
  if (smla_generator_create(NULL, &generator) || !read_axes()) return 1;
  for (int a = 0; a < axis_count; a++)
    for (int b = a + 1; b < axis_count; b++)
      for (int i = 0; i < axes[a].count; i++)
        for (int j = 0; j < axes[b].count; j++)
          if (!pairs[a][i][b][j]) cover(a, i, b, j, &text);
  int covered = 0, illegal = 0;
  for (int a = 0; a < axis_count; a++)
    for (int b = a + 1; b < axis_count; b++)
      for (int i = 0; i < axes[a].count; i++)
        for (int j = 0; j < axes[b].count; j++) covered += pairs[a][i][b][j] == 1, illegal += pairs[a][i][b][j] == 2;
  printf("# pairs %d covered, %d illegal\n", covered, illegal);
  smla_buffer_free(&text);
  for (int a = 0; a < axis_count; a++) {
    free(axes[a].name);
    for (int i = 0; i < axes[a].count; i++) free(axes[a].values[i]);
  }
  smla_generator_destroy(generator);
  return 0;
}
