#include "sample_pack.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "cmocka_all.h"

#include "pack_seal.h"
#include "pack_write.h"
#include "problem_shape.h"

void sample_keys(int seed, unsigned char public_key[32], unsigned char secret_key[64]) {
  unsigned char bytes[crypto_sign_SEEDBYTES] = {(unsigned char)seed};
  crypto_sign_seed_keypair(public_key, secret_key, bytes);
}

static smla_image *make_image(snapmla_target target, const char *key, size_t size) {
  smla_image *image;
  char *bytes = malloc(size);
  assert_non_null(bytes);
  for (size_t i = 0; i < size; i++) bytes[i] = (char)(i / 7); /* so that it shrinks */
  assert_int_equal(smla_image_create(target, key, "snapmla_entry", "", bytes, size, &image), SNAPMLA_OK);
  image->nvrtc_major = 12;
  return image;
}

void sample_pack(const char *target, int level, int seed, smla_buffer *out) {
  static const char *const keys[SAMPLE_KERNELS] = {
      "1100000000000000000000000000000000000000000000000000000000000000",
      "2200000000000000000000000000000000000000000000000000000000000000",
      "ff00000000000000000000000000000000000000000000000000000000000001",
  };
  static const char *const variants[SAMPLE_KERNELS] = {"schedule:threads=32", "mla_decode:rows=64",
                                                       "kv_append:latent=512"};
  smla_quantity quantities[] = {{"smem_bytes", 1024}, {"threads", 32}};
  static const char *few_roles[] = {"kv_append"}, *all_roles[] = {"kv_append", "mla_decode", "schedule"};
  static const char *layer_roles[] = {"kv_append", "layer_append", "mla_decode"};
  int32_t few[] = {2}, all[] = {2, 1, 0}, layers[] = {2, 2, 1};
  smla_pack_artifact artifacts[SAMPLE_KERNELS] = {0};
  smla_image *images[SAMPLE_KERNELS];
  unsigned char public_key[32], secret_key[64];
  smla_buffer shape = {0}, layer_shape = {0};
  snapmla_layer_problem problem;
  snapmla_layer_problem_init(&problem);
  assert_int_equal(smla_problem_shape(&problem.attention, &shape), SNAPMLA_OK);
  assert_int_equal(smla_layer_shape(&problem, &layer_shape), SNAPMLA_OK);
  for (int i = 0; i < SAMPLE_KERNELS; i++) {
    images[i] = make_image(SNAPMLA_TARGET_SM90A, keys[i], 100 + 50 * (size_t)i);
    artifacts[i] = (smla_pack_artifact){.target = target,
                                        .variant = variants[i],
                                        .entry = "snapmla_entry",
                                        .compiler = "a compiler",
                                        .nvrtc_major = 12,
                                        .facts = {.registers = 168},
                                        .quantities = quantities,
                                        .quantity_count = 2};
    memcpy(artifacts[i].key, keys[i], sizeof artifacts[i].key);
  }
  smla_pack_plan plans[SAMPLE_PLANS] = {
      {target, shape.data, "", 4, 4096, "default", "", "none", 0, few_roles, few, 1},
      {target, shape.data, SAMPLE_CLASS, 8, 8192, "near", "templates 0 (here 1)", "measured", 12345, all_roles, all, 3},
      {target, layer_shape.data, "", 8, 8192, "default", "", "none", 0, layer_roles, layers, 3}};
  smla_pack_index index = {
      .artifacts = artifacts, .artifact_count = SAMPLE_KERNELS, .plans = plans, .plan_count = SAMPLE_PLANS};
  if (seed) sample_keys(seed, public_key, secret_key);
  assert_int_equal(smla_pack_write(&index, images, level, seed ? secret_key : NULL, out), SNAPMLA_OK);
  for (int i = 0; i < SAMPLE_KERNELS; i++) smla_image_release(images[i]);
  smla_buffer_free(&shape);
  smla_buffer_free(&layer_shape);
}

void sample_reseal(smla_buffer *pack) {
  unsigned char *head = (unsigned char *)pack->data;
  smla_pack_seal_digest(head, (size_t)smla_get_u64(head + SMLA_PACK_AT_INDEX), head + SMLA_PACK_AT_DIGEST);
}
