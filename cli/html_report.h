/* What tune and bench found, as one HTML file that refers to no other (--report). */
#ifndef SMLA_CLI_HTML_REPORT_H
#define SMLA_CLI_HTML_REPORT_H

#include <jansson.h>

#include <snapmla/status.h>

/* Of tune: `root` is what tune --json prints, `rows` what explain --json prints as variants, the winner first.
 * Writes `path` whole or not at all. Errors: OUT_OF_MEMORY, IO. */
snapmla_status smla_html_report_tune(const char *path, const json_t *root, const json_t *rows);

/* Of bench: `root` is what bench --json prints, seconds by name. `problem`: for the title. */
snapmla_status smla_html_report_bench(const char *path, const char *problem, const json_t *root);

#endif
