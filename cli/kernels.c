#include "kernels.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "digest.h"
#include "library.h"
#include "problem.h"

static snapmla_status choose_target(const smla_settings *settings, snapmla_target *target) {
  int emulator = settings->device && !strcmp(settings->device, "emulator");
  if (settings->device && !emulator && strncmp(settings->device, "cuda:", 5))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--device %.80s: unknown: give cuda:N or emulator",
                             settings->device);
  *target = settings->target >= 0 ? (snapmla_target)settings->target
            : emulator            ? SNAPMLA_TARGET_EMULATOR
                                  : SNAPMLA_TARGET_SM90A;
  return SNAPMLA_OK;
}

static snapmla_status add(smla_kernels *kernels, const snapmla_problem *problem, const char *family, const char *text) {
  char *variant = NULL;
  snapmla_status status =
      smla_library_status(snapmla_variant_resolve(&kernels->options, problem, family, text, &variant));
  if (status) return status;
  for (size_t i = 0; i < kernels->count; ++i) {
    if (strcmp(kernels->variants[i], variant)) continue;
    snapmla_text_free(variant);
    return SNAPMLA_OK;
  }
  char **grown = realloc(kernels->variants, (kernels->count + 1) * sizeof *grown);
  if (!grown) {
    snapmla_text_free(variant);
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the list of kernels");
  }
  kernels->variants = grown;
  kernels->variants[kernels->count++] = variant;
  return SNAPMLA_OK;
}

/* One --variant: "family:axis=value,…", or without a family where --family names one. */
static snapmla_status add_variant(smla_kernels *kernels, const snapmla_problem *problem, const char *only,
                                  const char *text) {
  const char *colon = strchr(text, ':');
  size_t length = colon ? (size_t)(colon - text) : 0;
  if (!colon && !only)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--variant %.200s: it names no family: write FAMILY:%.200s or give --family", text, text);
  if (colon && only && (strlen(only) != length || memcmp(only, text, length)))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--variant %.200s is not of --family %.80s: give one of the two",
                             text, only);
  const char *family_source = colon ? text : only;
  if (!colon) length = strlen(only);
  char *family = strndup(family_source, length);
  size_t room = length + strlen(text) + 2;
  char *whole = malloc(room);
  snapmla_status status = SNAPMLA_OK;
  if (!family || !whole) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a variant's text");
  } else {
    snprintf(whole, room, "%s%s%s", colon ? "" : family, colon ? "" : ":", text);
    status = add(kernels, problem, family, whole);
  }
  free(family);
  free(whole);
  return status;
}

snapmla_status smla_kernels_resolve(const smla_settings *settings, smla_kernels *out) {
  snapmla_problem problem;
  smla_lengths lengths = {0};
  const char *only = settings->family && strcmp(settings->family, "all") ? settings->family : NULL;
  *out = (smla_kernels){.options = {.size = sizeof out->options, .templates = settings->templates}};
  snapmla_status status = choose_target(settings, &out->options.target);
  if (!status && settings->context) status = smla_lengths_read(settings, settings->context, &lengths);
  if (!status) status = smla_problem_read(settings, settings->context ? &lengths : NULL, &problem);
  if (!status) status = smla_problem_verify(&problem);
  for (size_t i = 0; i < settings->variants.count && !status; ++i)
    status = add_variant(out, &problem, only, settings->variants.items[i]);
  if (!status && !out->count && only) status = add(out, &problem, only, NULL);
  /* --variant without --family means its family; with --family all, the others too */
  if (!status && !only && (settings->family || !settings->variants.count)) {
    const char *const *families = snapmla_family_names();
    for (size_t f = 0; families[f] && !status; ++f) {
      size_t length = strlen(families[f]), i = 0;
      while (i < out->count && (strncmp(out->variants[i], families[f], length) || out->variants[i][length] != ':')) ++i;
      if (i == out->count) status = add(out, &problem, families[f], NULL);
    }
  }
  smla_lengths_free(&lengths);
  if (status) smla_kernels_free(out);
  return status;
}

void smla_kernels_free(smla_kernels *kernels) {
  for (size_t i = 0; i < kernels->count; ++i) snapmla_text_free(kernels->variants[i]);
  free(kernels->variants);
  kernels->variants = NULL;
  kernels->count = 0;
}

char *smla_kernel_file_name(const char *variant, const char *suffix) {
  enum { LONGEST = 180 }; /* of the 255 that file systems allow, the suffix and a temporary one aside */
  size_t length = strlen(variant), room = LONGEST + 20 + strlen(suffix);
  char *name = malloc(room);
  if (!name) {
    smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a file name");
    return NULL;
  }
  char hash[20] = "";
  if (length > LONGEST) snprintf(hash, sizeof hash, "-%016" PRIx64, smla_digest(SMLA_DIGEST_START, variant, length));
  snprintf(name, room, "%.*s%s%s", LONGEST, variant, hash, suffix);
  for (char *c = name; *c; ++c) {
    if (*c == ':' || *c == ',')
      *c = '-';
    else if (*c == '=' || *c == '/')
      *c = '_';
  }
  return name;
}
