#include "generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enumerate_run.h"
#include "expand.h"
#include "generator_make.h"
#include "hash.h"
#include "memo.h"
#include "space.h"
#include "status.h"

struct smla_generator {
  smla_store store;
  const char **families; /* sorted, NULL-terminated; each owned */
  size_t family_count;
  char (*digests)[SMLA_HASH_HEX]; /* of each file of the store */
  smla_memo *memo;                /* of what resolve, describe and entry answered */
};

/* --- making ----------------------------------------------------------------------------------------------------- */

/* "name/space.lua" is what makes a folder a family. */
static snapmla_status add_family(smla_generator *generator, const char *path) {
  const char *slash = strchr(path, '/');
  if (!slash || strcmp(slash, "/space.lua")) return SNAPMLA_OK;
  char name[SMLA_NAME_MAX + 1];
  size_t length = (size_t)(slash - path);
  if (length <= SMLA_NAME_MAX) {
    memcpy(name, path, length);
    name[length] = 0;
  }
  if (length > SMLA_NAME_MAX || !smla_name_is_plain(name))
    return smla_fail(SNAPMLA_BAD_FORMAT,
                     "template file '%s': a family's folder is named by a-z 0-9 _ up to %d characters", path,
                     SMLA_NAME_MAX);
  char *copy = malloc(length + 1);
  if (!copy) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the family '%s'", name);
  memcpy(copy, name, length + 1);
  generator->families[generator->family_count++] = copy;
  return SNAPMLA_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void take_digests(smla_generator *generator) {
  for (size_t i = 0; i < generator->store.count; ++i)
    smla_hash_buffer(generator->store.files[i].text, generator->store.files[i].length, generator->digests[i]);
}

snapmla_status smla_generator_make(const smla_template_file *files, size_t count, const char *directory,
                                   smla_generator **out) {
  *out = NULL;
  snapmla_status status = SNAPMLA_OK;
  smla_generator *generator = calloc(1, sizeof *generator);
  if (!generator) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a generator");
  for (size_t i = 0; i < count && !status; ++i)
    status = smla_store_put(&generator->store, files[i].path, files[i].text, files[i].length);
  if (!status && directory) status = smla_store_read_directory(&generator->store, directory);
  if (status) goto out;
  generator->families = calloc(generator->store.count + 1, sizeof *generator->families);
  generator->memo = malloc(sizeof *generator->memo);
  if (generator->memo) smla_memo_init(generator->memo);
  generator->store.chunks = malloc(sizeof *generator->store.chunks);
  if (generator->store.chunks) smla_memo_init(generator->store.chunks);
  generator->digests = calloc(generator->store.count + 1, sizeof *generator->digests);
  if (!generator->families || !generator->memo || !generator->store.chunks || !generator->digests) {
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the list of families");
    goto out;
  }
  take_digests(generator);
  for (size_t i = 0; i < generator->store.count && !status; ++i)
    status = add_family(generator, generator->store.files[i].path);
  qsort(generator->families, generator->family_count, sizeof *generator->families, compare_names);
out:
  if (status)
    smla_generator_destroy(generator);
  else
    *out = generator;
  return status;
}

snapmla_status smla_generator_create(const char *templates, smla_generator **out) {
  return smla_generator_make(smla_embedded_templates, smla_embedded_template_count, templates, out);
}

void smla_generator_destroy(smla_generator *generator) {
  if (!generator) return;
  for (size_t i = 0; i < generator->family_count; ++i) free((char *)generator->families[i]);
  free(generator->families);
  if (generator->memo) smla_memo_clear(generator->memo);
  free(generator->memo);
  free(generator->digests);
  smla_store_free(&generator->store);
  free(generator);
}

const char *const *smla_generator_families(const smla_generator *generator) { return generator->families; }

/* --- asking ----------------------------------------------------------------------------------------------------- */

/* What a call asks of a family's space; the body runs in the sandbox and answers into `text` or `quantities`. */
typedef struct request {
  const char *family;
  const smla_setting *settings;
  size_t setting_count;
  const char *override_text;
  smla_buffer text; /* or bytes: of an array of smla_quantity */
} request;

static snapmla_status check_family(const smla_generator *generator, const char *family) {
  smla_buffer known = {0};
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < generator->family_count; ++i)
    if (!strcmp(generator->families[i], family)) goto out;
  for (size_t i = 0; i < generator->family_count && !status; ++i)
    status = smla_buffer_printf(&known, "%s%s", i ? ", " : "", generator->families[i]);
  if (!status)
    status = smla_fail(SNAPMLA_INVALID_ARGUMENT, "there is no kernel family '%.64s'; the families: %.2000s", family,
                       known.data ? known.data : "none");
out:
  smla_buffer_free(&known);
  return status;
}

