/* Packs: compiled kernels and the problems they serve, of decoding and of layers, in one file, which a target machine runs with the
 * driver alone: no compiler, no Lua, no file written. docs/pack.md specifies the file byte by byte. pack_make.h makes packs.
 *
 * snapmla_pack_open checks header, index and signature; a kernel is checked when it is used, or by
 * snapmla_pack_verify. All is read into private memory first: what was checked is what runs, whatever happens to the
 * file. */
#ifndef SNAPMLA_PACK_H
#define SNAPMLA_PACK_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/layer.h>
#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  SNAPMLA_PACK_VERSION = 3,           /* of the file; version 2 is read too */
  SNAPMLA_PACK_PUBLIC_KEY_BYTES = 32, /* Ed25519 */
  SNAPMLA_PACK_SECRET_KEY_BYTES = 64
};

typedef struct snapmla_pack snapmla_pack;

/* Zero-initialise and set size; every zero field has a default. */
typedef struct snapmla_pack_options {
  size_t size; /* sizeof(snapmla_pack_options) */
  /* Public keys, [key_count] of SNAPMLA_PACK_PUBLIC_KEY_BYTES each: the pack must be signed by one of them. None: a
   * signature is not demanded, and one that is there proves only that nothing changed since. */
  const unsigned char *keys;
  size_t key_count;
  /* Nonzero: kernels for the emulator, which are code that runs in this process, may be loaded. */
  int32_t allow_host_code;
  /* Nonzero: a plan that was chosen for another device class than that of the device at hand is a miss. Else it is taken where
   * there is none of its own, and said (SNAPMLA_LOG=warning, snapmla_pack_choose): it computes the same, perhaps slower. */
  int32_t require_device_class;
} snapmla_pack_options;

/* Opens a pack from a file, or from `bytes` bytes of memory, which are copied. `options` may be NULL.
 * Errors: NOT_FOUND, IO (the file); INVALID_ARGUMENT; BAD_FORMAT (not a pack, truncated, changed, unsigned or signed by
 * another where keys are given); UNSUPPORTED (of a later version); OUT_OF_MEMORY. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_pack_open(const char *path, const snapmla_pack_options *options, snapmla_pack **out);
SNAPMLA_API snapmla_status snapmla_pack_open_memory(const void *data, size_t bytes, const snapmla_pack_options *options,
                                                    snapmla_pack **out);

/* A pack linked into the program, as `snapmla export --c-source` writes it: the file, in parts. */
typedef struct snapmla_pack_part {
  const unsigned char *data;
  size_t bytes;
} snapmla_pack_part;
typedef struct snapmla_pack_source {
  const snapmla_pack_part *parts; /* in order */
  size_t part_count;
} snapmla_pack_source;
/* Errors: those of snapmla_pack_open. */
SNAPMLA_API snapmla_status snapmla_pack_open_source(const snapmla_pack_source *source,
                                                    const snapmla_pack_options *options, snapmla_pack **out);

/* Plans made from the pack stay valid. NULL is allowed. */
SNAPMLA_API void snapmla_pack_close(snapmla_pack *pack);

/* Checks every kernel as its use would. Error: BAD_FORMAT (names the kernel), OUT_OF_MEMORY. Thread-safe, as is all
 * that takes a const pack. */
SNAPMLA_API snapmla_status snapmla_pack_verify(const snapmla_pack *pack);

typedef struct snapmla_pack_info {
  size_t size; /* sizeof(snapmla_pack_info), set by the caller */
  int32_t version;
  int32_t is_signed;
  unsigned char signer[SNAPMLA_PACK_PUBLIC_KEY_BYTES]; /* zeros where unsigned */
  char digest[65];   /* SHA-256 of header and index, which hold those of the kernels: equal where the packs are */
  int32_t runs_here; /* nonzero: its kernels take their arguments as this library gives them */
  int64_t bytes;     /* of the file */
  int32_t artifact_count, plan_count;
} snapmla_pack_info;
SNAPMLA_API snapmla_status snapmla_pack_info_get(const snapmla_pack *pack, snapmla_pack_info *out);

