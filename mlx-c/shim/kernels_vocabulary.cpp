#include "kernels_vocabulary.h"

#include <algorithm>
#include <cmath>

#include "kernels.hpp"
#include "pool.hpp"

namespace {

/** Logits that are looked through one by one only where the largest of them is wanted. */
constexpr size_t kBlock = 64;
/** Runs below which handing a part to another thread costs more than it saves. */
constexpr size_t kRunsWorthHandingOver = 4;
/** A temperature below 1 / this is as good as 0, and would make an infinity of its inverse. */
constexpr double kFactorMax = 1e300;

/** Calls visit(index) for every logit that is at least `floor`, in order; visit answers the floor from then on. */
template <class Visit>
void visitAbove(const float* logits, size_t count, float floor, const Visit& visit) {
  const auto& vocabulary = exo::kernels().vocabulary;
  for (size_t from = 0; from < count; from += kBlock) {
    size_t length = std::min(kBlock, count - from);
    if (vocabulary.largest(logits + from, length) < floor) continue;
    for (size_t i = from; i < from + length; ++i)
      if (logits[i] >= floor) floor = visit(i);
  }
}

} // namespace

extern "C" size_t exo_logits_best(const float* logits, size_t count) {
  const auto& vocabulary = exo::kernels().vocabulary;
  float best = -INFINITY;
  size_t block = count;
  bool broken = false;
  for (size_t from = 0; from < count && !broken; from += kBlock) {
    float largest = vocabulary.largest(logits + from, std::min(kBlock, count - from));
    broken = !(largest < INFINITY);
    if (!broken && largest <= best) continue;
    best = largest;
    block = from;
  }
  for (size_t i = block; i < count; ++i)
    if (broken ? !(logits[i] < INFINITY) : logits[i] == best) return i;
  return count;
}

extern "C" void exo_logits_sums(const float* logits, size_t count, double largest, double temperature, double* sums) {
  const auto& vocabulary = exo::kernels().vocabulary;
  double factor = std::min(1 / temperature, kFactorMax);
  size_t runs = (count + EXO_LOGITS_RUN - 1) / EXO_LOGITS_RUN;
  exo::parallel(runs, kRunsWorthHandingOver, [&](size_t first, size_t last) {
    for (size_t run = first; run < last; ++run) {
      size_t from = run * EXO_LOGITS_RUN;
      sums[run] = vocabulary.exponentials(logits + from, std::min<size_t>(EXO_LOGITS_RUN, count - from), largest, factor);
    }
  });
}

extern "C" size_t exo_logits_at_least(const float* logits, size_t count, double least, uint32_t* ids, size_t room) {
  // The smallest float that is not below it, so that floats compare as doubles would.
  float floor = static_cast<float>(least);
  if (floor < least) floor = std::nextafter(floor, INFINITY);
  size_t found = 0;
  visitAbove(logits, count, floor, [&](size_t index) {
    if (found < room) ids[found] = static_cast<uint32_t>(index);
    ++found;
    return floor;
  });
  return found;
}

extern "C" size_t exo_logits_top(const float* logits, size_t count, size_t wanted, uint32_t* ids) {
  wanted = std::min(wanted, count);
  if (wanted == 0) return 0;
  size_t held = 0;
  visitAbove(logits, count, -INFINITY, [&](size_t index) {
    float logit = logits[index];
    // Later equals are not better: what is held is sorted, and full from some point on.
    if (held == wanted && !(logit > logits[ids[held - 1]])) return logits[ids[held - 1]];
    size_t at = held < wanted ? held++ : held - 1;
    for (; at > 0 && logits[ids[at - 1]] < logit; --at) ids[at] = ids[at - 1];
    ids[at] = static_cast<uint32_t>(index);
    return held < wanted ? -INFINITY : logits[ids[held - 1]];
  });
  return held;
}