static snapmla_status check_variant_family(const smla_generator *generator, const char *variant,
                                           char family[SMLA_NAME_MAX + 1]) {
  if (!variant) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "a variant text is needed: family:axis=value,axis=value");
  snapmla_status status = smla_variant_family(variant, family);
  return status ? status : check_family(generator, family);
}

/* The key of what is asked, under the name of who asks. */
static void question_of(const char *call, const request *asked, char key[SMLA_HASH_HEX]) {
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_text(&hash, call);
  smla_hash_field_text(&hash, asked->family);
  for (size_t i = 0; i < asked->setting_count; ++i) {
    smla_hash_field_text(&hash, asked->settings[i].name ? asked->settings[i].name : "");
    smla_hash_field_text(&hash, asked->settings[i].value ? asked->settings[i].value : "");
  }
  smla_hash_field_text(&hash, asked->override_text ? asked->override_text : "");
  smla_hash_finish(&hash, key);
}

/* Appends the answer of `body`, its text, to `out`: from the memo where `call` was asked the same before. A failure is not kept. */
static snapmla_status ask(const smla_generator *generator, const char *call, lua_CFunction body, request *asked,
                          smla_buffer *out) {
  char key[SMLA_HASH_HEX];
  question_of(call, asked, key);
  if (smla_memo_get(generator->memo, key, out)) return SNAPMLA_OK;
  smla_sandbox sandbox;
  snapmla_status status = smla_sandbox_open(&sandbox, &generator->store);
  if (!status) status = smla_sandbox_run(&sandbox, body, asked);
  smla_sandbox_close(&sandbox);
  if (!status) status = smla_buffer_append(out, asked->text.data ? asked->text.data : "", asked->text.length);
  if (!status) smla_memo_put(generator->memo, key, &asked->text);
  smla_buffer_free(&asked->text);
  return status;
}

static smla_space *load_and_evaluate(lua_State *L, const request *asked, smla_point *point) {
  smla_space *space = smla_space_load(L, asked->family);
  smla_variant_choose(L, space, asked->settings, asked->setting_count, asked->override_text, point);
  smla_space_evaluate(L, space, point);
  return space;
}

static int resolve_body(lua_State *L) {
  request *asked = lua_touserdata(L, 1);
  smla_point point;
  const smla_space *space = load_and_evaluate(L, asked, &point);
  smla_sandbox_check(L, smla_variant_text(space, &point, &asked->text));
  return 0;
}

snapmla_status smla_generator_resolve(const smla_generator *generator, const char *family, const smla_setting *settings,
                                      size_t setting_count, const char *override_text, smla_buffer *out) {
  snapmla_status status = check_family(generator, family);
  if (status) return status;
  request asked = {
      .family = family, .settings = settings, .setting_count = setting_count, .override_text = override_text};
  return ask(generator, "resolve", resolve_body, &asked, out);
}

static int compare_quantities(const void *a, const void *b) {
  return strcmp(((const smla_quantity *)a)->name, ((const smla_quantity *)b)->name);
}

/* Appends the integers of the table at `index` as quantities. */
static void add_integers(lua_State *L, int index, request *asked) {
  index = lua_absindex(L, index);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (!lua_isinteger(L, -1)) continue;
    smla_quantity quantity = {.value = lua_tointeger(L, -1)};
    snprintf(quantity.name, sizeof quantity.name, "%s", lua_tostring(L, -2));
    smla_sandbox_check(L, smla_buffer_append(&asked->text, &quantity, sizeof quantity));
  }
}

static int describe_body(lua_State *L) {
  request *asked = lua_touserdata(L, 1);
  smla_point point;
  load_and_evaluate(L, asked, &point);
  add_integers(L, -1, asked);
  add_integers(L, -2, asked);
  qsort(asked->text.data, asked->text.length / sizeof(smla_quantity), sizeof(smla_quantity), compare_quantities);
  return 0;
}

snapmla_status smla_generator_describe(const smla_generator *generator, const char *variant, smla_quantity **out,
                                       size_t *count) {
  *out = NULL;
  *count = 0;
  char family[SMLA_NAME_MAX + 1];
  snapmla_status status = check_variant_family(generator, variant, family);
  if (status) return status;
  smla_buffer quantities = {0};
  status =
      ask(generator, "describe", describe_body, &(request){.family = family, .override_text = variant}, &quantities);
  if (!status) {
    *count = quantities.length / sizeof **out;
    *out = (smla_quantity *)smla_buffer_take(&quantities);
    if (!*out) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the quantities of a variant");
  }
  smla_buffer_free(&quantities);
  return status;
}

