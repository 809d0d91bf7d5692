/* The wisdom files of autotune/wisdom/, which the build embeds. */
#include "wisdom.h"

#include "log.h"
#include "shipped_files.h"

snapmla_status smla_wisdom_shipped(smla_measurements *out) {
  smla_measurements list = {0};
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < smla_shipped_file_count && status != SNAPMLA_OUT_OF_MEMORY; i++) {
    const smla_shipped_file *file = &smla_shipped_files[i];
    status = smla_wisdom_read(file->path, file->text, file->length, &list);
    if (status == SNAPMLA_BAD_FORMAT) smla_log(SMLA_LOG_ERROR, "shipped wisdom: %s", snapmla_error_message());
  }
  if (status != SNAPMLA_OUT_OF_MEMORY) status = smla_wisdom_merge(out, &list);
  smla_measurements_free(&list);
  return status;
}
