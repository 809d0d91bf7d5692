/* Whether two cubins are the same machine code: all that is loaded, and what the driver is told of it. */
#ifndef SNAPMLA_BENCH_RENEW_MACHINE_CODE_H
#define SNAPMLA_BENCH_RENEW_MACHINE_CODE_H

#include <stddef.h>

#include <snapmla/status.h>

/* Compares them section by section: names, types, flags, sizes and bytes. What symbols are called is left out (.strtab and the
 * names' places in .symtab) but for those that are defined elsewhere, and so is what debuggers and people are told (.debug_…, .note.…, .shstrtab). Two that differ in the order of
 * their symbols alone count as different. *same: nonzero where they are the same. Error: BAD_FORMAT (not a cubin). */
snapmla_status renew_code_compare(const void *a, size_t a_bytes, const void *b, size_t b_bytes, int *same);

#endif
