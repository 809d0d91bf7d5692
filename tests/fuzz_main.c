/* A fuzz target without libFuzzer: fuzz_x CORPUS ROUNDS runs every file of a directory, then ROUNDS changed copies of
 * them, the same ones each time. What it cannot do is learn; it keeps the corpus and the target alive in every build. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_FILES = 256, MOST_BYTES = 1 << 20 };

typedef struct seed {
  uint8_t *data;
  size_t size;
} seed;

static uint64_t random_state = 88172645463325252u;

/* Marsaglia's xorshift64. */
static size_t below(size_t limit) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (size_t)(random_state % limit);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int is_seed(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static seed read_seed(const char *directory, const char *name) {
  char path[4096];
  seed s = {malloc(MOST_BYTES), 0};
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "rb");
  if (file && s.data) s.size = fread(s.data, 1, MOST_BYTES, file);
  if (file) fclose(file);
  return s;
}

/* A few small changes: bits, bytes, numbers at their limits, a cut, a piece of another seed. */
static size_t change(const seed *seeds, size_t count, uint8_t *data, size_t size) {
  static const uint8_t limits[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  for (size_t n = 1 + below(4); n && size; n--) {
    size_t at = below(size), length = 1 + below(8);
    const seed *other = &seeds[below(count)];
    switch (below(5)) {
    case 0: data[at] ^= (uint8_t)(1u << below(8)); break;
    case 1: data[at] = (uint8_t)below(256); break;
    case 2: memset(data + at, limits[below(sizeof limits)], length < size - at ? length : size - at); break;
    case 3: size = below(4) ? size : at; break;
    default:
      if (other->size > at)
        memcpy(data + at, other->data + at, length < size - at && length < other->size - at ? length : 1);
    }
  }
  return size;
}

int main(int argc, char **argv) {
  struct dirent **names = NULL;
  static seed seeds[MOST_FILES];
  int count = argc == 3 ? scandir(argv[1], &names, is_seed, by_name) : -1;
  if (count < 1 || count > MOST_FILES) {
    fprintf(stderr, "usage: %s CORPUS ROUNDS, the corpus being a directory of 1 to %d files\n", argv[0], MOST_FILES);
    return 2;
  }
  for (int i = 0; i < count; i++) {
    seeds[i] = read_seed(argv[1], names[i]->d_name);
    free(names[i]);
    LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].size);
  }
  free(names);
  for (long round = strtol(argv[2], NULL, 10); round > 0; round--) {
    const seed *from = &seeds[below((size_t)count)];
    uint8_t *copy = malloc(from->size + 1);
    if (!copy) return 1;
    memcpy(copy, from->data, from->size);
    size_t size = change(seeds, (size_t)count, copy, from->size);
    uint8_t *exact = realloc(copy, size ? size : 1); /* exactly as long, so that a read past it is seen */
    LLVMFuzzerTestOneInput(exact ? exact : copy, size);
    free(exact ? exact : copy);
  }
  for (int i = 0; i < count; i++) free(seeds[i].data);
  printf("%d seeds, %s rounds\n", count, argv[2]);
  return 0;
}
