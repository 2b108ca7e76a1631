// Takes the place of mlx-c's error.cpp, whose default handler ends the process and which uses the text of an error, with
// file and tensor names in it, as a printf format. Here the text is kept per thread and read back by exo_last_error().
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "exo.h"
#include "mlx/c/error.h"
#include "mlx/mlx.h"

namespace {

thread_local std::string last_error;
thread_local bool has_error = false;

/** mlx-c lets a program set a handler; ours works without one, but a handler that is set is still called. */
struct Handler {
  mlx_error_handler_func call = nullptr;
  std::shared_ptr<void> data;
};
std::mutex handler_mutex;
Handler handler;

#ifndef __APPLE__
/** mx.compile makes code slower on the CPU backend. MLX reads the variable at its first use; a user's own value stays. */
__attribute__((constructor)) void before_first_use() {
  setenv("MLX_DISABLE_COMPILE", "1", 0);
}
#endif

} // namespace

// The variadic part exists only for mlx-c's own declaration: all its callers pass a finished text.
extern "C" void _mlx_error(const char*, const int, const char* text, ...) {
  last_error.assign(text ? text : "unknown error");
  has_error = true;
  Handler current;
  {
    std::lock_guard<std::mutex> guard(handler_mutex);
    current = handler;
  }
  if (current.call) {
    current.call(last_error.c_str(), current.data.get());
  }
}

extern "C" void mlx_set_error_handler(mlx_error_handler_func call, void* data, void (*dtor)(void*)) {
  Handler next{call, dtor ? std::shared_ptr<void>(data, dtor) : std::shared_ptr<void>(data, [](void*) {})};
  std::lock_guard<std::mutex> guard(handler_mutex);
  std::swap(handler, next);
}

extern "C" const char* exo_last_error(void) {
  return has_error ? last_error.c_str() : nullptr;
}

extern "C" void exo_clear_error(void) {
  has_error = false;
}

extern "C" int exo_abi(void) {
  return EXO_ABI;
}

extern "C" const char* exo_versions(void) {
  static const std::string text = std::string("{\"abi\":") + std::to_string(EXO_ABI) + ",\"mlx\":\"" +
      mlx::core::version() + "\",\"mlxC\":\"" EXO_MLX_C_VERSION "\"}";
  return text.c_str();
}
