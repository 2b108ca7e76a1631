// mlx-c's private headers use std::format, which libstdc++ has from GCC 13 on. For older ones this offers the one form
// they use, "{}" in order. Included before everything else.
#pragma once

#include <string>
#include <string_view>
#include <version>

#ifdef __cpp_lib_format
#include <format>
#else
#include <sstream>

namespace std {
template <typename... Args>
string format(string_view text, const Args&... args) {
  ostringstream out;
  size_t at = 0;
  auto put = [&](const auto& value) {
    size_t hole = text.find("{}", at);
    if (hole == string_view::npos) return;
    out << text.substr(at, hole - at) << value;
    at = hole + 2;
  };
  (put(args), ...);
  out << text.substr(at);
  return out.str();
}
} // namespace std
#endif
