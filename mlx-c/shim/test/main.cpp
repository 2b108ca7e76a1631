// Runs every test whose name contains the first argument (all without one); the last line counts them.
#include <cstdio>
#include <cstring>

#include "test.h"

int main(int argc, char** argv) {
  const char* wanted = argc > 1 ? argv[1] : "";
  int passed = 0;
  int failed = 0;
  for (const Test& test : tests()) {
    if (!std::strstr(test.name, wanted)) {
      continue;
    }
    try {
      test.run();
      std::printf("ok   %s\n", test.name);
      passed++;
    } catch (const std::exception& error) {
      std::printf("FAIL %s: %s\n", test.name, error.what());
      failed++;
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
