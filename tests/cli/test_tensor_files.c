/* Tensor files: round trips, and everything that a reader must refuse, by name. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "console.h"
#include "output_file.h"
#include "program.h"
#include "temporary.h"
#include "tensor.h"

/* A safetensors file of a header (padded by the caller) and some bytes of data. */
static void write_safetensors(const char *path, const char *header, size_t data_bytes) {
  uint64_t length = strlen(header);
  char *file = calloc(1, 8 + length + data_bytes + 1);
  memcpy(file, &length, 8);
  memcpy(file + 8, header, length);
  for (size_t i = 0; i < data_bytes; ++i) file[8 + length + i] = (char)(i + 1);
  program_write_file(path, file, 8 + length + data_bytes);
  free(file);
}

static void write_npy(const char *path, const char *header, size_t data_bytes) {
  uint16_t length = (uint16_t)strlen(header);
  char *file = calloc(1, 10 + length + data_bytes + 1);
  memcpy(file, "\x93NUMPY\x01\x00", 8);
  memcpy(file + 8, &length, 2);
  memcpy(file + 10, header, length);
  for (size_t i = 0; i < data_bytes; ++i) file[10 + length + i] = (char)(i + 1);
  program_write_file(path, file, 10 + length + data_bytes);
  free(file);
}

static void refused(const char *path, const char *what, const char *rule) {
  smla_tensor_file file;
  snapmla_status status = smla_tensor_file_open(&file, path, "x");
  if (status == SNAPMLA_BAD_FORMAT && strstr(smla_console_reason(), rule) && strstr(smla_console_reason(), path))
    return;
  fail_msg("%s: status %d, '%s', expected '%s'", what, (int)status, status ? smla_console_reason() : "", rule);
}

static void safetensors_refused(void **state) {
  static const struct {
    const char *header;
    size_t data_bytes;
    const char *rule;
  } cases[] = {
      {"[]", 0, "neither a .safetensors nor a .npy"},
      {"{\"a\":", 0, "not JSON"},
      {"{} x", 0, "not JSON"},
      {"{\"a\":{\"a\":{\"a\":{}}}}", 0, "nests deeper than 3"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
       "\"data_offsets\":[0,4]}}",
       4, "not JSON"},
      {"{\"a\":3}", 0, "tensor a: an entry has exactly"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a: an entry has exactly"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "an entry has exactly"},
      {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a name is not empty"},
      {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "its dtype is unknown"},
      {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "an entry has exactly"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "more than 8 dimensions"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "a dimension is not an integer"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "dimension 0 is -1"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, "exceeds 63 bits"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551617],\"data_offsets\":[0,4]}}", 4, "not JSON"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", 4, "data_offsets are two integers"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "not negative and in order"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "not negative and in order"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "outside the file: it is truncated"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "do not fit its dtype and shape"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
       "\"data_offsets\":[2,4]}}",
       4, "tensor b: its data overlap"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
       "\"data_offsets\":[2,4]}}",
       4, "tensor b: there is a hole"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 4, "1 bytes follow the last tensor"},
      {"{\"__metadata__\":[1]}", 0, "__metadata__ is not an object of strings"},
      {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ is not an object of strings (key k)"},
  };
  const char *path = in(state, "t.safetensors");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    write_safetensors(path, cases[i].header, cases[i].data_bytes);
    refused(path, cases[i].header, cases[i].rule);
  }
}

static void safetensors_lengths(void **state) {
  const char *path = in(state, "t.safetensors");
  char file[32] = {0};
  uint64_t length = UINT64_MAX - 7;
  file[8] = '{';
  file[9] = '}';
  memcpy(file, &length, 8);
  program_write_file(path, file, 10);
  refused(path, "a header of nearly 2^64 bytes", "the header claims 18446744073709551608 bytes");
  length = 3;
  memcpy(file, &length, 8);
  program_write_file(path, file, 10);
  refused(path, "a header beyond the end", "is truncated");
  program_write_file(path, file, 9);
  refused(path, "9 bytes", "too short");
  program_write_file(path, "", 0);
  refused(path, "nothing", "too short");
}

static void npy_refused(void **state) {
  static const struct {
    const char *header;
    size_t data_bytes;
    const char *rule;
  } cases[] = {
      {"", 0, "not a dictionary"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", 8, "not a dictionary"},
      {"{'descr': '<f4', 'fortran_order': False}", 4, "lacks descr, fortran_order or shape"},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, "it is in Fortran order: save"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2), }", 16, "neither True nor False"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2), }", 16, "big endian: save"},
      {"{'descr': '=f4', 'fortran_order': False, 'shape': (2, 2), }", 16, "no byte order"},
      {"{'descr': '<f3', 'fortran_order': False, 'shape': (2, 2), }", 16, "its dtype is not read"},
      {"{'descr': '<', 'fortran_order': False, 'shape': (2, 2), }", 16, "its dtype is not read"},
      {"{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }", 32, "its dtype is not read"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8, "structured arrays are not read"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, "a key twice"},
      {"{'descr': '<f4', 'order': False, 'shape': (2,), }", 8, "a key other than"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2), }", 8, "not a tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': [2], }", 8, "not a tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8, "not an integer of 63 bits, or negative"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }", 8, "not an integer of 63 bits"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 8, "exceeds 63 bits"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4, "more than 8 dimensions"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } 1", 8, "text follows"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7, "is truncated"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9, "has trailing bytes"},
      {"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (2,), }", 8, "structured arrays are not read"},
  };
  const char *path = in(state, "t.npy");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    write_npy(path, cases[i].header, cases[i].data_bytes);
    refused(path, cases[i].header, cases[i].rule);
  }
  program_write_file(path, "\x93NUMPY\x04\x00\x02\x00{}", 12);
  refused(path, "version 4", "version 4.0 of .npy is unknown");
  program_write_file(path, "\x93NUMPY\x01\x00\xff\x00{}", 12);
  refused(path, "a header beyond the end", "truncated within its header");
  program_write_file(path, "\x93NUMPY\x02\x00\xff\xff", 10);
  refused(path, "a length of half", "truncated within its header");
}

