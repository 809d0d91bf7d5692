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
#include "problems_file.h"

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

/* Adds a problem's name to those that a kernel is for. */
static snapmla_status add_user(char **users, const char *name) {
  size_t length = name ? strlen(name) : 0;
  for (const char *at = *users; name && at; at = strstr(at, ", ") ? strstr(at, ", ") + 2 : NULL)
    if (!strncmp(at, name, length) && (!at[length] || at[length] == ',')) return SNAPMLA_OK;
  if (!name) return SNAPMLA_OK;
  size_t before = *users ? strlen(*users) : 0;
  char *grown = realloc(*users, before + length + 3);
  if (!grown) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the list of kernels");
  snprintf(grown + before, length + 3, "%s%s", before ? ", " : "", name);
  *users = grown;
  return SNAPMLA_OK;
}

/* The problem that kernels are resolved for: one of attention, or a layer's. */
typedef struct request {
  const snapmla_problem *problem;
  const snapmla_layer_problem *layer; /* or NULL */
  const char *name;                   /* NULL: none */
} request;

/* Adds a kernel, or a user to one that is there. */
static snapmla_status add_kernel(smla_kernels *kernels, request of, const char *variant, size_t length) {
  for (size_t i = 0; i < kernels->count; ++i)
    if (!strncmp(kernels->variants[i], variant, length) && !kernels->variants[i][length])
      return add_user(&kernels->users[i], of.name);
  char *copy = strndup(variant, length);
  char **grown = realloc(kernels->variants, (kernels->count + 1) * sizeof *grown);
  if (grown) kernels->variants = grown;
  char **users = realloc(kernels->users, (kernels->count + 1) * sizeof *users);
  if (users) kernels->users = users;
  if (!copy || !grown || !users) {
    free(copy);
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the list of kernels");
  }
  users[kernels->count] = NULL;
  grown[kernels->count] = copy;
  return add_user(&users[kernels->count++], of.name);
}

static int is_of(const char *variant, const char *family) {
  size_t length = strlen(family);
  return !strncmp(variant, family, length) && variant[length] == ':';
}

static int is_named(const smla_text_list *given, const char *variant) {
  size_t length = strcspn(variant, ":");
  for (size_t i = 0; i < given->count; ++i)
    if (!strncmp(given->items[i], variant, length) && given->items[i][length] == ':') return 1;
  return 0;
}

/* The kernels of a layer's plan: of one family, or (NULL) of all that `but` does not name. */
static snapmla_status add_layer(smla_kernels *kernels, request of, const char *family, const smla_text_list *but,
                                const char *text) {
  char *lines = NULL;
  int any = 0;
  snapmla_status status =
      smla_library_status(snapmla_layer_variants_resolve(&kernels->options, of.layer, text, &lines));
  for (const char *at = lines, *end; !status && at && (end = strchr(at, '\n')); at = end + 1) {
    if (family ? !is_of(at, family) : is_named(but, at)) continue;
    status = add_kernel(kernels, of, at, (size_t)(end - at));
    any = 1;
  }
  if (!status && family && !any)
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "--family %.80s: a layer's plan has no such kernel: leave --family out to see which it "
                               "has",
                               family);
  snapmla_text_free(lines);
  return status;
}

/* The kernels of a family with an override. */
static snapmla_status add(smla_kernels *kernels, request of, const char *family, const char *text) {
  if (of.layer) return add_layer(kernels, of, family, NULL, text);
  char *variant = NULL;
  snapmla_status status =
      smla_library_status(snapmla_variant_resolve(&kernels->options, of.problem, family, text, &variant));
  if (!status) status = add_kernel(kernels, of, variant, strlen(variant));
  snapmla_text_free(variant);
  return status;
}

/* One --variant: "family:axis=value,…", or without a family where --family names one. */
static snapmla_status add_variant(smla_kernels *kernels, request of, const char *only, const char *text) {
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
    status = add(kernels, of, family, whole);
  }
  free(family);
  free(whole);
  return status;
}

/* The kernels that the settings ask for, of one problem. */
static snapmla_status add_problem(const smla_settings *settings, request of, smla_kernels *out) {
  const char *only = settings->family && strcmp(settings->family, "all") ? settings->family : NULL;
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < settings->variants.count && !status; ++i)
    status = add_variant(out, of, only, settings->variants.items[i]);
  if (!status && !settings->variants.count && only) status = add(out, of, only, NULL);
  /* --variant without --family means its family; with --family all, the others too */
  if (status || only || (!settings->family && settings->variants.count)) return status;
  if (of.layer) return add_layer(out, of, NULL, &settings->variants, NULL);
  const char *const *families = snapmla_family_names();
  for (size_t f = 0; families[f] && !status; ++f) {
    size_t i = 0;
    while (i < settings->variants.count && !is_of(settings->variants.items[i], families[f])) ++i;
    if (i == settings->variants.count) status = add(out, of, families[f], NULL);
  }
  return status;
}

static snapmla_status add_problems(const smla_settings *settings, smla_kernels *out) {
  smla_problems problems;
  snapmla_status status = smla_problems_read(settings, &problems);
  for (size_t i = 0; i < problems.count && !status; ++i) {
    if (problems.requests[i].variant)
      status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                                 "problem %zu has a \"variant\", which is for export: give --variant, or leave it out",
                                 i + 1);
    const snapmla_pack_request *r = &problems.requests[i];
    if (!status) status = add_problem(settings, (request){r->problem, r->layer, problems.names[i]}, out);
  }
  smla_problems_free(&problems);
  return status;
}

/* The problem of the options. */
static snapmla_status add_options(const smla_settings *settings, smla_kernels *out) {
  snapmla_layer_problem layer;
  smla_lengths lengths = {0};
  snapmla_status status = smla_problem_layer_check(settings);
  if (!status && settings->context) status = smla_lengths_read(settings, settings->context, &lengths);
  if (!status) status = smla_layer_problem_read(settings, settings->context ? &lengths : NULL, &layer);
  if (!status)
    status = settings->layer ? smla_library_status(snapmla_layer_problem_check(&layer))
                             : smla_problem_verify(&layer.attention);
  if (!status) status = add_problem(settings, (request){&layer.attention, settings->layer ? &layer : NULL, NULL}, out);
  smla_lengths_free(&lengths);
  return status;
}

snapmla_status smla_kernels_resolve(const smla_settings *settings, smla_kernels *out) {
  *out = (smla_kernels){.options = {.size = sizeof out->options, .templates = settings->templates}};
  snapmla_status status = choose_target(settings, &out->options.target);
  if (!status) status = settings->problems || settings->set ? add_problems(settings, out) : add_options(settings, out);
  if (status) smla_kernels_free(out);
  return status;
}

void smla_kernels_free(smla_kernels *kernels) {
  for (size_t i = 0; i < kernels->count; ++i) {
    free(kernels->variants[i]);
    free(kernels->users[i]);
  }
  free(kernels->variants);
  free(kernels->users);
  kernels->variants = kernels->users = NULL;
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
