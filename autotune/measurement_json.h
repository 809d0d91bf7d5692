/* Measurements as JSON values: for a file of one, and for wisdom, which is a file of many. */
#ifndef SMLA_AUTOTUNE_MEASUREMENT_JSON_H
#define SMLA_AUTOTUNE_MEASUREMENT_JSON_H

#include <jansson.h>

#include "measurement.h"

/* NULL only when memory is short. */
json_t *smla_measurement_to_json(const smla_measurement *measurement);
/* As smla_measurement_read. */
snapmla_status smla_measurement_from_json(const char *name, const json_t *json, smla_measurement *out);

#endif