static void npy_accepted(void **state) {
  static const struct {
    const char *header;
    int rank;
    int64_t shape[2];
    smla_dtype dtype;
    size_t bytes;
  } cases[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }        \n", 1, {2}, SMLA_DTYPE_F32, 8},
      {"{\"shape\":(3,1),\"fortran_order\":False,\"descr\":\"<i8\"}", 2, {3, 1}, SMLA_DTYPE_I64, 24},
      {"{'descr': '|u1', 'fortran_order': False, 'shape': (), }", 0, {0}, SMLA_DTYPE_U8, 1},
      {"{'descr': '<f2', 'fortran_order': False, 'shape': (0, 5), }", 2, {0, 5}, SMLA_DTYPE_F16, 0},
  };
  const char *path = in(state, "t.npy");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    smla_tensor_file file;
    write_npy(path, cases[i].header, cases[i].bytes);
    if (smla_tensor_file_open(&file, path, "x")) fail_msg("%s: %s", cases[i].header, smla_console_reason());
    smla_tensor *tensor = smla_tensor_file_find(&file, "x");
    assert_int_equal(tensor->rank, cases[i].rank);
    assert_int_equal(tensor->dtype, cases[i].dtype);
    assert_int_equal(tensor->bytes, cases[i].bytes);
    for (int d = 0; d < tensor->rank; ++d) assert_int_equal(tensor->shape[d], cases[i].shape[d]);
    assert_int_equal(smla_tensor_load(&file, tensor), SNAPMLA_OK);
    for (size_t k = 0; k < tensor->bytes; ++k) assert_int_equal(((uint8_t *)tensor->data)[k], k + 1);
    smla_tensor_file_close(&file);
  }
}

static void not_files(void **state) {
  smla_tensor_file file;
  assert_int_equal(smla_tensor_file_open(&file, in(state, "absent"), "x"), SNAPMLA_NOT_FOUND);
  refused(*state, "a directory", "not a regular file");
  const char *fifo = in(state, "fifo");
  assert_int_equal(mkfifo(fifo, 0600), 0);
  refused(fifo, "a FIFO", "not a regular file");
}

