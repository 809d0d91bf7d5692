/* What both programs do with a device and with bf16. */
#ifndef DEPLOY_DEVICE_H
#define DEPLOY_DEVICE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

static void check(snapmla_status status, const char *doing) {
  if (!status) return;
  fprintf(stderr, "cannot %s: %s\n", doing, snapmla_error_message());
  exit(1);
}

/* A number near 0 as bf16. */
static uint16_t small_bf16(unsigned index) {
  float value = sinf(1.7f * (float)index) * 0.25f;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)(bits >> 16);
}

static float widen(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

/* A buffer on the device, holding `data` or, where that is NULL, nothing yet. */
static snapmla_buffer *upload(snapmla_context *context, const void *data, size_t bytes) {
  snapmla_buffer *buffer;
  check(snapmla_buffer_create(context, bytes, &buffer), "allocate");
  if (data) check(snapmla_buffer_write(buffer, 0, data, bytes), "copy to the device");
  return buffer;
}

#endif
