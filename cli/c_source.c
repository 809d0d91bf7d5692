#include "c_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "library.h"
#include "output_file.h"

enum { BYTES_PER_LINE = 24 };

/* A stream that grows in memory, written at once when it is whole. */
typedef struct source {
  char *text;
  size_t length;
  FILE *stream;
} source;

static void write_array(FILE *out, const char *name, const unsigned char *data, size_t bytes) {
  fprintf(out, "static const unsigned char %s[%zu] = {", name, bytes);
  for (size_t i = 0; i < bytes; ++i) fprintf(out, "%s%u,", i % BYTES_PER_LINE ? "" : "\n    ", data[i]);
  fputs("\n};\n", out);
}

static int is_name(const char *name) {
  for (const char *c = name; *c; ++c) {
    int letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
    if (!letter && (c == name || *c < '0' || *c > '9')) return 0;
  }
  return *name != 0;
}

/* "out/my-kernels.c" gives "my_kernels". */
static char *name_of(const char *path) {
  const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
  size_t length = strcspn(start, ".");
  char *name = strndup(start, length);
  for (char *c = name; c && *c; ++c)
    if (*c == '-') *c = '_';
  return name;
}

/* The parts follow one another in the file: what precedes the first kernel, each kernel with the padding after it, and
 * with the last one what else there is. */
static snapmla_status write_parts(FILE *out, const snapmla_pack *pack, int32_t count, const char *name,
                                  const unsigned char *data, size_t bytes) {
  size_t *starts = calloc((size_t)count + 1, sizeof *starts);
  snapmla_status status = SNAPMLA_OK;
  if (!starts) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the C source");
  enum { ALIGNMENT = 64 }; /* of a pack's kernels */
  size_t end = bytes;
  snapmla_pack_info info = {.size = sizeof info};
  status = smla_library_status(snapmla_pack_info_get(pack, &info));
  if (!status && info.is_signed) end -= 64;
  /* from the last backwards: each kernel ends at a multiple of the alignment */
  for (int32_t i = count; i-- > 0 && !status;) {
    snapmla_pack_artifact a = {.size = sizeof a};
    status = smla_library_status(snapmla_pack_artifact_get(pack, i, &a));
    end -= ((size_t)a.stored_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    starts[i] = end;
  }
  starts[count] = bytes;
  if (!status) {
    fputs("/* Header and index. */\n", out);
    write_array(out, "head", data, starts[0]);
  }
  for (int32_t i = 0; i < count && !status; ++i) {
    char array[32];
    snapmla_pack_artifact a = {.size = sizeof a};
    status = smla_library_status(snapmla_pack_artifact_get(pack, i, &a));
    if (status) break;
    fprintf(out, "\n/* %s for %s, %lld bytes%s */\n", a.variant, a.target, (long long)a.image_bytes,
            a.is_compressed ? ", packed" : "");
    snprintf(array, sizeof array, "kernel_%d", (int)i);
    write_array(out, array, data + starts[i], starts[i + 1] - starts[i]);
  }
  fputs("\nstatic const snapmla_pack_part parts[] = {\n    {head, sizeof head},\n", out);
  for (int32_t i = 0; i < count; ++i) fprintf(out, "    {kernel_%d, sizeof kernel_%d},\n", (int)i, (int)i);
  fprintf(out, "};\n\nextern const snapmla_pack_source %s;\nconst snapmla_pack_source %s = {parts, %d};\n", name, name,
          (int)count + 1);
  free(starts);
  return status;
}

snapmla_status smla_c_source_write(const char *path, const char *name, const unsigned char *data, size_t bytes) {
  snapmla_pack *pack = NULL;
  snapmla_pack_info info = {.size = sizeof info};
  source s = {0};
  char *made = name ? NULL : name_of(path);
  const char *used = name ? name : made;
  snapmla_status status = SNAPMLA_OK;
  if (!used) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the C source");
  if (!status && !is_name(used))
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "\"%.80s\" is no name in C: give --c-name one", used);
  if (!status) status = smla_library_status(snapmla_pack_open_memory(data, bytes, NULL, &pack));
  if (!status) status = smla_library_status(snapmla_pack_info_get(pack, &info));
  if (!status && !(s.stream = open_memstream(&s.text, &s.length)))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the C source");
  if (!status) {
    fprintf(s.stream,
            "/* %d kernels of snapmla for %d problems, made by snapmla export --c-source. Digest %.16s.\n"
            " *\n"
            " *     extern const snapmla_pack_source %s;\n"
            " *     snapmla_pack_open_source(&%s, NULL, &pack);\n"
            " */\n"
            "#include <snapmla/pack.h>\n\n",
            info.artifact_count, info.plan_count, info.digest, used, used);
    status = write_parts(s.stream, pack, info.artifact_count, used, data, bytes);
  }
  int short_of_memory = s.stream && (ferror(s.stream) | fclose(s.stream));
  if (!status && short_of_memory) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the C source");
  if (!status) status = smla_output_file_save(path, s.text, s.length);
  free(s.text);
  free(made);
  snapmla_pack_close(pack);
  return status;
}
