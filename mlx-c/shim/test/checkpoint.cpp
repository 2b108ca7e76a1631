#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "checkpoint.h"
#include "exo.h"
#include "ggml.h"
#include "kernels.h"
#include "mlx/c/mlx.h"
#include "test.h"

namespace {

/** A file of the test's own bytes, opened; gone at the end. */
class Weights {
 public:
  explicit Weights(const void* bytes, size_t count) {
    int descriptor = mkstemp(path_.data());
    CHECK(descriptor >= 0);
    CHECK_EQUAL(write(descriptor, bytes, count), static_cast<ssize_t>(count));
    close(descriptor);
    CHECK_EQUAL(exo_file_open(&file, path_.c_str()), 0);
  }
  ~Weights() {
    exo_file_free(file);
    unlink(path_.c_str());
  }
  exo_file file{nullptr};

 private:
  std::string path_ = "/tmp/exo-shim-XXXXXX";
};

std::vector<float> numbers(size_t count) {
  std::vector<float> result(count);
  for (size_t i = 0; i < count; i++) result[i] = static_cast<float>(i);
  return result;
}

std::vector<float> valuesOf(mlx_array array) {
  std::vector<float> result(mlx_array_size(array));
  CHECK_EQUAL(exo_read(array, result.data(), result.size() * sizeof(float)), 0);
  return result;
}

/** Memory of this process, from proc(5); 0 where there is no such file. */
int64_t residentBytes() {
  long long pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %lld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * sysconf(_SC_PAGESIZE);
}

mlx_array part(mlx_vector_array parts, size_t index) {
  mlx_array found = mlx_array_new();
  CHECK_EQUAL(mlx_vector_array_get(&found, parts, index), 0);
  return found;
}

} // namespace

TEST(a_large_piece_is_mapped_and_outlives_its_file) {
  const auto wanted = numbers(100000);
  mlx_array array = mlx_array_new();
  {
    Weights weights(wanted.data(), wanted.size() * 4);
    const int64_t span[] = {0, 0, 400000, 1, 400000};
    const int shape[] = {100, 1000};
    CHECK_EQUAL(exo_file_array(&array, &weights.file, 1, span, 1, shape, 2, MLX_FLOAT32), 0);
  }
  CHECK(valuesOf(array) == wanted);
  mlx_array_free(array);
}

TEST(pieces_far_apart_are_gathered_in_order) {
  const auto all = numbers(1000);
  Weights weights(all.data(), all.size() * 4);
  const int64_t spans[] = {0, 2000, 8, 2, 400, 0, 4, 4, 1, 4};
  const int shape[] = {5};
  mlx_array array = mlx_array_new();
  CHECK_EQUAL(exo_file_array(&array, &weights.file, 1, spans, 2, shape, 1, MLX_FLOAT32), 0);
  CHECK(valuesOf(array) == (std::vector<float>{500, 501, 600, 601, 1}));
  mlx_array_free(array);
}

TEST(weights_of_a_large_file_outlive_it_and_give_their_memory_back_one_by_one) {
  constexpr size_t kCount = size_t{1} << 22;
  const auto all = numbers(kCount);
  const int half[] = {kCount / 2};
  const std::vector<float> even(all.begin(), all.begin() + kCount / 2), odd(all.begin() + kCount / 2, all.end());
  mlx_array arrays[] = {mlx_array_new(), mlx_array_new()};
  {
    Weights weights(all.data(), all.size() * 4);
    for (int64_t i = 0; i < 2; i++) {
      // In two pieces, so that it is read and not mapped.
      const int64_t quarter = kCount, spans[] = {0, i * 2 * quarter, quarter, 2, quarter};
      CHECK_EQUAL(exo_file_array(&arrays[i], &weights.file, 1, spans, 1, half, 1, MLX_FLOAT32), 0);
    }
  }
  CHECK(valuesOf(arrays[0]) == even);
  CHECK(valuesOf(arrays[1]) == odd);
  const int64_t filled = residentBytes();
  mlx_array_free(arrays[0]);
  const int64_t one = residentBytes();
  mlx_array_free(arrays[1]);
  const int64_t none = residentBytes();
  if (filled == 0) return;
  // 8 MiB each; what else the process does to its memory is little beside that.
  constexpr int64_t kMostOf = 6 << 20;
  CHECK(filled - one > kMostOf);
  CHECK(one - none > kMostOf);
}

TEST(bytes_beyond_the_file_and_shapes_that_do_not_fit_are_errors) {
  const auto all = numbers(10);
  Weights weights(all.data(), all.size() * 4);
  mlx_array array = mlx_array_new();
  const int64_t beyond[] = {0, 8, 40, 1, 40}, whole[] = {0, 0, 40, 1, 40}, nowhere[] = {1, 0, 40, 1, 40}, huge[] = {0, 0, 40, INT64_MAX, INT64_MAX};
  const int ten[] = {10}, nine[] = {9};
  CHECK_EQUAL(exo_file_array(&array, &weights.file, 1, beyond, 1, ten, 1, MLX_FLOAT32), 1);
  CHECK_EQUAL(exo_file_array(&array, &weights.file, 1, whole, 1, nine, 1, MLX_FLOAT32), 1);
  CHECK_EQUAL(exo_file_array(&array, &weights.file, 1, nowhere, 1, ten, 1, MLX_FLOAT32), 1);
  CHECK_EQUAL(exo_file_array(&array, &weights.file, 1, huge, 1, ten, 1, MLX_FLOAT32), 1);
  mlx_array_free(array);
}

