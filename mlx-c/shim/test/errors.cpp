#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "exo.h"
#include "mlx/c/mlx.h"
#include "test.h"

namespace {

/** Makes mlx-c fail with a text that holds `name`. */
int fail_with(const char* name) {
  mlx_array out = mlx_array_new();
  mlx_stream stream = mlx_default_cpu_stream_new();
  int code = mlx_load(&out, name, stream);
  mlx_stream_free(stream);
  mlx_array_free(out);
  return code;
}

std::string error() {
  const char* text = exo_last_error();
  return text ? text : "(none)";
}

} // namespace

TEST(a_percent_sign_in_an_error_is_text_and_not_a_format) {
  exo_clear_error();
  CHECK_EQUAL(fail_with("/nowhere/%s%n%s%n%d%100000d.npy"), 1);
  CHECK(error().find("/nowhere/%s%n%s%n%d%100000d.npy") != std::string::npos);
}

TEST(an_error_names_no_source_file_of_the_build) {
  CHECK_EQUAL(fail_with("/nowhere/a.npy"), 1);
  CHECK_EQUAL(error().find(".cpp"), std::string::npos);
}

TEST(a_cleared_error_is_gone) {
  CHECK_EQUAL(fail_with("/nowhere/a.npy"), 1);
  exo_clear_error();
  CHECK_EQUAL(error(), "(none)");
}

TEST(an_error_belongs_to_the_thread_that_made_it) {
  exo_clear_error();
  std::string other;
  std::thread([&] {
    fail_with("/nowhere/other.npy");
    other = error();
  }).join();
  CHECK_EQUAL(error(), "(none)");
  CHECK(other.find("other.npy") != std::string::npos);
}

TEST(threads_that_fail_at_once_each_read_their_own_error) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; t++) {
    threads.emplace_back([t, &wrong] {
      std::string name = "/nowhere/" + std::to_string(t) + "%s.npy";
      for (int i = 0; i < 200; i++) {
        fail_with(name.c_str());
        wrong += error().find(name) == std::string::npos;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK_EQUAL(wrong.load(), 0);
}

TEST(a_null_array_is_an_error_and_not_a_crash) {
  mlx_array out = mlx_array_new();
  mlx_stream stream = mlx_default_cpu_stream_new();
  CHECK_EQUAL(mlx_exp(&out, mlx_array{nullptr}, stream), 1);
  CHECK_EQUAL(error(), "expected a non-empty mlx_array");
  mlx_stream_free(stream);
}

TEST(a_handler_that_is_set_is_called_with_its_data_and_errors_are_still_kept) {
  std::string heard;
  mlx_set_error_handler([](const char* text, void* data) { *static_cast<std::string*>(data) = text; }, &heard, nullptr);
  CHECK_EQUAL(fail_with("/nowhere/heard.npy"), 1);
  mlx_set_error_handler(nullptr, nullptr, nullptr);
  CHECK_EQUAL(heard, error());
  CHECK(heard.find("heard.npy") != std::string::npos);
}

TEST(a_reader_that_gives_too_few_bytes_is_an_error_with_the_numbers) {
  mlx_io_vtable table{};
  table.is_open = [](void*) { return true; };
  table.good = [](void*) { return true; };
  table.tell = [](void*) { return size_t{0}; };
  table.seek = [](void*, int64_t, int) { return 0; };
  table.read = [](void*, char*, size_t) { return size_t{3}; };
  table.read_at_offset = [](void*, char*, size_t, size_t) { return size_t{3}; };
  table.label = [](void*) { return "short"; };
  table.free = [](void*) {};
  mlx_io_reader reader = mlx_io_reader_new(nullptr, table);
  mlx_stream stream = mlx_default_cpu_stream_new();
  mlx_map_string_to_array arrays = mlx_map_string_to_array_new();
  mlx_map_string_to_string metadata = mlx_map_string_to_string_new();
  CHECK_EQUAL(mlx_load_safetensors_reader(&arrays, &metadata, reader, stream), 1);
  CHECK_EQUAL(error(), "[mlx_io_reader] unable to read 8 bytes (read 3 instead) in short");
  mlx_map_string_to_string_free(metadata);
  mlx_map_string_to_array_free(arrays);
  mlx_stream_free(stream);
  mlx_io_reader_free(reader);
}

TEST(the_versions_are_those_of_the_pins) {
  CHECK_EQUAL(std::string(exo_versions()), "{\"abi\":1,\"mlx\":\"" EXO_MLX_PIN "\",\"mlxC\":\"" EXO_MLX_C_PIN "\"}");
  CHECK_EQUAL(exo_abi(), EXO_ABI);
}

#ifndef __APPLE__
TEST(compile_is_off_on_the_cpu) {
  CHECK_EQUAL(std::string(std::getenv("MLX_DISABLE_COMPILE")), "1");
}
#endif
