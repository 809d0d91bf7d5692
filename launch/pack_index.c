#include "pack_index.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/source.h>

#include "device_class.h"
#include "status.h"

snapmla_status smla_pack_malformed(const char *name, const char *format, ...) {
  char what[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return smla_fail(SNAPMLA_BAD_FORMAT, "pack %s: %s; fetch or export it again", name, what);
}

void smla_pack_hex(const unsigned char bytes[SMLA_PACK_DIGEST_BYTES], char hex[SMLA_HASH_HEX]) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < SMLA_PACK_DIGEST_BYTES; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
  hex[2 * SMLA_PACK_DIGEST_BYTES] = 0;
}

/* A place in the index. Reading past the end gives zeros and is remembered. */
typedef struct cursor {
  uint32_t version;
  const unsigned char *at, *end;
  char *texts; /* where the next text goes */
  int failed;
} cursor;

static const unsigned char *take(cursor *c, size_t count) {
  static const unsigned char zeros[SMLA_PACK_DIGEST_BYTES];
  if ((size_t)(c->end - c->at) < count) {
    c->failed = 1;
    c->at = c->end;
    return zeros;
  }
  c->at += count;
  return c->at - count;
}

static uint32_t take_u16(cursor *c) {
  const unsigned char *p = take(c, 2);
  return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static uint32_t take_u32(cursor *c) { return smla_get_u32(take(c, 4)); }
static uint64_t take_u64(cursor *c) { return smla_get_u64(take(c, 8)); }

/* A number that is not negative. */
static int32_t take_count(cursor *c) {
  uint32_t value = take_u32(c);
  if (value > INT32_MAX) c->failed = 1;
  return (int32_t)(value & INT32_MAX);
}

/* Its length and its bytes, printable ASCII; the NUL takes the place of the length. */
static const char *take_text(cursor *c) {
  size_t length = take_u16(c);
  if (length > SMLA_PACK_MOST_TEXT || (size_t)(c->end - c->at) < length) {
    c->failed = 1;
    return "";
  }
  char *text = c->texts;
  for (size_t i = 0; i < length; i++) {
    text[i] = (char)c->at[i];
    if (c->at[i] < ' ' || c->at[i] > '~') c->failed = 1;
  }
  text[length] = 0;
  c->at += length;
  c->texts += length + 1;
  return text;
}

static void take_digest(cursor *c, char hex[SMLA_HASH_HEX]) { smla_pack_hex(take(c, SMLA_PACK_DIGEST_BYTES), hex); }

static snapmla_status take_quantities(cursor *c, const char *name, smla_pack_artifact *a) {
  enum { LEAST_BYTES = 2 + 8 };
  size_t count = take_u16(c);
  if (count > SMLA_PACK_MOST_QUANTITIES || count > (size_t)(c->end - c->at) / LEAST_BYTES)
    return smla_pack_malformed(name, "a kernel has %zu quantities", count);
  a->quantities = calloc(count ? count : 1, sizeof *a->quantities);
  if (!a->quantities) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the index of a pack");
  a->quantity_count = count;
  for (size_t i = 0; i < count; i++) {
    smla_quantity *q = &a->quantities[i];
    const char *text = take_text(c);
    if (!*text || strlen(text) >= sizeof q->name || (i && strcmp(q[-1].name, text) >= 0))
      return smla_pack_malformed(name, "the quantities of a kernel are not in order");
    strcpy(q->name, text);
    q->value = (long long)take_u64(c);
  }
  return SNAPMLA_OK;
}

/* *next: where the blob must begin; it becomes where the next one must. */
static snapmla_status check_blob(const char *name, const smla_pack_artifact *a, uint64_t end, uint64_t *next) {
  if (a->encoding != SMLA_PACK_STORED && a->encoding != SMLA_PACK_ZSTD)
    return smla_pack_malformed(name, "the kernel %s is encoded in an unknown way (%u)", a->variant, a->encoding);
  if (a->offset != *next || a->offset > end || a->stored_bytes > end - a->offset || !a->stored_bytes)
    return smla_pack_malformed(name, "the kernel %s is not where it should be", a->variant);
  if (!a->image_bytes || a->image_bytes > SMLA_PACK_MOST_IMAGE_BYTES ||
      (a->encoding == SMLA_PACK_STORED && a->image_bytes != a->stored_bytes))
    return smla_pack_malformed(name, "the kernel %s cannot have %llu bytes", a->variant,
                               (unsigned long long)a->image_bytes);
  uint64_t after = a->offset + a->stored_bytes;
  *next = (after + SMLA_PACK_ALIGNMENT - 1) / SMLA_PACK_ALIGNMENT * SMLA_PACK_ALIGNMENT;
  return SNAPMLA_OK;
}

static snapmla_status take_artifact(cursor *c, const char *name, uint64_t end, uint64_t *next, smla_pack_artifact *a) {
  take_digest(c, a->key);
  a->target = take_text(c);
  a->variant = take_text(c);
  a->entry = take_text(c);
  a->compiler = take_text(c);
  a->nvrtc_major = take_count(c);
  a->facts.registers = take_count(c);
  a->facts.spill_bytes = take_count(c);
  a->facts.stack_bytes = take_count(c);
  a->facts.warnings = take_count(c);
  a->facts.serialized_wgmma = take_count(c);
  if (c->failed || !*a->target || !strchr(a->variant, ':') || !*a->entry)
    return smla_pack_malformed(name, "a kernel's record is not one");
  snapmla_status status = take_quantities(c, name, a);
  a->encoding = take_u32(c);
  a->offset = take_u64(c);
  a->stored_bytes = take_u64(c);
  a->image_bytes = take_u64(c);
  take_digest(c, a->digest);
  if (status) return status;
  if (c->failed) return smla_pack_malformed(name, "it ends within the record of the kernel %s", a->variant);
  return check_blob(name, a, end, next);
}

int smla_pack_is_of_family(const char *variant, const char *family) {
  size_t length = strlen(family);
  return !strncmp(variant, family, length) && variant[length] == ':';
}

static int is_one_of(const char *text, const char *const *names) {
  while (*names && strcmp(*names, text)) names++;
  return *names != NULL;
}

/* Where the variants of a plan came from. Nonzero: it could be so. */
static int take_origin(cursor *c, smla_pack_plan *p) {
  static const char *const provenances[] = {"given", "exact", "near", "estimated", "default", NULL};
  static const char *const kinds[] = {"none", "measured", "modelled", NULL};
  p->provenance = take_text(c);
  p->difference = take_text(c);
  p->time_kind = take_text(c);
  p->nanoseconds = take_u64(c);
  return is_one_of(p->provenance, provenances) && is_one_of(p->time_kind, kinds) &&
         !strcmp(p->time_kind, "none") == !p->nanoseconds;
}

/* Version 2 has no roles: a kernel's is its family, of those there were. NULL: it is of none. */
static const char *role_of(const char *variant) {
  for (const char *const *family = snapmla_family_names(); *family; family++)
    if (smla_pack_is_of_family(variant, *family)) return *family;
  return NULL;
}

/* One kernel of a plan, the `i`th. */
static snapmla_status take_kernel(cursor *c, const char *name, const smla_pack_index *index, smla_pack_plan *p,
                                  size_t i) {
  const char *role = c->version > 2 ? take_text(c) : NULL;
  uint32_t which = take_u32(c);
  if (c->failed || which >= index->artifact_count)
    return smla_pack_malformed(name, "the plan for %s names a kernel that is not there", p->shape);
  const smla_pack_artifact *a = &index->artifacts[which];
  if (!role) role = role_of(a->variant);
  if (!role || !*role)
    return smla_pack_malformed(name, "the plan for %s has no use for the kernel %s", p->shape, a->variant);
  if (strcmp(a->target, p->target))
    return smla_pack_malformed(name, "the plan for %s names a kernel of another target", p->shape);
  if (i && strcmp(p->roles[i - 1], role) >= 0)
    return smla_pack_malformed(name, "the kernels of the plan for %s are not in order", p->shape);
  p->roles[i] = role;
  p->kernels[i] = (int32_t)which;
  return SNAPMLA_OK;
}

static snapmla_status take_plan(cursor *c, const char *name, const smla_pack_index *index, smla_pack_plan *p) {
  p->target = take_text(c);
  p->shape = take_text(c);
  p->device_class = take_text(c);
  p->max_batch = take_count(c);
  p->max_context = take_count(c);
  int origin = take_origin(c, p);
  size_t count = take_u16(c);
  if (c->failed || !origin || !count || count > SMLA_PACK_MOST_KERNELS || !*p->target || !*p->shape ||
      (*p->device_class && !smla_device_class_is(p->device_class)))
    return smla_pack_malformed(name, "a plan's record is not one");
  p->roles = calloc(count, sizeof *p->roles);
  p->kernels = calloc(count, sizeof *p->kernels);
  if (!p->roles || !p->kernels) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the index of a pack");
  p->kernel_count = count;
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < count && !status; i++) status = take_kernel(c, name, index, p, i);
  return status;
}

