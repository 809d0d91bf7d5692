#include "struct_size.h"

#include "status.h"

/* No public struct comes near this: a larger size is an uninitialised field, and is not read along. */
enum { LARGEST_SIZE = 4096 };

snapmla_status smla_struct_size_check(const char *name, const void *object, size_t given, size_t known) {
  if (given < known || given > LARGEST_SIZE)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: size is %zu, it must be at least %zu: set size = sizeof(%s)", name,
                     given, known, name);
  const unsigned char *bytes = object;
  for (size_t i = known; i < given; i++)
    if (bytes[i])
      return smla_fail(
          SNAPMLA_UNSUPPORTED,
          "%s: byte %zu, in a field of a newer version than this library, is set: zero it, or use the library "
          "of the headers",
          name, i);
  return SNAPMLA_OK;
}
