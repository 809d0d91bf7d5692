/* Generated source and compiled artifacts, without a device: what `snapmla gen`, `build` and `doctor` print. Of
 * these calls snapmla-deploy has snapmla_family_names and snapmla_version alone. */
#ifndef SNAPMLA_SOURCE_H
#define SNAPMLA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/layer.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum snapmla_target {
  SNAPMLA_TARGET_SM90A = 0,   /* NVRTC, compute capability 9.0a */
  SNAPMLA_TARGET_EMULATOR = 1 /* the host's C++ compiler */
} snapmla_target;

/* Zero-initialise and set size. */
typedef struct snapmla_source_options {
  size_t size;
  snapmla_target target;
  const char *templates;   /* directory that overrides the embedded templates, or NULL */
  int32_t line_directives; /* nonzero: #line, so that a compiler names the template's line */
} snapmla_source_options;

/* Family names, NULL-terminated; static. */
SNAPMLA_API const char *const *snapmla_family_names(void);

/* The canonical variant of `family` for a problem, `override` (whole or part of a variant text, or NULL) applied.
 * The text is freed with snapmla_text_free. Errors: INVALID_ARGUMENT (unknown family or axis, illegal value, each with
 * what is legal), ILLEGAL_VARIANT (the rule and its reason). Thread-safe. */
SNAPMLA_API snapmla_status snapmla_variant_resolve(const snapmla_source_options *options,
                                                   const snapmla_problem *problem, const char *family,
                                                   const char *override_text, char **out);

/* The canonical variants of all kernels that a plan of a layer's problem has (layer.h): its attention's, then the layer's own, each once, one a
 * line. `override` is as a layer plan's, or NULL. Those whose default follows the device are for one of 132 multiprocessors.
 * Freed with snapmla_text_free. Errors: as snapmla_variant_resolve, and those of snapmla_layer_problem_check. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_layer_variants_resolve(const snapmla_source_options *options,
                                                          const snapmla_layer_problem *problem,
                                                          const char *override_text, char **out);

/* Expands a variant to kernel source: self-contained, deterministic. Errors: as above, and TEMPLATE. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_source_expand(const snapmla_source_options *options, const char *variant,
                                                 char **out);

typedef struct snapmla_artifact snapmla_artifact;

typedef struct snapmla_artifact_report {
  const char *variant; /* canonical text; owned by the artifact, as are the others */
  const char *entry;   /* the kernel's symbol */
  const char *log;     /* the compiler's full log */
  const void *image;   /* the cubin, or the shared object */
  size_t image_bytes;
  int32_t registers;        /* per thread at entry; 0 for the emulator */
  int32_t spill_bytes;      /* spill stores and loads together, per thread */
  int32_t smem_bytes;       /* dynamic shared memory per block */
  int32_t threads;          /* per block */
  int32_t warnings;         /* lines of the log that warn, wgmma serialisation among them */
  int32_t serialized_wgmma; /* nonzero: the compiler serialised wgmma */
  double seconds;           /* expansion and compilation */
} snapmla_artifact_report;

/* Compiles a variant; needs no device. On COMPILE the artifact is still returned, so that its log can be read.
 * Errors: as snapmla_source_expand, NO_COMPILER (with the remedy), COMPILE. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_artifact_compile(const snapmla_source_options *options, const char *variant,
                                                    snapmla_artifact **out);
SNAPMLA_API void snapmla_artifact_report_get(const snapmla_artifact *artifact, snapmla_artifact_report *out);
SNAPMLA_API void snapmla_artifact_destroy(snapmla_artifact *artifact);

/* One finding of the doctor. */
typedef struct snapmla_finding {
  const char *name;   /* "driver", "nvrtc", "host compiler", "templates", "cache directory", … */
  int32_t ok;         /* nonzero: usable */
  int32_t required;   /* nonzero: nothing works without it; 0: something less works */
  const char *found;  /* version and path, or what is wrong */
  const char *remedy; /* the command or setting that mends it, "" if ok */
} snapmla_finding;

/* Looks for everything snapmla uses and calls `report` for each. Never fails for something missing. */
SNAPMLA_API snapmla_status snapmla_doctor(void (*report)(void *user, const snapmla_finding *finding), void *user);

/* "0.1.0" */
SNAPMLA_API const char *snapmla_version(void);

#ifdef __cplusplus
}
#endif
#endif
