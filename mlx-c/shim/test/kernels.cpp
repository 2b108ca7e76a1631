#include "kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "exo.h"
#include "mlx/c/mlx.h"
#include "profile.h"
#include "test.h"

namespace {

/** Frees what a test made; the stream is the CPU's. */
struct Arrays {
  mlx_stream stream = mlx_default_cpu_stream_new();
  std::vector<mlx_array> made;

  ~Arrays() {
    for (mlx_array array : made) mlx_array_free(array);
    mlx_stream_free(stream);
  }

  mlx_array keep(mlx_array array) {
    made.push_back(array);
    return array;
  }

  mlx_array of(const std::vector<float>& values, const std::vector<int>& shape) {
    return keep(mlx_array_new_data(values.data(), shape.data(), static_cast<int>(shape.size()), MLX_FLOAT32));
  }
};

std::vector<float> valuesOf(mlx_array array) {
  CHECK_EQUAL(mlx_array_eval(array), 0);
  const float* values = mlx_array_data_float32(array);
  return {values, values + mlx_array_size(array)};
}

bool near(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size()) return false;
  for (size_t i = 0; i < found.size(); ++i)
    if (!(std::fabs(found[i] - expected[i]) <= 1e-5f)) return false;
  return true;
}

std::vector<float> waves(size_t count, float step) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = std::sin(static_cast<float>(i) * step);
  return values;
}

} // namespace

TEST(kernels_name_their_instruction_set_and_threads) {
  const std::string path = exo_kernel_path();
  const std::vector<std::string> known = {"avx512", "avx512f", "avxvnni", "avx2", "portable", "neon", "neonf", "mlx"};
  CHECK(std::find(known.begin(), known.end(), path) != known.end());
  CHECK(exo_kernel_threads() >= 1);
}

TEST(a_product_adds_its_bias) {
  Arrays arrays;
  mlx_array x = arrays.of({1, 2, 3}, {1, 3}), weight = arrays.of({1, 0, 0, 1, 1, 1}, {2, 3}), bias = arrays.of({10, 20}, {2});
  mlx_array made = mlx_array_new();
  CHECK_EQUAL(exo_linear(&made, x, weight, bias, arrays.stream), 0);
  CHECK(near(valuesOf(arrays.keep(made)), {11, 26}));
}

TEST(a_norm_divides_by_the_root_of_the_mean_square) {
  Arrays arrays;
  mlx_array x = arrays.of({3, 4, 0, 0}, {1, 4}), weight = arrays.of({1, 2, 1, 1}, {4});
  mlx_array made = mlx_array_new();
  CHECK_EQUAL(exo_rms_norm(&made, x, weight, 0, arrays.stream), 0);
  CHECK(near(valuesOf(arrays.keep(made)), {1.2f, 3.2f, 0, 0}));
}

TEST(a_gated_product_is_gate_times_sigmoid_times_up) {
  Arrays arrays;
  mlx_array gate = arrays.of({0, 1, -1, 50, -100}, {5}), up = arrays.of({7, 2, 2, 1, 1}, {5});
  mlx_array made = mlx_array_new();
  CHECK_EQUAL(exo_silu_mul(&made, gate, up, arrays.stream), 0);
  CHECK(near(valuesOf(arrays.keep(made)), {0, 1.4621172f, -0.5378828f, 50, 0}));
}

TEST(a_rotation_by_a_quarter_swaps_a_pair) {
  Arrays arrays;
  // A period of 2 / pi turns by a quarter of a circle at position 1.
  mlx_array x = arrays.of({1, 2, 9}, {1, 1, 1, 3}), periods = arrays.of({0.63661977f}, {1});
  mlx_array made = mlx_array_new();
  mlx_optional_float none{};
  CHECK_EQUAL(exo_rope(&made, x, 2, true, none, 1, 1, periods, arrays.stream), 0);
  CHECK(near(valuesOf(arrays.keep(made)), {-2, 1, 9}));
}

