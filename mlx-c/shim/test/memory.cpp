#include <algorithm>
#include <cstdlib>
#include <thread>
#include <vector>

#include "exo.h"
#include "mlx/c/mlx.h"
#include "test.h"

namespace {

mlx_array matrix() {
  const float values[] = {1, 2, 3, 4, 5, 6};
  const int shape[] = {2, 3};
  return mlx_array_new_data(values, shape, 2, MLX_FLOAT32);
}

mlx_array zerosOf(int bytes) {
  mlx_array made = mlx_array_new();
  CHECK_EQUAL(exo_zeros(&made, &bytes, 1, MLX_UINT8), 0);
  return made;
}

uint8_t* bytesOf(mlx_array of) {
  return const_cast<uint8_t*>(mlx_array_data_uint8(of));
}

} // namespace

TEST(live_arrays_counts_handles_made_and_freed) {
  int64_t before = exo_live_arrays();
  mlx_array empty = mlx_array_new();
  CHECK_EQUAL(exo_live_arrays() - before, 0);
  mlx_array a = matrix();
  CHECK_EQUAL(exo_live_arrays() - before, 1);
  mlx_array_set(&empty, a);
  CHECK_EQUAL(exo_live_arrays() - before, 2);
  // A handle that is assigned again holds another array but is still one handle.
  mlx_array_set(&empty, a);
  CHECK_EQUAL(exo_live_arrays() - before, 2);
  mlx_array_free(a);
  mlx_array_free(empty);
  mlx_array_free(mlx_array{nullptr});
  CHECK_EQUAL(exo_live_arrays() - before, 0);
}

TEST(results_of_operations_and_of_vectors_are_counted) {
  int64_t before = exo_live_arrays();
  mlx_stream stream = mlx_default_cpu_stream_new();
  mlx_array a = matrix();
  mlx_array sum = mlx_array_new();
  CHECK_EQUAL(mlx_add(&sum, a, a, stream), 0);
  mlx_vector_array both = mlx_vector_array_new();
  CHECK_EQUAL(mlx_vector_array_append_value(both, a), 0);
  CHECK_EQUAL(mlx_vector_array_append_value(both, sum), 0);
  mlx_array second = mlx_array_new();
  CHECK_EQUAL(mlx_vector_array_get(&second, both, 1), 0);
  CHECK_EQUAL(exo_live_arrays() - before, 3);
  mlx_vector_array_free(both);
  const mlx_array all[] = {a, sum, second};
  CHECK_EQUAL(exo_free_arrays(all, 3), 0);
  mlx_stream_free(stream);
  CHECK_EQUAL(exo_live_arrays() - before, 0);
}

TEST(a_failed_operation_leaves_no_handle) {
  int64_t before = exo_live_arrays();
  mlx_stream stream = mlx_default_cpu_stream_new();
  mlx_array a = matrix();
  mlx_array out = mlx_array_new();
  CHECK_EQUAL(mlx_matmul(&out, a, a, stream), 1);
  CHECK(out.ctx == nullptr);
  mlx_array_free(a);
  mlx_stream_free(stream);
  CHECK_EQUAL(exo_live_arrays() - before, 0);
}

TEST(bulk_free_skips_nulls_and_takes_none) {
  int64_t before = exo_live_arrays();
  std::vector<mlx_array> arrays;
  for (int i = 0; i < 1000; i++) {
    arrays.push_back(i % 3 == 0 ? mlx_array{nullptr} : matrix());
  }
  CHECK_EQUAL(exo_live_arrays() - before, 666);
  CHECK_EQUAL(exo_free_arrays(arrays.data(), arrays.size()), 0);
  CHECK_EQUAL(exo_free_arrays(nullptr, 0), 0);
  CHECK_EQUAL(exo_live_arrays() - before, 0);
}

TEST(handles_freed_on_another_thread_are_counted) {
  int64_t before = exo_live_arrays();
  std::vector<mlx_array> arrays;
  for (int i = 0; i < 100; i++) {
    arrays.push_back(matrix());
  }
  std::thread([&] { exo_free_arrays(arrays.data(), arrays.size()); }).join();
  CHECK_EQUAL(exo_live_arrays() - before, 0);
}

