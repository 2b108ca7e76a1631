// Plain memory read, to set the decoding of weights against: sums a block with 1 to n threads.
//   memory-read BYTES [huge]   then a line "THREADS PASSES" on stdin gives a line of JSON, the best pass in milliseconds.
// The block lies in the pages that the system gives everyone, with `huge` in huge ones where it has them.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

/** As wide as the widest register; narrower machines take it in parts. */
typedef uint64_t Wide __attribute__((vector_size(64)));
/** Sums that do not wait for each other. */
constexpr size_t kLanes = 8;

/** Where every sum goes, so that no read is left out. */
volatile uint64_t sink;

void readRange(const Wide* from, size_t count) {
  Wide sums[kLanes] = {};
  for (size_t i = 0; i + kLanes <= count; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += from[i + lane];
  uint64_t total = 0;
  for (const Wide& sum : sums)
    for (size_t i = 0; i < 8; ++i) total += sum[i];
  sink = total;
}

double passMs(const Wide* block, size_t count, size_t threads) {
  auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> others;
  size_t share = count / threads;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(readRange, block + i * share, share);
  readRange(block, share);
  for (std::thread& other : others) other.join();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  size_t bytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (bytes < sizeof(Wide) * kLanes) return std::fprintf(stderr, "memory-read BYTES [huge]\n"), 2;
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return std::perror("mmap"), 1;
#ifdef MADV_HUGEPAGE
  if (argc > 2) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  std::memset(block, 1, bytes);
  size_t threads = 0;
  size_t passes = 0;
  while (std::scanf("%zu %zu", &threads, &passes) == 2 && threads > 0) {
    double best = 1e300;
    for (size_t pass = 0; pass < passes; ++pass)
      best = std::min(best, passMs(static_cast<const Wide*>(block), bytes / sizeof(Wide), threads));
    std::printf("{\"ms\": %.4f}\n", best);
    std::fflush(stdout);
  }
}
