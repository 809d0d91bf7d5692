#include "html_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "output_file.h"

/* Every text goes through here, whoever wrote it. */
static void put(FILE *out, const char *text) {
  for (; text && *text; ++text) {
    switch (*text) {
    case '&': fputs("&amp;", out); break;
    case '<': fputs("&lt;", out); break;
    case '>': fputs("&gt;", out); break;
    case '"': fputs("&quot;", out); break;
    case '\'': fputs("&#39;", out); break;
    default: putc(*text, out);
    }
  }
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

/* 0 where there is none. */
static double number_of(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static void begin(FILE *out, const char *title) {
  fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>", out);
  put(out, title);
  fputs(
      "</title>\n<style>\n"
      "body{font:15px/1.5 sans-serif;max-width:76em;margin:2em auto;padding:0 1em;color:#222;background:#fff}\n"
      "table{border-collapse:collapse;margin:1em 0}\n"
      "th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #ddd;vertical-align:top}\n"
      "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
      "code{font-size:90%;overflow-wrap:anywhere}\n"
      ".bar{display:block;height:.7em;margin-top:.4em;background:#88a}\n"
      ".chosen{background:#e8f4e8}\n"
      ".reason{color:#666}\n"
      "</style>\n</head>\n<body>\n<h1>",
      out);
  put(out, title);
  fputs("</h1>\n", out);
}

static void end(FILE *out) { fputs("</body>\n</html>\n", out); }

static void fact(FILE *out, const char *name, const char *value) {
  if (!*value) return;
  fputs("<tr><th>", out);
  put(out, name);
  fputs("</th><td>", out);
  put(out, value);
  fputs("</td></tr>\n", out);
}

/* A cell of a number, and one of a bar of its part of the most. */
static void number_cell(FILE *out, double value, const char *format) {
  fputs("<td class=\"n\">", out);
  if (value > 0)
    fprintf(out, format, value);
  else
    fputs("&ndash;", out);
  fputs("</td>", out);
}

static void bar_cell(FILE *out, double value, double most) {
  fputs("<td>", out);
  if (value > 0 && most > 0) fprintf(out, "<span class=\"bar\" style=\"width:%.2fem\"></span>", 12 * value / most);
  fputs("</td>", out);
}

static void tune_facts(FILE *out, const json_t *root) {
  char text[256];
  fputs("<table>\n", out);
  fact(out, "device", text_of(root, "device_class"));
  fact(out, "provenance", text_of(root, "provenance"));
  fact(out, "difference", text_of(root, "difference"));
  snprintf(text, sizeof text, "%.2f us a decode call, %s, effort %s", number_of(root, "time_us"),
           text_of(root, "time_kind"), text_of(root, "effort"));
  if (number_of(root, "time_us") > 0) fact(out, "time", text);
  snprintf(text, sizeof text, "%.0f requests of %.0f tokens in all", number_of(root, "timed_batch"),
           number_of(root, "timed_tokens"));
  if (number_of(root, "timed_batch") > 0) fact(out, "timed on", text);
  snprintf(text, sizeof text,
           "%.0f candidates, %.0f tried, %.0f failed, %.0f quarantined, %.0f timed, %.0f tied within %.1f %%, %.1f s%s",
           number_of(root, "candidates"), number_of(root, "tried"), number_of(root, "failed"),
           number_of(root, "quarantined"), number_of(root, "timed"), number_of(root, "tied"),
           100 * number_of(root, "noise"), number_of(root, "seconds"),
           json_is_true(json_object_get(root, "deadline_passed")) ? ", ended by the deadline" : "");
  fact(out, "search", number_of(root, "candidates") > 0 ? text : "none: the result was known");
  fact(out, "templates", text_of(root, "templates"));
  fact(out, "plan's fingerprint", text_of(root, "fingerprint"));
  fputs("</table>\n", out);
}

static void tune_row(FILE *out, const json_t *row, double best, double most) {
  double timed = number_of(row, "timed_us");
  const char *fate = text_of(row, "fate");
  fprintf(out, "<tr%s><td>", strcmp(fate, "chosen") ? "" : " class=\"chosen\"");
  put(out, fate);
  fputs("</td>", out);
  number_cell(out, number_of(row, "estimated_us"), "%.2f");
  number_cell(out, timed, "%.2f");
  number_cell(out, best > 0 ? timed / best : 0, "%.3f");
  bar_cell(out, timed, most);
  fputs("<td><code>", out);
  put(out, text_of(row, "variant"));
  fputs("</code>", out);
  if (*text_of(row, "reason")) {
    fputs("<br><span class=\"reason\">", out);
    put(out, text_of(row, "reason"));
    fputs("</span>", out);
  }
  fputs("</td></tr>\n", out);
}

static void write_tune(FILE *out, const json_t *root, const json_t *rows) {
  char title[300];
  snprintf(title, sizeof title, "snapmla tune: %s", text_of(root, "problem"));
  begin(out, title);
  tune_facts(out, root);
  fputs("<h2>What won</h2>\n<ul>\n", out);
  const json_t *variants = json_object_get(root, "variants");
  for (size_t i = 0; i < json_array_size(variants); ++i) {
    fputs("<li><code>", out);
    put(out, json_string_value(json_array_get(variants, i)));
    fputs("</code></li>\n", out);
  }
  fputs("</ul>\n<h2>What was tried, and by how much it lost</h2>\n", out);
  double best = 0, most = 0;
  for (size_t i = 0; i < json_array_size(rows); ++i) {
    const json_t *row = json_array_get(rows, i);
    double timed = number_of(row, "timed_us");
    if (!strcmp(text_of(row, "fate"), "chosen")) best = timed;
    if (timed > most) most = timed;
  }
  fputs(
      "<table>\n<tr><th>fate</th><th class=\"n\">model us</th><th class=\"n\">timed us</th><th class=\"n\">times the "
      "chosen</th><th></th><th>variant of the decode kernel</th></tr>\n",
      out);
  for (size_t i = 0; i < json_array_size(rows); ++i) tune_row(out, json_array_get(rows, i), best, most);
  fputs("</table>\n", out);
  end(out);
}

static void write_bench(FILE *out, const char *problem, const json_t *root) {
  char title[300];
  const char *name;
  json_t *value;
  double most = 0;
  snprintf(title, sizeof title, "snapmla bench: %s", problem);
  begin(out, title);
  fputs(
      "<p>How long a plan takes to make: in a fresh process with an empty store, in one with the store that the first "
      "left, and "
      "once more in the same process.</p>\n<table>\n<tr><th></th><th class=\"n\">ms</th><th class=\"n\">of the "
      "longest</th><th></th></tr>\n",
      out);
  json_t *times = (json_t *)root; /* the macro wants it so; nothing is changed */
  json_object_foreach(times, name, value) if (json_number_value(value) > most) most = json_number_value(value);
  json_object_foreach(times, name, value) {
    fputs("<tr><th>", out);
    put(out, name);
    fputs("</th>", out);
    number_cell(out, 1e3 * json_number_value(value), "%.2f");
    number_cell(out, most > 0 ? 100 * json_number_value(value) / most : 0, "%.1f %%");
    bar_cell(out, json_number_value(value), most);
    fputs("</tr>\n", out);
  }
  fputs("</table>\n", out);
  end(out);
}

/* `rows` is NULL for bench. */
static snapmla_status save(const char *path, const char *problem, const json_t *root, const json_t *rows) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  snapmla_status status = SNAPMLA_OK;
  if (out && rows) write_tune(out, root, rows);
  if (out && !rows) write_bench(out, problem, root);
  if (!out || ferror(out)) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the report");
  if (out && fclose(out) && !status) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the report");
  if (!status) status = smla_output_file_save(path, text, bytes);
  free(text);
  return status;
}

snapmla_status smla_html_report_tune(const char *path, const json_t *root, const json_t *rows) {
  return save(path, NULL, root, rows);
}

snapmla_status smla_html_report_bench(const char *path, const char *problem, const json_t *root) {
  return save(path, problem, root, NULL);
}
