// Random cases of every kernel against plain references in double precision.
//   exo_fuzz [--cases N] [--seed S] [--only NAME]   N cases, the operations in turn (or one)
//   exo_fuzz --case NAME:SEED                       one case again, as a failure names it
// The last line counts cases and findings; a finding that ends the process is named before it does.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "kernels.h"
#include "wanted.hpp"

namespace {

struct Kind {
  const char* name;
  Fuzz run;
};

constexpr Kind kKinds[] = {
    {"linear", fuzzLinear},
    {"packed-linear", fuzzPackedLinear},
    {"packed-rows", fuzzPackedRows},
    {"expert-linear", fuzzExpertLinear},
    {"packed-expert-linear", fuzzPackedExpertLinear},
    {"rms-norm", fuzzRmsNorm},
    {"silu-mul", fuzzSiluMul},
    {"rope", fuzzRope},
    {"attention", fuzzAttention},
    {"cached-attention", fuzzCachedAttention},
    {"pack-rows", fuzzPackRows},
    {"vocabulary", fuzzVocabulary},
    {"gated-step", fuzzGatedStep},
    {"attention-step", fuzzAttentionStep},
};
constexpr size_t kKindCount = sizeof kKinds / sizeof *kKinds;

/** After so many findings the rest would say the same. */
constexpr int kFindingsMax = 20;

/** The case under way, for who dies in it. */
char current[4096];

void sayCurrent() {
  ssize_t written = write(STDERR_FILENO, current, std::strlen(current));
  static_cast<void>(written);
}

void die(int signal) {
  std::signal(signal, SIG_DFL);
  sayCurrent();
  std::raise(signal);
}

struct Told {
  unsigned long long cases = 10000, seed = 1;
  const char* only = nullptr;
  const char* one = nullptr;
};

Told read(int argc, char** argv) {
  Told told;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string name = argv[i];
    if (name == "--cases") told.cases = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--seed") told.seed = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--only") told.only = argv[i + 1];
    else if (name == "--case") told.one = argv[i + 1];
    else throw std::invalid_argument("unknown option " + name);
  }
  return told;
}

const Kind& kindOf(const std::string& name) {
  for (const Kind& kind : kKinds)
    if (name == kind.name) return kind;
  throw std::invalid_argument("no operation is called " + name);
}

/** Whether the case passes. */
bool passes(const Kind& kind, uint64_t seed, mlx_stream stream) {
  std::snprintf(current, sizeof current, "died in --case %s:%llx\n", kind.name, static_cast<unsigned long long>(seed));
  // Half of the cases are computed as they are made.
  exo_at_once(seed % 2 == 0);
  Case made(seed, stream);
  try {
    kind.run(made);
    return true;
  } catch (const std::exception& error) {
    std::printf("FAIL --case %s:%llx: %s\n     %s\n", kind.name, static_cast<unsigned long long>(seed), error.what(), made.said.c_str());
    std::fflush(stdout);
    return false;
  }
}

int replay(const std::string& name, mlx_stream stream) {
  size_t colon = name.find(':');
  if (colon == std::string::npos) throw std::invalid_argument("--case takes NAME:SEED");
  bool passed = passes(kindOf(name.substr(0, colon)), std::strtoull(name.c_str() + colon + 1, nullptr, 16), stream);
  std::printf("%s: 1 cases, %d findings\n", exo_kernel_path(), !passed);
  return passed ? 0 : 1;
}

int fuzz(const Told& told, mlx_stream stream) {
  Random seeds(told.seed);
  int findings = 0;
  unsigned long long done = 0;
  timespec began, ended;
  clock_gettime(CLOCK_MONOTONIC, &began);
  while (done < told.cases && findings < kFindingsMax) {
    const Kind& kind = told.only ? kindOf(told.only) : kKinds[done % kKindCount];
    findings += !passes(kind, seeds.next(), stream);
    ++done;
  }
  clock_gettime(CLOCK_MONOTONIC, &ended);
  double seconds = static_cast<double>(ended.tv_sec - began.tv_sec) + static_cast<double>(ended.tv_nsec - began.tv_nsec) * 1e-9;
  double open = 100 * static_cast<double>(tally().open) / static_cast<double>(tally().values + 1);
  std::printf("seed %llu, %zu threads, %.1f s, %llu values, %.1f %% of them unbounded\n", told.seed, exo_kernel_threads(), seconds, tally().values, open);
  std::printf("%s: %llu cases, %d findings\n", exo_kernel_path(), done, findings);
  return findings ? 1 : 0;
}

} // namespace

/** Sanitizers end the process themselves; this is called before. */
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

int main(int argc, char** argv) {
  for (int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE})
    if (!__sanitizer_set_death_callback) std::signal(signal, die);
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(sayCurrent);
  try {
    Told told = read(argc, argv);
    mlx_stream stream = mlx_default_cpu_stream_new();
    int status = told.one ? replay(told.one, stream) : fuzz(told, stream);
    mlx_stream_free(stream);
    return status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