/* Tensors of each width, given in an order that would misalign them; metadata with characters that JSON escapes. */
static void safetensors_round_trip(void **state) {
  const char *path = in(state, "t.safetensors");
  uint8_t bytes[3] = {1, 2, 3};
  uint16_t halves[2] = {0x3f80, 0xff80};
  float singles[3] = {1.5f, -2, 0};
  double doubles[1] = {3.25};
  smla_tensor tensors[] = {
      {.name = (char *)"bytes", .dtype = SMLA_DTYPE_U8, .rank = 1, .shape = {3}, .bytes = 3, .data = bytes},
      {.name = (char *)"half \"é", .dtype = SMLA_DTYPE_BF16, .rank = 2, .shape = {2, 1}, .bytes = 4, .data = halves},
      {.name = (char *)"empty", .dtype = SMLA_DTYPE_F32, .rank = 2, .shape = {0, 7}, .bytes = 0, .data = NULL},
      {.name = (char *)"single", .dtype = SMLA_DTYPE_F32, .rank = 1, .shape = {3}, .bytes = 12, .data = singles},
      {.name = (char *)"double", .dtype = SMLA_DTYPE_F64, .rank = 0, .bytes = 8, .data = doubles},
  };
  const size_t count = sizeof tensors / sizeof *tensors;
  smla_metadata pairs[] = {{(char *)"format", (char *)"pt"}, {(char *)"a\nb", (char *)"\\ \" \t"}};
  smla_tensor_file file;
  assert_int_equal(smla_safetensors_write(path, tensors, count, pairs, 2), SNAPMLA_OK);
  assert_int_equal(program_count_files(*state), 1);
  if (smla_tensor_file_open(&file, path, "x")) fail_msg("%s", smla_console_reason());
  assert_int_equal(file.tensor_count, count);
  assert_string_equal(smla_tensor_file_metadata(&file, "format"), "pt");
  assert_string_equal(smla_tensor_file_metadata(&file, "a\nb"), "\\ \" \t");
  assert_null(smla_tensor_file_metadata(&file, "none"));
  for (size_t i = 0; i < count; ++i) {
    smla_tensor *tensor = smla_tensor_file_find(&file, tensors[i].name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, tensors[i].dtype);
    assert_int_equal(tensor->rank, tensors[i].rank);
    assert_memory_equal(tensor->shape, tensors[i].shape, sizeof tensor->shape);
    assert_int_equal(tensor->bytes, tensors[i].bytes);
    if (tensor->bytes) assert_int_equal(tensor->offset % smla_dtype_bytes(tensor->dtype), 0);
    assert_int_equal(smla_tensor_load(&file, tensor), SNAPMLA_OK);
    if (tensor->bytes) assert_memory_equal(tensor->data, tensors[i].data, tensor->bytes);
  }
  smla_tensor_file_close(&file);
}

static void npy_round_trip(void **state) {
  const char *path = in(state, "t.npy");
  float values[6] = {0, 1, 2, 3, 4, 5};
  for (int rank = 0; rank <= 2; ++rank) {
    smla_tensor tensor = {.name = (char *)"v", .dtype = SMLA_DTYPE_F32, .rank = rank, .data = values};
    tensor.shape[0] = rank == 1 ? 6 : 2;
    tensor.shape[1] = 3;
    tensor.bytes = rank ? sizeof values : sizeof *values;
    smla_output_file output;
    smla_tensor_file file;
    assert_int_equal(smla_output_file_open(&output, path), SNAPMLA_OK);
    assert_int_equal(smla_npy_write(&output, &tensor), SNAPMLA_OK);
    assert_int_equal(smla_output_file_commit(&output), SNAPMLA_OK);
    if (smla_tensor_file_open(&file, path, "v")) fail_msg("rank %d: %s", rank, smla_console_reason());
    assert_int_equal(file.tensors[0].offset % 64, 0);
    assert_int_equal(file.tensors[0].rank, rank);
    assert_int_equal(smla_tensor_load(&file, file.tensors), SNAPMLA_OK);
    assert_memory_equal(file.tensors[0].data, values, tensor.bytes);
    smla_tensor_file_close(&file);
  }
  smla_tensor half = {.name = (char *)"v", .dtype = SMLA_DTYPE_BF16, .rank = 0, .bytes = 2, .data = values};
  smla_output_file output;
  assert_int_equal(smla_output_file_open(&output, path), SNAPMLA_OK);
  assert_int_equal(smla_npy_write(&output, &half), SNAPMLA_UNSUPPORTED);
  smla_output_file_abandon(&output);
  assert_int_equal(program_count_files(*state), 1); /* the last one that was committed */
}