TEST(read_evaluates_and_copies_row_major) {
  mlx_stream stream = mlx_default_cpu_stream_new();
  mlx_array a = matrix();
  mlx_array turned = mlx_array_new();
  CHECK_EQUAL(mlx_transpose(&turned, a, stream), 0);
  float values[6];
  CHECK_EQUAL(exo_read(turned, values, sizeof values), 0);
  std::ostringstream text;
  for (float value : values) {
    text << value << " ";
  }
  CHECK_EQUAL(text.str(), "1 4 2 5 3 6 ");
  const mlx_array all[] = {a, turned};
  exo_free_arrays(all, 2);
  mlx_stream_free(stream);
}

TEST(read_refuses_a_buffer_of_another_size) {
  mlx_array a = matrix();
  float values[6];
  CHECK_EQUAL(exo_read(a, values, sizeof values - 1), 1);
  CHECK_EQUAL(std::string(exo_last_error()), "[exo_read] the array takes 24 bytes, the caller has room for 23");
  CHECK_EQUAL(exo_read(mlx_array{nullptr}, values, 0), 1);
  mlx_array_free(a);
}

TEST(read_of_a_broadcast_copies_every_element) {
  mlx_stream stream = mlx_default_cpu_stream_new();
  mlx_array one = mlx_array_new_float(7);
  mlx_array wide = mlx_array_new();
  const int shape[] = {2, 2};
  CHECK_EQUAL(mlx_broadcast_to(&wide, one, shape, 2, stream), 0);
  float values[4] = {};
  CHECK_EQUAL(exo_read(wide, values, sizeof values), 0);
  CHECK_EQUAL(values[0] + values[1] + values[2] + values[3], 28.0f);
  const mlx_array all[] = {one, wide};
  exo_free_arrays(all, 2);
  mlx_stream_free(stream);
}

TEST(freed_memory_goes_back_to_the_system_when_asked) {
  std::vector<void*> blocks(1 << 15);
  for (auto& block : blocks) block = std::calloc(1024, 1);
  // The last block keeps the heap's end where it is.
  void* last = std::calloc(1024, 1);
  for (void* block : blocks) std::free(block);
#if defined(EXO_OTHER_MALLOC)
  // A sanitizer's own, from which nothing is given back.
  exo_trim_memory();
#elif defined(__GLIBC__)
  CHECK_EQUAL(exo_trim_memory(), 1);
#else
  CHECK_EQUAL(exo_trim_memory(), 0);
#endif
  std::free(last);
}

TEST(zeros_of_some_size_lie_side_by_side) {
  constexpr int kBytes = 100'000;
  mlx_array first = zerosOf(kBytes), second = zerosOf(kBytes);
  ptrdiff_t apart = bytesOf(second) - bytesOf(first);
  CHECK(apart >= kBytes + 8 && apart < kBytes + 128);
  std::fill(bytesOf(first), bytesOf(first) + kBytes, 1);
  CHECK_EQUAL(std::count(bytesOf(second), bytesOf(second) + kBytes, 0), kBytes);
  mlx_array_free(second);
  CHECK_EQUAL(std::count(bytesOf(first), bytesOf(first) + kBytes, 1), kBytes);
  // What is given up is not handed out again with what was written into it.
  mlx_array third = zerosOf(kBytes);
  CHECK_EQUAL(std::count(bytesOf(third), bytesOf(third) + kBytes, 0), kBytes);
  mlx_array_free(first);
  mlx_array_free(third);
}

TEST(zeros_larger_than_a_block_are_zeros_to_their_end) {
  constexpr int kBytes = (1 << 25) + 12345;
  mlx_array large = zerosOf(kBytes), beside = zerosOf(1 << 20);
  bytesOf(large)[kBytes - 1] = 1;
  CHECK_EQUAL(std::count(bytesOf(large), bytesOf(large) + kBytes, 0), kBytes - 1);
  CHECK_EQUAL(std::count(bytesOf(beside), bytesOf(beside) + (1 << 20), 0), 1 << 20);
  mlx_array_free(large);
  mlx_array_free(beside);
}
