#include "pack_show.h"

#include <stdio.h>
#include <string.h>

#include "json_output.h"
#include "key_file.h"
#include "library.h"

/* The signer's key, "" where there is none. */
typedef struct signer_text {
  char text[2 * SNAPMLA_PACK_PUBLIC_KEY_BYTES + 1];
} signer_text;

static signer_text signer_of(const snapmla_pack_info *info) {
  signer_text signer = {""};
  if (info->is_signed) smla_key_text(info->signer, sizeof info->signer, signer.text);
  return signer;
}

static json_t *info_json(const snapmla_pack_info *info) {
  json_t *root = json_object();
  smla_json_set(root, "ok", json_true());
  smla_json_set(root, "version", json_integer(info->version));
  smla_json_set(root, "bytes", json_integer(info->bytes));
  smla_json_set(root, "digest", json_string(info->digest));
  smla_json_set(root, "signer", info->is_signed ? json_string(signer_of(info).text) : json_null());
  smla_json_set(root, "runs_here", json_boolean(info->runs_here));
  return root;
}

static void print_info(const snapmla_pack_info *info) {
  printf("version     %d\nbytes       %lld\ndigest      %s\nsigner      %s\nkernels     %d\nplans       %d\n",
         info->version, (long long)info->bytes, info->digest, info->is_signed ? signer_of(info).text : "none",
         info->artifact_count, info->plan_count);
  if (!info->runs_here) printf("interface   of another version of snapmla: it cannot be run with this one\n");
}

snapmla_status smla_pack_show_verdict(const smla_settings *settings, const snapmla_pack_info *info) {
  if (settings->json) {
    json_t *root = info_json(info);
    smla_json_set(root, "kernels", json_integer(info->artifact_count));
    smla_json_set(root, "plans", json_integer(info->plan_count));
    smla_json_set(root, "signer_known", json_boolean(settings->keys.count != 0));
    return smla_json_print(root);
  }
  print_info(info);
  printf("all digests hold; %s\n", settings->keys.count ? "signed with a key that was given"
                                   : info->is_signed    ? "signed, with a key that nobody vouches for (see --key)"
                                                        : "not signed");
  return SNAPMLA_OK;
}

static json_t *plan_json(const snapmla_pack *pack, const snapmla_pack_plan *plan) {
  json_t *object = json_object(), *variants = json_array(), *roles = json_array();
  for (int32_t i = 0; i < plan->kernel_count; ++i) {
    snapmla_pack_artifact a = {.size = sizeof a};
    json_array_append_new(roles, json_string(plan->roles[i]));
    if (!snapmla_pack_artifact_get(pack, plan->kernels[i], &a)) json_array_append_new(variants, json_string(a.variant));
  }
  smla_json_set(object, "target", json_string(plan->target));
  smla_json_set(object, "shape", json_string(plan->shape));
  smla_json_set(object, "max_batch", json_integer(plan->max_batch));
  smla_json_set(object, "max_context", json_integer(plan->max_context));
  smla_json_set(object, "device_class", *plan->device_class ? json_string(plan->device_class) : json_null());
  smla_json_set(object, "provenance", json_string(plan->provenance));
  smla_json_set(object, "difference", json_string(plan->difference));
  smla_json_set(object, "time_kind", json_string(plan->time_kind));
  smla_json_set(object, "time_us", plan->microseconds > 0 ? smla_json_real(plan->microseconds) : json_null());
  smla_json_set(object, "roles", roles);
  smla_json_set(object, "variants", variants);
  return object;
}

static json_t *artifact_json(const snapmla_pack_artifact *a) {
  json_t *object = json_object();
  smla_json_set(object, "key", json_string(a->key));
  smla_json_set(object, "target", json_string(a->target));
  smla_json_set(object, "variant", json_string(a->variant));
  smla_json_set(object, "entry", json_string(a->entry));
  smla_json_set(object, "compiler", json_string(a->compiler));
  smla_json_set(object, "registers", json_integer(a->registers));
  smla_json_set(object, "spill_bytes", json_integer(a->spill_bytes));
  smla_json_set(object, "smem_bytes", json_integer(a->smem_bytes));
  smla_json_set(object, "threads", json_integer(a->threads));
  smla_json_set(object, "stored_bytes", json_integer(a->stored_bytes));
  smla_json_set(object, "image_bytes", json_integer(a->image_bytes));
  smla_json_set(object, "digest", json_string(a->digest));
  return object;
}

static void print_origin(const snapmla_pack_plan *plan) {
  printf("  for %s: %s", *plan->device_class ? plan->device_class : "no device class in particular", plan->provenance);
  if (plan->microseconds > 0) printf(", %.2f us (%s)", plan->microseconds, plan->time_kind);
  printf("%s%s\n", *plan->difference ? "; " : "", plan->difference);
}

snapmla_status smla_pack_show(const smla_settings *settings, const snapmla_pack *pack) {
  snapmla_pack_info info = {.size = sizeof info};
  json_t *plans = json_array(), *kernels = json_array();
  snapmla_status status = smla_library_status(snapmla_pack_info_get(pack, &info));
  if (!status && !settings->json) print_info(&info);
  for (int32_t i = 0; i < info.plan_count && !status; ++i) {
    snapmla_pack_plan plan = {.size = sizeof plan};
    status = smla_library_status(snapmla_pack_plan_get(pack, i, &plan));
    if (status) break;
    json_array_append_new(plans, plan_json(pack, &plan));
    if (settings->json) continue;
    printf("\n%s up to batch %d and context %d on %s\n", plan.shape, plan.max_batch, plan.max_context, plan.target);
    print_origin(&plan);
    for (int32_t k = 0; k < plan.kernel_count; ++k)
      printf("%s%s %d", k ? ", " : "  kernels: ", plan.roles[k], plan.kernels[k]);
    putchar('\n');
  }
  if (!status && !settings->json)
    printf("\n%6s %-8s %9s %6s %8s %7s %8s %8s  %s\n", "kernel", "target", "registers", "spill", "smem", "threads",
           "bytes", "stored", "variant");
  for (int32_t i = 0; i < info.artifact_count && !status; ++i) {
    snapmla_pack_artifact a = {.size = sizeof a};
    status = smla_library_status(snapmla_pack_artifact_get(pack, i, &a));
    if (status) break;
    json_array_append_new(kernels, artifact_json(&a));
    if (!settings->json)
      printf("%6d %-8s %9d %6d %8d %7d %8lld %8lld  %s\n", i, a.target, a.registers, a.spill_bytes, a.smem_bytes,
             a.threads, (long long)a.image_bytes, (long long)a.stored_bytes, a.variant);
  }
  if (status || !settings->json) {
    json_decref(plans);
    json_decref(kernels);
    return status;
  }
  json_t *root = info_json(&info);
  smla_json_set(root, "plans", plans);
  smla_json_set(root, "kernels", kernels);
  return smla_json_print(root);
}
