#include "settings.hpp"

#include <charconv>
#include <cstring>

namespace exo {
namespace {

/** More than any machine this runs on has cores; a mistyped number must not start thousands of threads. */
constexpr int kThreadsMax = 256;

/** "a, b or c". */
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

} // namespace

int threadsTold(const char* told) {
  if (!told || !*told) return 0;
  int threads = 0;
  const char* end = told + std::strlen(told);
  auto [rest, failure] = std::from_chars(told, end, threads);
  if (failure == std::errc() && rest == end && threads >= 1 && threads <= kThreadsMax) return threads;
  throw SettingError(
      "EXO_THREADS=" + std::string(told) + " is not a number of threads\nuse a whole number from 1 to " +
      std::to_string(kThreadsMax) + ", or leave it unset: then it is one for each core");
}

size_t setTold(const char* told, const std::vector<SetOffered>& offered) {
  std::vector<std::string> usable;
  size_t best = offered.size();
  bool known = false;
  for (size_t i = 0; i < offered.size(); ++i) {
    const auto& [name, runs] = offered[i];
    bool named = told && (name == told || (i + 1 == offered.size() && std::strcmp(told, "portable") == 0));
    if (named && runs) return i;
    known = known || named;
    if (runs) usable.push_back(name);
    if (runs && best == offered.size()) best = i;
  }
  if (!told || !*told || std::strcmp(told, "mlx") == 0) return best;
  std::string why = known ? " needs instructions that this processor does not have" : " is no set of kernels that this exo has";
  usable.push_back("mlx");
  throw SettingError(
      "EXO_CPU_KERNELS=" + std::string(told) + why + "\nuse " + listed(usable) +
      ", or leave it unset: then it is " + offered[best].name);
}

} // namespace exo