int smla_pack_plan_compare(const smla_pack_plan *a, const smla_pack_plan *b) {
  int order = strcmp(a->target, b->target);
  if (!order) order = strcmp(a->shape, b->shape);
  if (!order) order = strcmp(a->device_class, b->device_class);
  if (!order) order = (a->max_batch > b->max_batch) - (a->max_batch < b->max_batch);
  return order ? order : (a->max_context > b->max_context) - (a->max_context < b->max_context);
}

static snapmla_status take_all(cursor *c, const char *name, uint64_t blobs, uint64_t end, smla_pack_index *out) {
  snapmla_status status = SNAPMLA_OK;
  uint64_t next = blobs;
  for (size_t i = 0; i < out->artifact_count && !status; i++) {
    smla_pack_artifact *a = &out->artifacts[i];
    status = take_artifact(c, name, end, &next, a);
    if (!status && i && strcmp(a[-1].key, a->key) >= 0)
      status = smla_pack_malformed(name, "its kernels are not in order");
  }
  if (!status && next != end) status = smla_pack_malformed(name, "it holds bytes that belong to no kernel");
  for (size_t i = 0; i < out->plan_count && !status; i++) {
    smla_pack_plan *p = &out->plans[i];
    status = take_plan(c, name, out, p);
    if (!status && i && smla_pack_plan_compare(p - 1, p) >= 0)
      status = smla_pack_malformed(name, "its plans are not in order");
  }
  if (!status && (c->failed || c->at != c->end)) status = smla_pack_malformed(name, "its index has another length");
  return status;
}

