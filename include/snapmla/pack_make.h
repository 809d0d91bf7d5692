/* Making packs: needs compilers, but no device. Not in snapmla-deploy. */
#ifndef SNAPMLA_PACK_MAKE_H
#define SNAPMLA_PACK_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/export.h>
#include <snapmla/layer.h>
#include <snapmla/pack.h>
#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/source.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A problem that a pack is to serve, or a layer problem. Zero-initialise and set size. */
typedef struct snapmla_pack_request {
  size_t size;                        /* sizeof(snapmla_pack_request) */
  const snapmla_problem *problem;     /* or NULL, and `layer`: of the two exactly one */
  const char *variant;                /* override, as of snapmla_plan_options, or NULL */
  const snapmla_layer_problem *layer; /* its epsilon and angles are of no account: a plan from the pack takes its own */
} snapmla_pack_request;

/* Zero-initialise and set size; every zero field has a default. */
typedef struct snapmla_pack_make_options {
  size_t size;                   /* sizeof(snapmla_pack_make_options) */
  const snapmla_target *targets; /* [target_count]; none: sm_90a */
  size_t target_count;
  const char *templates; /* directory that overrides the embedded templates, or NULL */
  int32_t compression;   /* level of zstd, 1 to 19; 0: 12; -1: kernels are stored as they are */
  /* Device classes, [device_class_count], as docs/tuning.md writes them: for each, and each target that it runs, a problem's
   * variants are those that snapmla_plan_create would choose there without tuning, from the wisdom of the store and of the
   * library, else by the model. A target without a class, and all where there are none, gets the default variants. */
  const char *const *device_classes;
  size_t device_class_count;
  uint32_t
      flags; /* of these choices: SNAPMLA_PLAN_WISDOM_ONLY, SNAPMLA_PLAN_ALLOW_NEAREST, SNAPMLA_PLAN_DETERMINISTIC */
  const unsigned char *secret_key; /* [SNAPMLA_PACK_SECRET_KEY_BYTES]: signs the pack; NULL: unsigned */
  /* Called as each kernel is compiled, from the calling thread; may be NULL. */
  void (*progress)(void *user, const char *what);
  void *progress_user;
} snapmla_pack_make_options;

/* Makes the pack of `count` requests: the same bytes for the same requests (in any order), options, templates,
 * compilers and, with device classes, wisdom, wherever it runs. A problem that is asked for twice with two overrides is an
 * error. *data is freed with snapmla_pack_data_free. Errors: INVALID_ARGUMENT, NOT_FOUND (WISDOM_ONLY), UNSUPPORTED, ILLEGAL_VARIANT, TEMPLATE, NO_COMPILER, COMPILE,
 * OUT_OF_MEMORY. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_pack_make(const snapmla_pack_make_options *options,
                                             const snapmla_pack_request *requests, size_t count, void **data,
                                             size_t *bytes);
/* NULL is allowed. */
SNAPMLA_API void snapmla_pack_data_free(void *data);

/* A new pair of keys from the system's random source. Error: INTERNAL (there is none). */
SNAPMLA_API snapmla_status snapmla_pack_keys_make(unsigned char public_key[SNAPMLA_PACK_PUBLIC_KEY_BYTES],
                                                  unsigned char secret_key[SNAPMLA_PACK_SECRET_KEY_BYTES]);
/* The public half of a secret key. Error: INVALID_ARGUMENT (it is not one). */
SNAPMLA_API snapmla_status snapmla_pack_key_public(const unsigned char secret_key[SNAPMLA_PACK_SECRET_KEY_BYTES],
                                                   unsigned char public_key[SNAPMLA_PACK_PUBLIC_KEY_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