TEST(blocks_of_four_bits_become_a_packed_weight_with_scales_and_biases) {
  // Two rows of one Q4_1 block: scale 2, minimum -1, then value i = i % 16 in the low nibbles and 15 - i % 16 in the high.
  uint8_t rows[40];
  for (int row = 0; row < 2; row++) {
    uint8_t* block = rows + 20 * row;
    block[0] = 0x00, block[1] = 0x40, block[2] = 0x00, block[3] = 0xbc;
    for (int i = 0; i < 16; i++) block[4 + i] = static_cast<uint8_t>(row == 0 ? i | (15 - i) << 4 : 0);
  }
  Weights weights(rows, sizeof rows);
  const int64_t range[] = {3, 0, 32, 2, 1, 0, 2, 0, 32, 0, 1, 0};
  mlx_vector_array parts = mlx_vector_array_new();
  CHECK_EQUAL(exo_ggml_array(&parts, weights.file, range, false), 0);
  mlx_array weight = part(parts, 0), scales = part(parts, 1), biases = part(parts, 2), values = mlx_array_new();
  mlx_stream stream = mlx_default_cpu_stream_new();
  mlx_optional_int group{32, true}, bits{4, true};
  mlx_optional_dtype dtype{MLX_FLOAT32, true};
  CHECK_EQUAL(mlx_dequantize(&values, weight, scales, biases, group, bits, "affine", mlx_array{nullptr}, dtype, stream), 0);
  std::vector<float> wanted;
  for (int i = 0; i < 16; i++) wanted.push_back(2.0f * i - 1);
  for (int i = 0; i < 16; i++) wanted.push_back(2.0f * (15 - i) - 1);
  wanted.resize(64, -1.0f);
  CHECK(valuesOf(values) == wanted);
  for (mlx_array array : {weight, scales, biases, values}) mlx_array_free(array);
  mlx_vector_array_free(parts);
  mlx_stream_free(stream);
}

TEST(biases_that_make_up_for_the_middle_of_codes_need_not_be_read) {
  // Rows of Q4_0 blocks: a scale of some size, and codes of any kind.
  constexpr int kRows = 8, kColumns = 512, kBlocks = kRows * kColumns / 32;
  std::vector<uint8_t> bytes(kBlocks * 18);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = i % 18 == 1 ? 0x2c + i % 5 : static_cast<uint8_t>(i * 41 + i / 7);
  Weights weights(bytes.data(), bytes.size());
  const int64_t range[] = {2, 0, kColumns, kRows, 1, 0, kRows, 0, kColumns, 0, 1, 0};
  mlx_vector_array parts = mlx_vector_array_new();
  CHECK_EQUAL(exo_ggml_array(&parts, weights.file, range, false), 0);
  mlx_array weight = part(parts, 0), scales = part(parts, 1), biases = part(parts, 2);
  mlx_array copied = mlx_array_new(), doubled = mlx_array_new(), negative = mlx_array_new();
  mlx_stream stream = mlx_default_cpu_stream_new();
  CHECK_EQUAL(mlx_negative(&negative, biases, stream), 0);
  CHECK_EQUAL(mlx_negative(&copied, negative, stream), 0);
  CHECK_EQUAL(mlx_add(&doubled, biases, biases, stream), 0);
  std::vector<float> x(kColumns);
  for (int i = 0; i < kColumns; ++i) x[i] = static_cast<float>(i % 23) - 9.5f;
  const int shape[] = {1, kColumns};
  mlx_array values = mlx_array_new_data(x.data(), shape, 2, MLX_FLOAT32);
  auto product = [&](mlx_array of) {
    mlx_array made = mlx_array_new();
    CHECK_EQUAL(exo_quantized_linear(&made, values, weight, scales, of, 32, 4, "affine", stream), 0);
    std::vector<float> found = valuesOf(made);
    mlx_array_free(made);
    return found;
  };
  CHECK(product(biases) == product(copied));
  CHECK(product(biases) != product(doubled));
  for (mlx_array array : {weight, scales, biases, copied, doubled, negative, values}) mlx_array_free(array);
  mlx_vector_array_free(parts);
  mlx_stream_free(stream);
}

TEST(a_range_outside_the_tensor_or_the_file_is_an_error) {
  uint8_t rows[40] = {};
  Weights weights(rows, sizeof rows);
  const int64_t sound[12] = {3, 0, 32, 2, 1, 0, 2, 0, 32, 0, 1, 0};
  const int64_t wrong[][2] = {{0, 99}, {1, 1}, {2, 33}, {3, 3}, {3, INT64_MAX}, {4, INT64_MAX}, {6, 3}, {7, 32}, {8, 16}, {10, 2}, {11, 3}, {5, -1}};
  for (const auto& [at, value] : wrong) {
    int64_t range[12];
    std::copy(sound, sound + 12, range);
    range[at] = value;
    // Rows beyond what the file holds are only wrong if they are asked for.
    if (at == 3) range[6] = 1;
    mlx_vector_array parts = mlx_vector_array_new();
    CHECK_EQUAL(exo_ggml_array(&parts, weights.file, range, false), 1);
    mlx_vector_array_free(parts);
  }
}
