// Passes over a row of logits.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "guarded_memory.hpp"
#include "kernels_vocabulary.h"
#include "wanted.hpp"

namespace {

void demand(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what + " is wrong");
}

/** Ids where the kernels may write no further than they are allowed to. */
class Ids {
 public:
  explicit Ids(size_t room) : memory_(room * sizeof(uint32_t), true) {}

  uint32_t* at() {
    return reinterpret_cast<uint32_t*>(memory_.data());
  }
  std::vector<uint32_t> first(size_t count) {
    return {at(), at() + count};
  }

 private:
  GuardedMemory memory_;
};

/** Logits with many equal ones, spread ones, hidden ones (-infinity), and now and then what is no number. */
std::vector<float> drawnLogits(Random& random, size_t count) {
  std::vector<float> logits(count);
  int kind = random.below(4);
  for (float& logit : logits) {
    if (kind == 0) logit = static_cast<float>(random.between(-3, 3));
    else logit = static_cast<float>((random.unit() - 0.5) * (kind == 1 ? 20 : kind == 2 ? 2000 : 1));
    if (kind == 3 && random.chance(0.5)) logit = -std::numeric_limits<float>::infinity();
  }
  if (count && random.chance(0.15))
    logits[static_cast<size_t>(random.below(static_cast<int>(count)))] =
        random.pick({std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -3.4e38f, 3.4e38f});
  return logits;
}

size_t bestOf(const std::vector<float>& logits) {
  size_t best = logits.size();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] < std::numeric_limits<float>::infinity())) return i;
    bool hidden = logits[i] == -std::numeric_limits<float>::infinity();
    if (!hidden && (best == logits.size() || logits[i] > logits[best])) best = i;
  }
  return best;
}

void checkSums(Random& random, const std::vector<float>& logits, const float* at, double largest) {
  double temperature = random.pick({1.0, 0.7, 0.01, 20.0});
  size_t runs = (logits.size() + EXO_LOGITS_RUN - 1) / EXO_LOGITS_RUN;
  std::vector<double> sums(runs);
  exo_logits_sums(at, logits.size(), largest, temperature, sums.data());
  for (size_t run = 0; run < runs; ++run) {
    double total = 0, error = 1e-300;
    for (size_t i = run * EXO_LOGITS_RUN; i < std::min(logits.size(), (run + 1) * EXO_LOGITS_RUN); ++i) {
      double power = (static_cast<double>(logits[i]) - largest) / temperature, value = std::exp(power);
      total += value;
      // The power is rounded twice, the sum once a term.
      if (value > 0) error += value * (4 * std::fabs(power) + EXO_LOGITS_RUN + 8) * 0x1p-53;
    }
    demand(std::fabs(sums[run] - total) <= error, "sum " + std::to_string(run));
  }
}

void checkAtLeast(Random& random, const std::vector<float>& logits, const float* at) {
  double least = random.chance(0.5) && !logits.empty() ? logits[static_cast<size_t>(random.below(static_cast<int>(logits.size())))] : random.unit() * 4 - 2;
  size_t room = static_cast<size_t>(random.below(60));
  std::vector<uint32_t> wanted;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= least) wanted.push_back(static_cast<uint32_t>(i));
  Ids ids(room);
  demand(exo_logits_at_least(at, logits.size(), least, ids.at(), room) == wanted.size(), "the count of those at least " + std::to_string(least));
  wanted.resize(std::min(wanted.size(), room));
  demand(ids.first(wanted.size()) == wanted, "those at least " + std::to_string(least));
}

void checkTop(Random& random, const std::vector<float>& logits, const float* at) {
  size_t asked = static_cast<size_t>(random.below(random.chance(0.2) ? 200 : 25));
  std::vector<uint32_t> wanted(logits.size());
  std::iota(wanted.begin(), wanted.end(), 0u);
  std::erase_if(wanted, [&](uint32_t id) { return std::isnan(logits[id]); });
  std::stable_sort(wanted.begin(), wanted.end(), [&](uint32_t a, uint32_t b) { return logits[a] > logits[b]; });
  wanted.resize(std::min(wanted.size(), asked));
  Ids ids(std::min(asked, logits.size()));
  size_t found = exo_logits_top(at, logits.size(), asked, ids.at());
  demand(found == wanted.size() && ids.first(found) == wanted, "the top " + std::to_string(asked));
}

} // namespace

void fuzzVocabulary(Case& of) {
  Random& random = of.random;
  size_t count = static_cast<size_t>(random.chance(0.05) ? random.between(3000, 9000) : random.between(0, random.chance(0.5) ? 200 : 2500));
  std::vector<float> logits = drawnLogits(random, count);
  of.say(std::to_string(count) + " logits");
  GuardedMemory memory(count * sizeof(float), random.chance(0.75));
  if (count) std::memcpy(memory.data(), logits.data(), count * sizeof(float));
  const float* at = reinterpret_cast<const float*>(memory.data());
  size_t best = bestOf(logits);
  demand(exo_logits_best(at, count) == best, "the best");
  if (best < count && std::isfinite(logits[best])) checkSums(random, logits, at, logits[best]);
  checkAtLeast(random, logits, at);
  checkTop(random, logits, at);
}