TEST(attention_over_many_keys_is_the_softmax_of_all) {
  Arrays arrays;
  constexpr int keys = 1500, dims = 20;
  std::vector<float> q = waves(dims, 0.7f), k = waves(keys * dims, 0.3f), v = waves(keys * dims, 0.9f), expected(dims);
  double total = 0;
  std::vector<double> mixed(dims);
  for (int j = 0; j < keys; ++j) {
    double score = 0;
    for (int d = 0; d < dims; ++d) score += q[d] * k[j * dims + d];
    total += std::exp(score);
    for (int d = 0; d < dims; ++d) mixed[d] += std::exp(score) * v[j * dims + d];
  }
  for (int d = 0; d < dims; ++d) expected[d] = static_cast<float>(mixed[d] / total);
  mlx_array made = mlx_array_new();
  mlx_array query = arrays.of(q, {1, 1, 1, dims}), key = arrays.of(k, {1, 1, keys, dims}), value = arrays.of(v, {1, 1, keys, dims});
  CHECK_EQUAL(exo_attention(&made, query, key, value, 1, 0, mlx_array{nullptr}, arrays.stream), 0);
  CHECK(near(valuesOf(arrays.keep(made)), expected));
}

TEST(a_new_token_is_written_into_its_cache_and_mixed_with_it) {
  Arrays arrays;
  // Two sequences at different places; keys alike, so that values are mixed evenly.
  mlx_array caches[4];
  for (int i = 0; i < 4; ++i) caches[i] = arrays.of(std::vector<float>(6, i % 2 ? static_cast<float>(i) : 0), {1, 1, 3, 2});
  for (mlx_array cache : caches) CHECK_EQUAL(mlx_array_eval(cache), 0);
  mlx_array x = arrays.of({1, 2, 3, 4}, {2, 1, 2}), zeros = arrays.of({0, 0, 0, 0}, {2, 1, 2});
  const int places[] = {0, 0, 1, 7, 2, 3};
  mlx_array made = mlx_array_new();
  mlx_optional_float none{};
  CHECK_EQUAL(
      exo_cached_attention(&made, x, zeros, x, caches, places, 2, 1, 0, false, none, 1, mlx_array{nullptr}, arrays.stream), 0);
  CHECK(near(valuesOf(arrays.keep(made)), {1, 2, 3, (3 + 3 + 4) / 3.0f}));
  CHECK(near(valuesOf(caches[1]), {1, 2, 1, 1, 1, 1}));
  CHECK(near(valuesOf(caches[3]), {3, 3, 3, 3, 3, 4}));
}

TEST(a_new_token_without_a_place_is_refused) {
  Arrays arrays;
  mlx_array cache = arrays.of({0, 0}, {1, 1, 1, 2}), x = arrays.of({1, 2}, {1, 1, 2});
  mlx_array caches[] = {cache, cache};
  mlx_optional_float none{};
  for (auto [row, seen] : {std::pair{1, 1}, {0, 2}, {0, 0}, {-1, 1}}) {
    const int places[] = {0, row, seen};
    mlx_array made = mlx_array_new();
    CHECK_EQUAL(exo_cached_attention(&made, x, x, x, caches, places, 1, 1, 0, false, none, 1, mlx_array{nullptr}, arrays.stream), 1);
    exo_clear_error();
  }
}

TEST(a_profile_counts_operations_while_it_is_on) {
  Arrays arrays;
  mlx_array x = arrays.of({1, 2}, {1, 2});
  exo_profile(true);
  mlx_array made = mlx_array_new();
  CHECK_EQUAL(exo_silu_mul(&made, x, x, arrays.stream), 0);
  valuesOf(arrays.keep(made));
  mlx_synchronize(arrays.stream);
  exo_profile(false);
  CHECK_EQUAL(std::string(exo_profile_report()).rfind("ExoSiluMul 1x2 1 ", 0), 0u);
}

TEST(a_mask_that_is_no_mask_is_refused) {
  Arrays arrays;
  mlx_array x = arrays.of(waves(4, 1), {1, 1, 1, 4});
  mlx_array made = mlx_array_new();
  CHECK_EQUAL(exo_attention(&made, x, x, x, 1, 7, mlx_array{nullptr}, arrays.stream), 1);
  CHECK(made.ctx == nullptr);
  exo_clear_error();
}