static int entry_body(lua_State *L) {
  request *asked = lua_touserdata(L, 1);
  smla_sandbox_check(L, smla_buffer_append_text(&asked->text, smla_space_load(L, asked->family)->entry));
  return 0;
}

snapmla_status smla_generator_entry(const smla_generator *generator, const char *family, smla_buffer *out) {
  snapmla_status status = check_family(generator, family);
  return status ? status : ask(generator, "entry", entry_body, &(request){.family = family}, out);
}

static int axes_body(lua_State *L) {
  request *asked = lua_touserdata(L, 1);
  const smla_space *space = smla_space_load(L, asked->family);
  for (size_t i = 0; i < space->axis_count; ++i) {
    const smla_axis *axis = space->axes + i;
    smla_sandbox_check(L, smla_buffer_printf(&asked->text, "%s\t%s\t", axis->name, axis->values[axis->default_index]));
    for (size_t k = 0; k < axis->value_count; ++k)
      smla_sandbox_check(L, smla_buffer_printf(&asked->text, "%s%s", k ? " " : "", axis->values[k]));
    smla_sandbox_check(L, smla_buffer_printf(&asked->text, "\t%s\n", axis->about));
  }
  return 0;
}

snapmla_status smla_generator_axes(const smla_generator *generator, const char *family, smla_buffer *out) {
  snapmla_status status = check_family(generator, family);
  return status ? status : ask(generator, "axes", axes_body, &(request){.family = family}, out);
}

snapmla_status smla_generator_enumerate(const smla_generator *generator, const char *family,
                                        const smla_setting *settings, size_t setting_count, const char *override_text,
                                        smla_variant_visit *visit, smla_variant_refuse *refuse, void *user) {
  snapmla_status status = check_family(generator, family);
  if (status) return status;
  smla_enumeration *all = calloc(1, sizeof *all);
  if (!all) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the variants of %s", family);
  all->family = family;
  all->settings = settings;
  all->setting_count = setting_count;
  all->override_text = override_text;
  all->visit = visit;
  all->refuse = refuse;
  all->user = user;
  smla_sandbox sandbox;
  status = smla_sandbox_open(&sandbox, &generator->store);
  if (!status) status = smla_sandbox_run(&sandbox, smla_enumeration_run, all);
  smla_sandbox_close(&sandbox);
  smla_buffer_free(&all->text);
  free(all);
  return status;
}

/* --- expanding -------------------------------------------------------------------------------------------------- */

snapmla_status smla_generator_expand(const smla_generator *generator, const char *variant,
                                     const smla_expand_options *options, smla_buffer *out) {
  char family[SMLA_NAME_MAX + 1];
  snapmla_status status = check_variant_family(generator, variant, family);
  if (status) return status;
  smla_expansion expansion = {.variant = variant};
  if (options) expansion.options = *options;
  smla_sandbox sandbox;
  expansion.templates = calloc(generator->store.count, sizeof *expansion.templates);
  if (!expansion.templates) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an expansion");
  status = smla_sandbox_open(&sandbox, &generator->store);
  if (!status) status = smla_sandbox_run(&sandbox, smla_expansion_run, &expansion);
  smla_sandbox_close(&sandbox);
  if (!status) status = smla_buffer_append(out, expansion.text.data, expansion.text.length);
  for (size_t i = 0; i < generator->store.count; ++i) smla_template_free(expansion.templates + i);
  free(expansion.templates);
  smla_buffer_free(&expansion.text);
  return status;
}

/* --- identity --------------------------------------------------------------------------------------------------- */

static int is_read(const smla_generator *generator, const char *const *families, const char *path) {
  if (!families) return 1;
  for (; *families; ++families)
    if (smla_store_may_read(&generator->store, *families, path)) return 1;
  return 0;
}

snapmla_status smla_generator_digest(const smla_generator *generator, const char *const *families,
                                     char hex[SMLA_HASH_HEX]) {
  for (size_t i = 0; families && families[i]; ++i) {
    snapmla_status status = check_family(generator, families[i]);
    if (status) return status;
  }
  smla_hash hash;
  smla_hash_start(&hash);
  for (size_t i = 0; i < generator->store.count; ++i) {
    if (!is_read(generator, families, generator->store.files[i].path)) continue;
    smla_hash_field_text(&hash, generator->store.files[i].path);
    smla_hash_field_text(&hash, generator->digests[i]);
  }
  smla_hash_finish(&hash, hex);
  return SNAPMLA_OK;
}
