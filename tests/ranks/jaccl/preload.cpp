/*
 * Brings MLX's jaccl, compiled here, into the MLX of a Linux wheel, which was built without: preloaded, this is asked for groups before
 * that. Only the choice of the backend is ours; the group and all it does is MLX's own code.
 */
#include <dlfcn.h>

#include <memory>

#include "mlx/distributed/distributed.h"
#include "mlx/distributed/distributed_impl.h"

namespace mlx::core::distributed {

namespace jaccl {
bool is_available();
std::shared_ptr<detail::GroupImpl> init(bool strict);
} // namespace jaccl

namespace {

std::shared_ptr<detail::GroupImpl> made;

/** The library's own function of that name. */
template <class Of>
Of* theirs(const char* name) {
  return reinterpret_cast<Of*>(dlsym(RTLD_NEXT, name));
}

} // namespace

bool is_available(const std::string& backend) {
  if (backend == "jaccl") return jaccl::is_available();
  return theirs<bool(const std::string&)>(
      "_ZN3mlx4core11distributed12is_availableERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE")(backend);
}

Group init(bool strict, const std::string& backend) {
  if (backend == "jaccl") {
    if (!made) made = jaccl::init(strict);
    return Group(made);
  }
  return theirs<Group(bool, const std::string&)>(
      "_ZN3mlx4core11distributed4initEbRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE")(strict, backend);
}

void clear_backends() {
  made.reset();
  theirs<void()>("_ZN3mlx4core11distributed14clear_backendsEv")();
}

} // namespace mlx::core::distributed