/* Every prefix and every single-byte change of good files is either read or refused; the sanitizers watch. */
static void mutations(void **state) {
  const char *good = in(state, "good"), *bad = in(state, "bad");
  for (int kind = 0; kind < 2; ++kind) {
    if (kind)
      write_npy(good, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }   \n", 8);
    else
      write_safetensors(
          good,
          "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]}}",
          7);
    size_t bytes;
    char *file = program_read_file(good, &bytes);
    static const unsigned char changes[] = {0x01, 0x80, 0xff, '0', '"', '[', ','};
    int accepted = 0, rejected = 0;
    for (size_t i = 0; i < bytes * (1 + sizeof changes); ++i) {
      smla_tensor_file opened;
      size_t at = i % bytes, change = i / bytes;
      char kept = file[at];
      if (change && change <= 3)
        file[at] = (char)(file[at] ^ changes[change - 1]);
      else if (change)
        file[at] = (char)changes[change - 1];
      program_write_file(bad, file, change ? bytes : at);
      file[at] = kept;
      if (smla_tensor_file_open(&opened, bad, "x")) {
        ++rejected;
        assert_true(smla_console_reason()[0]);
        continue;
      }
      ++accepted;
      for (size_t t = 0; t < opened.tensor_count; ++t)
        assert_int_equal(smla_tensor_load(&opened, &opened.tensors[t]), SNAPMLA_OK);
      smla_tensor_file_close(&opened);
    }
    assert_true(accepted > 0 && rejected > accepted);
    free(file);
  }
}

static void outputs_are_whole_or_absent(void **state) {
  const char *path = in(state, "out");
  smla_output_file file;
  program_write_file(path, "old", 3);
  assert_int_equal(smla_output_file_open(&file, path), SNAPMLA_OK);
  assert_int_equal(smla_output_file_write(&file, "new and longer", 14), SNAPMLA_OK);
  assert_int_equal(smla_output_file_finish(&file), SNAPMLA_OK);
  size_t bytes;
  char *text = program_read_file(path, &bytes);
  assert_string_equal(text, "old"); /* until the commit */
  free(text);
  assert_int_equal(smla_output_file_commit(&file), SNAPMLA_OK);
  text = program_read_file(path, &bytes);
  assert_string_equal(text, "new and longer");
  free(text);
  assert_int_equal(smla_output_file_open(&file, path), SNAPMLA_OK);
  smla_output_file_abandon(&file);
  smla_output_file_abandon(&file);
  assert_int_equal(program_count_files(*state), 1);
  assert_int_equal(smla_output_file_save(*state, "x", 1), SNAPMLA_IO);
  assert_int_equal(smla_output_file_save(in(state, "no/such/directory"), "x", 1), SNAPMLA_IO);
  assert_int_equal(smla_path_make_directory(in(state, "a/b//c/")), SNAPMLA_OK);
  assert_true(smla_path_is_directory(in(state, "a/b/c")));
  assert_int_equal(smla_path_make_directory(in(state, "out/c")), SNAPMLA_IO);
}

static void nothing_stays_after_a_signal(void **state) {
  const char *path = in(state, "out");
  int status;
  pid_t child = fork();
  if (!child) {
    smla_output_file file;
    smla_output_file_remove_on_signal();
    if (smla_output_file_open(&file, path) || program_count_files(*state) != 1) _exit(1);
    if (smla_output_file_write(&file, "half", 4)) _exit(2);
    raise(SIGTERM);
    _exit(3);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  assert_int_equal(program_count_files(*state), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(safetensors_refused),
      TEST(safetensors_lengths),
      TEST(npy_refused),
      TEST(npy_accepted),
      TEST(not_files),
      TEST(safetensors_round_trip),
      TEST(npy_round_trip),
      TEST(mutations),
      TEST(outputs_are_whole_or_absent),
      TEST(nothing_stays_after_a_signal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