TEST(two_threads_with_streams_of_their_own_share_the_pool) {
  auto multiply = [](bool* right) {
    Arrays arrays;
    constexpr int size = 512;
    mlx_array x = arrays.of(std::vector<float>(size, 1), {1, size});
    mlx_array weight = arrays.of(std::vector<float>(size * size, 2), {size, size});
    *right = true;
    for (int round = 0; round < 200; ++round) {
      mlx_array made = mlx_array_new();
      *right = *right && exo_linear(&made, x, weight, mlx_array{nullptr}, arrays.stream) == 0 && mlx_array_eval(made) == 0 &&
          mlx_array_data_float32(made)[size - 1] == 2 * size;
      mlx_array_free(made);
    }
  };
  bool first = false, second = false;
  std::thread other(multiply, &first);
  multiply(&second);
  other.join();
  CHECK(first && second);
}

namespace {

struct Packed {
  const char* mode;
  int bits, group;
};

const Packed packings[] = {{"affine", 2, 32}, {"affine", 3, 32}, {"affine", 4, 32}, {"affine", 5, 32}, {"affine", 6, 64},
    {"affine", 8, 32}, {"mxfp4", 4, 32}, {"mxfp8", 8, 32}, {"nvfp4", 4, 16}};

/** A weight [rows, columns] of codes that look random, packed so. */
struct Weight {
  mlx_array codes, scales, biases;

  Weight(Arrays& arrays, const Packed& packed, int rows, int columns) : biases{nullptr} {
    std::vector<uint32_t> words(rows * columns * packed.bits / 32);
    for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>((i + 1) * 2654435761u);
    const int shape[] = {rows, columns * packed.bits / 32};
    codes = arrays.keep(mlx_array_new_data(words.data(), shape, 2, MLX_UINT32));
    int groups = columns / packed.group;
    const int scaleShape[] = {rows, groups};
    if (packed.mode[0] == 'a') {
      scales = arrays.of(waves(rows * groups, 0.8f), {rows, groups});
      biases = arrays.of(waves(rows * groups, 1.1f), {rows, groups});
      return;
    }
    std::vector<uint8_t> bytes(rows * groups);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = packed.group == 16 ? 40 + i % 40 : 120 + i % 9;
    scales = arrays.keep(mlx_array_new_data(bytes.data(), scaleShape, 2, MLX_UINT8));
  }

  std::vector<float> unpacked(Arrays& arrays, const Packed& packed) const {
    mlx_array made = mlx_array_new();
    mlx_optional_int group{packed.group, true}, bits{packed.bits, true};
    mlx_optional_dtype type{MLX_FLOAT32, true};
    CHECK_EQUAL(
        mlx_dequantize(&made, codes, scales, biases, group, bits, packed.mode, mlx_array{nullptr}, type, arrays.stream), 0);
    return valuesOf(arrays.keep(made));
  }
};

} // namespace

TEST(a_packed_product_equals_that_of_its_weights) {
  // 320 columns leave a run of every vector width unfilled.
  constexpr int rows = 5, columns = 320;
  for (const Packed& packed : packings) {
    for (int count : {1, 9}) {
      Arrays arrays;
      Weight weight(arrays, packed, rows, columns);
      std::vector<float> x = waves(count * columns, 0.4f), w = weight.unpacked(arrays, packed), expected(count * rows);
      for (int m = 0; m < count; ++m) {
        for (int n = 0; n < rows; ++n) {
          double total = 0;
          for (int k = 0; k < columns; ++k) total += static_cast<double>(x[m * columns + k]) * w[n * columns + k];
          expected[m * rows + n] = static_cast<float>(total / 1e4);
        }
      }
      mlx_array made = mlx_array_new(), values = arrays.of(x, {count, columns});
      CHECK_EQUAL(
          exo_quantized_linear(
              &made, values, weight.codes, weight.scales, weight.biases, packed.group, packed.bits, packed.mode, arrays.stream),
          0);
      std::vector<float> found = valuesOf(arrays.keep(made));
      for (float& value : found) value /= 1e4f;
      CHECK(near(found, expected));
    }
  }
}
