/* How two packs differ. */
#include <stdio.h>
#include <string.h>

#include "json_output.h"
#include "library.h"
#include "pack_show.h"

/* One difference: said at once, or kept for the JSON. */
static void tell(json_t *list, const char *what, const char *where, const char *in_a, const char *in_b) {
  json_t *entry = json_object();
  smla_json_set(entry, "what", json_string(what));
  smla_json_set(entry, "where", smla_json_text(where));
  smla_json_set(entry, "a", in_a ? smla_json_text(in_a) : json_null());
  smla_json_set(entry, "b", in_b ? smla_json_text(in_b) : json_null());
  json_array_append_new(list, entry);
}

static void name_plan(const snapmla_pack_plan *plan, char *text, size_t room) {
  snprintf(text, room, "%s,max_batch=%d,max_context=%d on %s%s%s", plan->shape, plan->max_batch, plan->max_context,
           plan->target, *plan->device_class ? ", " : "", plan->device_class);
}

/* The plan of the same problem, target and device class. Nonzero if there is one. */
static int find_plan(const snapmla_pack *pack, int32_t count, const snapmla_pack_plan *like, snapmla_pack_plan *out) {
  for (int32_t i = 0; i < count; ++i) {
    *out = (snapmla_pack_plan){.size = sizeof *out};
    if (!snapmla_pack_plan_get(pack, i, out) && !strcmp(out->target, like->target) &&
        !strcmp(out->shape, like->shape) && !strcmp(out->device_class, like->device_class) &&
        out->max_batch == like->max_batch && out->max_context == like->max_context)
      return 1;
  }
  return 0;
}

/* The kernel that the plan has for `role`. Nonzero if there is one. */
static int find_kernel(const snapmla_pack *pack, const snapmla_pack_plan *plan, const char *role,
                       snapmla_pack_artifact *out) {
  for (int32_t i = 0; i < plan->kernel_count; ++i) {
    *out = (snapmla_pack_artifact){.size = sizeof *out};
    if (!strcmp(plan->roles[i], role) && !snapmla_pack_artifact_get(pack, plan->kernels[i], out)) return 1;
  }
  return 0;
}

/* What two plans of one problem were chosen by. */
static void compare_origins(const snapmla_pack_plan *a, const snapmla_pack_plan *b, const char *where, json_t *list) {
  char texts[2][1200];
  const snapmla_pack_plan *const plans[] = {a, b};
  for (int i = 0; i < 2; ++i) {
    int used = snprintf(texts[i], sizeof texts[i], "%s", plans[i]->provenance);
    if (plans[i]->microseconds > 0)
      used += snprintf(texts[i] + used, sizeof texts[i] - (size_t)used, ", %.3f us (%s)", plans[i]->microseconds,
                       plans[i]->time_kind);
    if (*plans[i]->difference)
      snprintf(texts[i] + used, sizeof texts[i] - (size_t)used, "; %.1000s", plans[i]->difference);
  }
  if (strcmp(texts[0], texts[1])) tell(list, "provenance", where, texts[0], texts[1]);
}

/* The kernels that two plans of one problem differ in. */
static void compare_plans(const snapmla_pack *a, const snapmla_pack_plan *of_a, const snapmla_pack *b,
                          const snapmla_pack_plan *of_b, json_t *list) {
  char where[8192], kernel[8192 + 64];
  name_plan(of_a, where, sizeof where);
  compare_origins(of_a, of_b, where, list);
  for (int32_t i = 0; i < of_a->kernel_count; ++i) {
    snapmla_pack_artifact one = {.size = sizeof one}, other;
    if (snapmla_pack_artifact_get(a, of_a->kernels[i], &one)) continue;
    snprintf(kernel, sizeof kernel, "%s: %.50s", where, of_a->roles[i]);
    if (!find_kernel(b, of_b, of_a->roles[i], &other))
      tell(list, "variant", kernel, one.variant, NULL);
    else if (strcmp(one.variant, other.variant))
      tell(list, "variant", kernel, one.variant, other.variant);
  }
  for (int32_t i = 0; i < of_b->kernel_count; ++i) {
    snapmla_pack_artifact one = {.size = sizeof one}, other;
    snprintf(kernel, sizeof kernel, "%s: %.50s", where, of_b->roles[i]);
    if (!snapmla_pack_artifact_get(b, of_b->kernels[i], &one) && !find_kernel(a, of_a, of_b->roles[i], &other))
      tell(list, "variant", kernel, NULL, one.variant);
  }
}