snapmla_status smla_pack_index_read(const char *name, uint32_t version, const unsigned char *bytes, size_t count,
                                    uint32_t artifacts, uint32_t plans, uint64_t blobs, uint64_t end,
                                    smla_pack_index *out) {
  enum { LEAST_ARTIFACT = 2 * SMLA_PACK_DIGEST_BYTES + 62, LEAST_PLAN = 34 }; /* bytes of a record without texts */
  *out = (smla_pack_index){0};
  if (artifacts > SMLA_PACK_MOST_RECORDS || plans > SMLA_PACK_MOST_RECORDS || artifacts > count / LEAST_ARTIFACT ||
      plans > count / LEAST_PLAN)
    return smla_pack_malformed(name, "its index is too short for %u kernels and %u plans", artifacts, plans);
  out->artifacts = calloc(artifacts ? artifacts : 1, sizeof *out->artifacts);
  out->plans = calloc(plans ? plans : 1, sizeof *out->plans);
  out->texts = malloc(count + 1);
  snapmla_status status = SNAPMLA_OK;
  if (!out->artifacts || !out->plans || !out->texts) {
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the index of a pack");
  } else {
    out->artifact_count = artifacts;
    out->plan_count = plans;
    cursor c = {version, bytes, bytes + count, out->texts, 0};
    status = take_all(&c, name, blobs, end, out);
  }
  if (status) smla_pack_index_free(out);
  return status;
}

void smla_pack_index_free(smla_pack_index *index) {
  for (size_t i = 0; i < index->artifact_count; i++) free(index->artifacts[i].quantities);
  for (size_t i = 0; i < index->plan_count; i++) {
    free(index->plans[i].roles);
    free(index->plans[i].kernels);
  }
  free(index->artifacts);
  free(index->plans);
  free(index->texts);
  *index = (smla_pack_index){0};
}
