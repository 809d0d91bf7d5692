/* Compiled variants as the public API shows them. */
#include <snapmla/source.h>

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "build.h"
#include "facts.h"
#include "quantities.h"
#include "source_options.h"
#include "status.h"

struct snapmla_artifact {
  char *variant, *entry;
  smla_build build;
  smla_geometry geometry;
};

static snapmla_status copy_texts(snapmla_artifact *artifact, const char *variant, const char *entry) {
  artifact->variant = strdup(variant);
  artifact->entry = strdup(entry);
  return artifact->variant && artifact->entry ? SNAPMLA_OK
                                              : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an artifact");
}

/* The canonical text, the entry and the geometry of `variant`, whole or partial. */
static snapmla_status describe(const smla_generator *generator, const char *variant, snapmla_artifact *artifact) {
  smla_buffer text = {0}, entry = {0};
  char *family = strndup(variant, strcspn(variant, ":"));
  snapmla_status status =
      family ? smla_generator_resolve(generator, family, NULL, 0, strchr(variant, ':') ? variant : NULL, &text)
             : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an artifact");
  if (!status) status = smla_generator_entry(generator, family, &entry);
  if (!status) status = copy_texts(artifact, text.data, entry.data);
  if (!status) status = smla_geometry_get(generator, artifact->variant, &artifact->geometry);
  free(family);
  smla_buffer_free(&text);
  smla_buffer_free(&entry);
  return status;
}

snapmla_status snapmla_artifact_compile(const snapmla_source_options *options, const char *variant,
                                        snapmla_artifact **out) {
  if (!variant || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "variant and out are needed, and one is NULL");
  *out = NULL;
  snapmla_source_options known;
  smla_generator *generator = NULL;
  snapmla_artifact *artifact = calloc(1, sizeof *artifact);
  if (!artifact) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an artifact");
  snapmla_status status = smla_source_options_open(options, &known, &generator);
  if (!status) status = describe(generator, variant, artifact);
  if (!status) {
    artifact->build.generator = generator;
    artifact->build.target = known.target;
    artifact->build.variant = artifact->variant;
    status = smla_build_run(&artifact->build);
    artifact->build.generator = NULL; /* the generator ends here */
    if (!status || status == SNAPMLA_COMPILE) {
      *out = artifact;
      artifact = NULL;
    }
  }
  snapmla_artifact_destroy(artifact);
  smla_generator_destroy(generator);
  return status;
}

void snapmla_artifact_report_get(const snapmla_artifact *artifact, snapmla_artifact_report *out) {
  static const smla_facts none;
  if (!out) return;
  *out = (snapmla_artifact_report){.variant = "", .entry = "", .log = ""};
  if (!artifact) return;
  const smla_image *image = artifact->build.image;
  smla_facts facts = image ? image->facts : none;
  int tells_spills;
  if (!image) smla_facts_read_log(artifact->build.log, &facts, &tells_spills);
  *out = (snapmla_artifact_report){
      .variant = artifact->variant,
      .entry = artifact->entry,
      .log = artifact->build.log ? artifact->build.log : "",
      .image = image ? image->bytes : NULL,
      .image_bytes = image ? image->size : 0,
      .registers = facts.registers,
      .spill_bytes = facts.spill_bytes,
      .smem_bytes = artifact->geometry.smem_bytes,
      .threads = artifact->geometry.threads,
      .warnings = facts.warnings,
      .serialized_wgmma = facts.serialized_wgmma,
      .seconds = artifact->build.seconds,
  };
}

void snapmla_artifact_destroy(snapmla_artifact *artifact) {
  if (!artifact) return;
  smla_build_clear(&artifact->build);
  free(artifact->variant);
  free(artifact->entry);
  free(artifact);
}