/* Kernels of one variant and target that were made of other sources, by another compiler, or have other bytes. */
static void compare_artifacts(const snapmla_pack *a, const snapmla_pack_info *of_a, const snapmla_pack *b,
                              const snapmla_pack_info *of_b, json_t *list) {
  for (int32_t i = 0; i < of_a->artifact_count; ++i) {
    snapmla_pack_artifact one = {.size = sizeof one};
    if (snapmla_pack_artifact_get(a, i, &one)) continue;
    for (int32_t j = 0; j < of_b->artifact_count; ++j) {
      char where[4400];
      snapmla_pack_artifact other = {.size = sizeof other};
      if (snapmla_pack_artifact_get(b, j, &other) || strcmp(one.variant, other.variant) ||
          strcmp(one.target, other.target))
        continue;
      snprintf(where, sizeof where, "%s for %s", one.variant, one.target);
      if (strcmp(one.compiler, other.compiler)) tell(list, "compiler", where, one.compiler, other.compiler);
      if (strcmp(one.key, other.key))
        tell(list, "key", where, one.key, other.key);
      else if (one.image_bytes != other.image_bytes ||
               (one.is_compressed == other.is_compressed && strcmp(one.digest, other.digest)))
        tell(list, "bytes", where, one.digest, other.digest);
    }
  }
}

static void compare(const snapmla_pack *a, const snapmla_pack_info *of_a, const snapmla_pack *b,
                    const snapmla_pack_info *of_b, json_t *list) {
  char where[8192];
  if (of_a->runs_here != of_b->runs_here)
    tell(list, "interface", "header", of_a->runs_here ? "this version's" : "another version's",
         of_b->runs_here ? "this version's" : "another version's");
  for (int32_t i = 0; i < of_a->plan_count; ++i) {
    snapmla_pack_plan one = {.size = sizeof one}, other;
    if (snapmla_pack_plan_get(a, i, &one)) continue;
    name_plan(&one, where, sizeof where);
    if (find_plan(b, of_b->plan_count, &one, &other))
      compare_plans(a, &one, b, &other, list);
    else
      tell(list, "plan", where, "has it", NULL);
  }
  for (int32_t i = 0; i < of_b->plan_count; ++i) {
    snapmla_pack_plan one = {.size = sizeof one}, other;
    if (snapmla_pack_plan_get(b, i, &one) || find_plan(a, of_a->plan_count, &one, &other)) continue;
    name_plan(&one, where, sizeof where);
    tell(list, "plan", where, NULL, "has it");
  }
  compare_artifacts(a, of_a, b, of_b, list);
}

static void print_list(const json_t *list) {
  size_t i;
  json_t *entry;
  json_array_foreach(list, i, entry) {
    const char *in_a = json_string_value(json_object_get(entry, "a"));
    const char *in_b = json_string_value(json_object_get(entry, "b"));
    printf("%s: %s\n  a: %s\n  b: %s\n", json_string_value(json_object_get(entry, "what")),
           json_string_value(json_object_get(entry, "where")), in_a ? in_a : "lacks it", in_b ? in_b : "lacks it");
  }
}

snapmla_status smla_pack_show_difference(const smla_settings *settings, const snapmla_pack *a, const snapmla_pack *b,
                                         int *differ) {
  snapmla_pack_info of_a = {.size = sizeof of_a}, of_b = {.size = sizeof of_b};
  snapmla_status status = smla_library_status(snapmla_pack_info_get(a, &of_a));
  if (!status) status = smla_library_status(snapmla_pack_info_get(b, &of_b));
  if (status) return status;
  json_t *list = json_array();
  int same = !strcmp(of_a.digest, of_b.digest);
  if (!same) compare(a, &of_a, b, &of_b, list);
  /* another encoding, another signer: the same kernels for the same problems */
  if (!same && !json_array_size(list)) tell(list, "file", "the kernels are the same", of_a.digest, of_b.digest);
  *differ = !same;
  if (!settings->json) {
    if (same) puts("the packs are the same");
    print_list(list);
    json_decref(list);
    return SNAPMLA_OK;
  }
  json_t *root = json_object();
  smla_json_set(root, "ok", json_boolean(same));
  smla_json_set(root, "differences", list);
  return smla_json_print(root);
}
