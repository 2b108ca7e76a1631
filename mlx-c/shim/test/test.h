/* A test is `TEST(name_of_the_behaviour) { ... }`; the first failed CHECK ends it. main.cpp runs them all. */
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registered {
  Registered(const char* name, void (*run)()) {
    tests().push_back({name, run});
  }
};

#define TEST(name)                                       \
  static void name();                                    \
  static const Registered registered_##name(#name, name); \
  static void name()

#define CHECK(condition)                                                                        \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      throw std::runtime_error("line " + std::to_string(__LINE__) + ": " #condition " is false"); \
    }                                                                                           \
  } while (false)

/** Both values must print and compare. */
#define CHECK_EQUAL(found, expected) check_equal(found, expected, __LINE__)

template <typename Found, typename Expected>
void check_equal(const Found& found, const Expected& expected, int line) {
  if (found == expected) {
    return;
  }
  std::ostringstream text;
  text << "line " << line << ": found " << found << ", expected " << expected;
  throw std::runtime_error(text.str());
}
