/* Our own declarations of the driver's types and numbers against those of the toolkit's cuda.h. */
#include <cuda.h>

#include "cmocka_all.h"

#include "driver.h"

static void layouts_are_the_toolkits(void **state) {
  (void)state;
  assert_int_equal(sizeof(cu_launch_attribute), sizeof(CUlaunchAttribute));
  assert_int_equal(offsetof(cu_launch_attribute, value), offsetof(CUlaunchAttribute, value));
  assert_int_equal(offsetof(cu_launch_attribute, value.cluster.z), offsetof(CUlaunchAttribute, value.clusterDim.z));
  assert_int_equal(offsetof(cu_launch_attribute, value.programmatic),
                   offsetof(CUlaunchAttribute, value.programmaticStreamSerializationAllowed));
  assert_int_equal(sizeof(cu_launch_config), sizeof(CUlaunchConfig));
  assert_int_equal(offsetof(cu_launch_config, grid_x), offsetof(CUlaunchConfig, gridDimX));
  assert_int_equal(offsetof(cu_launch_config, block_z), offsetof(CUlaunchConfig, blockDimZ));
  assert_int_equal(offsetof(cu_launch_config, shared_bytes), offsetof(CUlaunchConfig, sharedMemBytes));
  assert_int_equal(offsetof(cu_launch_config, stream), offsetof(CUlaunchConfig, hStream));
  assert_int_equal(offsetof(cu_launch_config, attributes), offsetof(CUlaunchConfig, attrs));
  assert_int_equal(offsetof(cu_launch_config, attribute_count), offsetof(CUlaunchConfig, numAttrs));
  assert_int_equal(sizeof(cu_pointer), sizeof(CUdeviceptr));
  assert_int_equal(sizeof(cu_device), sizeof(CUdevice));
  assert_int_equal(sizeof(cu_result), sizeof(CUresult));
}

static void numbers_are_the_toolkits(void **state) {
  (void)state;
  assert_int_equal(CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
  assert_int_equal(CU_INVALID_IMAGE, CUDA_ERROR_INVALID_IMAGE);
  assert_int_equal(CU_NO_BINARY_FOR_GPU, CUDA_ERROR_NO_BINARY_FOR_GPU);
  assert_int_equal(CU_UNSUPPORTED_PTX_VERSION, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  assert_int_equal(CU_INVALID_SOURCE, CUDA_ERROR_INVALID_SOURCE);
  assert_int_equal(CU_ATTRIBUTE_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  assert_int_equal(CU_ATTRIBUTE_L2_BYTES, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  assert_int_equal(CU_ATTRIBUTE_COMPUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  assert_int_equal(CU_ATTRIBUTE_COMPUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  assert_int_equal(CU_ATTRIBUTE_SHARED_OPTIN_BYTES, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  assert_int_equal(CU_FUNCTION_MAX_DYNAMIC_SHARED_BYTES, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  assert_int_equal(CU_STREAM_FLAG_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
  assert_int_equal(CU_LAUNCH_CLUSTER_DIMENSION, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
  assert_int_equal(CU_LAUNCH_PROGRAMMATIC_SERIALIZATION, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(layouts_are_the_toolkits), cmocka_unit_test(numbers_are_the_toolkits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
