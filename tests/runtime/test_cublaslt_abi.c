/* Our own declarations of cuBLASLt's types and numbers against those of the toolkit's cublasLt.h. */
#include <cublasLt.h>

#include "cmocka_all.h"

#include "cublaslt.h"

static void layouts_are_the_toolkits(void **state) {
  (void)state;
  assert_int_equal(sizeof(lt_layout), sizeof(cublasLtMatrixLayoutOpaque_t));
  assert_int_equal(sizeof(lt_algorithm), sizeof(cublasLtMatmulAlgo_t));
  assert_int_equal(sizeof(lt_choice), sizeof(cublasLtMatmulHeuristicResult_t));
  assert_int_equal(offsetof(lt_choice, workspace_bytes), offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
  assert_int_equal(offsetof(lt_choice, state), offsetof(cublasLtMatmulHeuristicResult_t, state));
  assert_int_equal(sizeof(lt_result), sizeof(cublasStatus_t));
}

static void numbers_are_the_toolkits(void **state) {
  (void)state;
  assert_int_equal(LT_INVALID_VALUE, CUBLAS_STATUS_INVALID_VALUE);
  assert_int_equal(LT_NOT_SUPPORTED, CUBLAS_STATUS_NOT_SUPPORTED);
  assert_int_equal(LT_FP32, CUDA_R_32F);
  assert_int_equal(LT_BF16, CUDA_R_16BF);
  assert_int_equal(LT_COMPUTE_FP32, CUBLAS_COMPUTE_32F);
  assert_int_equal(LT_TRANSPOSED, CUBLAS_OP_T);
  assert_int_equal(LT_DESC_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
  assert_int_equal(LT_PREFERENCE_WORKSPACE_BYTES, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
  assert_int_equal(LT_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
  assert_int_equal(LT_PREFERENCE_ALIGNMENT_A + 1, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
  assert_int_equal(LT_PREFERENCE_ALIGNMENT_A + 2, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
  assert_int_equal(LT_PREFERENCE_ALIGNMENT_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(layouts_are_the_toolkits),
                                     cmocka_unit_test(numbers_are_the_toolkits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
