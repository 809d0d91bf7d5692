/* libFuzzer: any bytes as a template and, after a 0xff byte, as a space. Nothing but a status and a reason may come of it.
 * Run: fuzz_template -timeout=20 -rss_limit_mb=1024 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "generator.h"
#include "generator_make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char space[] =
      "return { family = 't', entry = 'e', about = 'a', axes = { { name = 'n', values = { 1, 2 }, default = 1, about = "
      "'n' } },"
      "rules = {}, derived = function(v) return { threads = v.n, smem_bytes = 0 } end }";
  const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
  size_t length = cut ? (size_t)(cut - data) : size;
  smla_template_file files[] = {
      {"p.inc", "p ${n}\n", 7},
      {"t/space.lua", cut ? (const char *)cut + 1 : space, cut ? size - length - 1 : sizeof space - 1},
      {"t/t.cu.tmpl", (const char *)data, length}};
  smla_generator *generator;
  if (smla_generator_make(files, 3, NULL, &generator)) abort();
  smla_buffer first = {0}, second = {0};
  smla_expand_options options = {.line_directives = 1};
  snapmla_status status = smla_generator_expand(generator, "t", &options, &first);
  if (smla_generator_expand(generator, "t", &options, &second) != status) abort();
  if (status ? first.data != NULL : first.length != second.length || memcmp(first.data, second.data, first.length))
    abort();
  if (status && !*snapmla_error_message()) abort();
  smla_buffer_free(&first);
  smla_buffer_free(&second);
  smla_generator_destroy(generator);
  return 0;
}