/* A compiled kernel. Texts belong to the pack. */
typedef struct snapmla_pack_artifact {
  size_t size;                    /* sizeof(snapmla_pack_artifact), set by the caller */
  const char *key;                /* its content address, 64 hexadecimal digits: docs/runtime.md says of what */
  const char *digest;             /* SHA-256 of the stored bytes, 64 hexadecimal digits */
  const char *target;             /* "sm_90a", "emulator" */
  const char *variant;            /* canonical */
  const char *entry;              /* the kernel's symbol */
  const char *compiler;           /* that made it, in its own words */
  int32_t registers, spill_bytes; /* per thread; 0 on the emulator */
  int32_t smem_bytes, threads;    /* per block */
  int32_t is_compressed;
  int64_t stored_bytes, image_bytes; /* in the pack, and as loaded */
} snapmla_pack_artifact;
/* `index`: 0 .. artifact_count - 1, in the order of the keys. Error: INVALID_ARGUMENT. */
SNAPMLA_API snapmla_status snapmla_pack_artifact_get(const snapmla_pack *pack, int32_t index,
                                                     snapmla_pack_artifact *out);

/* A problem, or a layer problem, and the kernels that serve it, and every smaller batch and context of the same shape. */
typedef struct snapmla_pack_plan {
  size_t size; /* sizeof(snapmla_pack_plan), set by the caller */
  const char *target;
  const char *shape; /* the rest of the problem: "heads=128,q_len=1,…"; of a layer problem ",nope=128,…" follows */
  const char *device_class; /* that its variants were chosen for, as docs/tuning.md writes it; "": none in particular */
  int32_t max_batch, max_context;
  const char *provenance; /* of its variants: "given", "exact", "near", "estimated"; "default": nothing was looked up */
  const char *difference; /* of "near": the fields of the wisdom's key that differ; else "" */
  const char *time_kind;  /* "measured", "modelled"; "none" without wisdom */
  double microseconds;    /* of a decode call in the measurement that they were chosen by; 0: there is none */
  int32_t kernel_count;
  const int32_t *kernels; /* [kernel_count] indices of artifacts, in the order of roles */
  /* [kernel_count], sorted: what the plan has each kernel for: its family ("mla_decode"), or a part of a layer ("layer_absorb") */
  const char *const *roles;
} snapmla_pack_plan;
/* `index`: 0 .. plan_count - 1, sorted by target, shape, device class, batch and context. Error: INVALID_ARGUMENT. */
SNAPMLA_API snapmla_status snapmla_pack_plan_get(const snapmla_pack *pack, int32_t index, snapmla_pack_plan *out);

/* Which of a pack's plans serves a problem on a device. */
typedef struct snapmla_pack_choice {
  size_t size;         /* sizeof(snapmla_pack_choice), set by the caller */
  int32_t plan;        /* its index, as of snapmla_pack_plan_get */
  int32_t other_class; /* nonzero: its variants were chosen for another device class than the device's */
} snapmla_pack_choice;
/* Of the plans of the problem's shape that cover its batch and context: those for the device class of the context's device,
 * else those for none in particular, else those for the nearest class; of these the one of the smallest batch, then context.
 * Errors: NOT_FOUND (there is none, or none that require_device_class allows: says what there is), INVALID_ARGUMENT,
 * OUT_OF_MEMORY. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_pack_choose(snapmla_context *context, const snapmla_pack *pack,
                                               const snapmla_problem *problem, snapmla_pack_choice *out);
/* The same for a layer problem, among the plans of layers: one of its nope_dim, v_dim, hidden_size, weight type,
 * rotation and norm. */
SNAPMLA_API snapmla_status snapmla_pack_choose_layer(snapmla_context *context, const snapmla_pack *pack,
                                                     const snapmla_layer_problem *problem, snapmla_pack_choice *out);

/* Makes a plan of the pack's kernels alone: expands and compiles nothing and writes no file. Which, snapmla_pack_choose says.
 * Errors: NOT_FOUND (the pack has no such plan: says what it has), UNSUPPORTED (host code that was not allowed; kernels of
 * another version of this library), BAD_FORMAT (a kernel was changed), INVALID_ARGUMENT, DEVICE, IO, OUT_OF_MEMORY. */
SNAPMLA_API snapmla_status snapmla_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                                         const snapmla_problem *problem, snapmla_plan **out);
/* The same for a layer: which, snapmla_pack_choose_layer says. The plan's epsilon and angles are the problem's; the pack knows none. */
SNAPMLA_API snapmla_status snapmla_layer_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                                               const snapmla_layer_problem *problem,
                                                               snapmla_layer_plan **out);

#ifdef __cplusplus
}
#endif
#endif
