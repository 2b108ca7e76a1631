#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels_vocabulary.h"
#include "test.h"

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/** Repeatable, with ties: few different values. */
std::vector<float> logitsOf(size_t count) {
  std::vector<float> values(count);
  uint32_t state = 7;
  for (float& value : values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 20) / 128.0f - 16.0f;
  }
  return values;
}

double sumOf(const std::vector<float>& logits, double largest, double temperature) {
  std::vector<double> sums((logits.size() + EXO_LOGITS_RUN - 1) / EXO_LOGITS_RUN);
  exo_logits_sums(logits.data(), logits.size(), largest, temperature, sums.data());
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

const std::vector<size_t> kCounts = {1, 3, 4, 15, 16, 17, 63, 64, 65, 1023, 1024, 1025, 49152, 151936};

} // namespace

TEST(the_best_logit_is_the_first_of_the_largest) {
  for (size_t count : kCounts) {
    auto logits = logitsOf(count);
    size_t expected = std::max_element(logits.begin(), logits.end()) - logits.begin();
    CHECK_EQUAL(exo_logits_best(logits.data(), count), expected);
  }
}

TEST(a_logit_that_is_no_number_or_infinite_is_found_first) {
  for (size_t count : {5u, 100u, 5000u}) {
    auto logits = logitsOf(count);
    logits[count - 2] = NAN;
    CHECK_EQUAL(exo_logits_best(logits.data(), count), count - 2);
    logits[count / 2] = kInfinity;
    CHECK_EQUAL(exo_logits_best(logits.data(), count), count / 2);
    std::fill(logits.begin(), logits.end(), -kInfinity);
    CHECK_EQUAL(exo_logits_best(logits.data(), count), count);
  }
}

TEST(sums_of_exponentials_are_those_of_the_c_library) {
  for (size_t count : kCounts) {
    auto logits = logitsOf(count);
    if (count > 20) logits[20] = -kInfinity;
    if (count > 2) logits[2] = -3e38f;
    double largest = *std::max_element(logits.begin(), logits.end());
    for (double temperature : {1.0, 0.7, 2.0, 1e-3, 100.0}) {
      // Wider than double, so that adding up many of them loses nothing.
      long double expected = 0;
      for (float logit : logits) expected += std::exp((static_cast<double>(logit) - largest) / temperature);
      CHECK(std::fabs(sumOf(logits, largest, temperature) / static_cast<double>(expected) - 1) <= 2e-15);
    }
    double atMost = static_cast<double>(std::count(logits.begin(), logits.end(), static_cast<float>(largest)));
    CHECK_EQUAL(sumOf(logits, largest, 1e-310), atMost);
  }
}

TEST(logits_from_a_value_on_are_listed_in_order_as_doubles_compare) {
  for (size_t count : kCounts) {
    auto logits = logitsOf(count);
    for (double least : {-20.0, 0.0, static_cast<double>(logits[0]), logits[0] + 1e-9, logits[0] - 1e-9, 15.9, 17.0}) {
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < count; ++i)
        if (logits[i] >= least) expected.push_back(static_cast<uint32_t>(i));
      std::vector<uint32_t> ids(count);
      ids.resize(exo_logits_at_least(logits.data(), count, least, ids.data(), count));
      CHECK(ids == expected);
      uint32_t one = 0;
      CHECK_EQUAL(exo_logits_at_least(logits.data(), count, least, &one, 1), expected.size());
    }
  }
}

TEST(the_top_logits_are_those_that_sorting_finds_of_equals_the_first) {
  for (size_t count : kCounts) {
    auto logits = logitsOf(count);
    if (count > 3) logits[3] = -kInfinity;
    std::vector<uint32_t> sorted(count);
    std::iota(sorted.begin(), sorted.end(), 0u);
    std::stable_sort(sorted.begin(), sorted.end(), [&](uint32_t a, uint32_t b) { return logits[a] > logits[b]; });
    for (size_t wanted : {0u, 1u, 2u, 5u, 40u, 64u, 1000u}) {
      size_t expected = std::min(wanted, count);
      std::vector<uint32_t> ids(wanted);
      CHECK_EQUAL(exo_logits_top(logits.data(), count, wanted, ids.data()), expected);
      ids.resize(expected);
      CHECK(std::equal(ids.begin(), ids.end(), sorted.begin()));
    }
  }
}
