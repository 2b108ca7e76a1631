#include "processors.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kernels.h"
#include "settings.hpp"
#include "test.h"

namespace {

/** A folder with recorded files, gone with the test. */
class Recorded {
 public:
  Recorded() {
    char name[] = "/tmp/exo-machine-XXXXXX";
    if (!mkdtemp(name)) throw std::runtime_error("no folder for a recorded machine");
    root_ = name;
  }

  ~Recorded() {
    std::filesystem::remove_all(root_);
  }

  Recorded& file(const std::string& path, const std::string& text) {
    auto whole = root_ + path;
    std::filesystem::create_directories(std::filesystem::path(whole).parent_path());
    std::ofstream(whole) << text << "\n";
    return *this;
  }

  /** Processor `index` with its core's list and, where not 0, its capacity. */
  Recorded& processor(int index, const std::string& siblings, int capacity = 0) {
    auto folder = "/sys/devices/system/cpu/cpu" + std::to_string(index);
    file(folder + "/topology/thread_siblings_list", siblings);
    return capacity ? file(folder + "/cpu_capacity", std::to_string(capacity)) : *this;
  }

  exo::Machine with(const std::string& allowed) const {
    return {root_, exo::processorsIn(allowed)};
  }

 private:
  std::string root_;
};

/** Four cores of two threads, numbered as Intel's server machines do: 0 and 4 are one core. */
void fourCores(Recorded& machine) {
  for (int i = 0; i < 8; ++i) machine.processor(i, std::to_string(i % 4) + "," + std::to_string(i % 4 + 4));
}

std::string refusal(const char* threads) {
  try {
    return std::to_string(exo::threadsTold(threads));
  } catch (const exo::SettingError& error) {
    return error.what();
  }
}

std::string chosen(const char* told, bool has512, bool has2) {
  const std::vector<exo::SetOffered> offered = {{"avx512", has512}, {"avx2", has2}, {"portable", true}};
  try {
    return offered[exo::setTold(told, offered)].name;
  } catch (const exo::SettingError& error) {
    return error.what();
  }
}

} // namespace

TEST(a_core_with_two_threads_counts_once) {
  Recorded machine;
  fourCores(machine);
  CHECK_EQUAL(exo::threadsOf(machine.with("0-7")), 4);
}

TEST(only_processors_that_the_process_may_use_count) {
  Recorded machine;
  fourCores(machine);
  CHECK_EQUAL(exo::threadsOf(machine.with("2,6")), 1);
  CHECK_EQUAL(exo::threadsOf(machine.with("2-4")), 3);
}

TEST(the_newer_name_of_a_core_goes_first) {
  Recorded machine;
  machine.processor(0, "0").processor(1, "1");
  for (int i : {0, 1}) machine.file("/sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/core_cpus_list", "0-1");
  CHECK_EQUAL(exo::threadsOf(machine.with("0-1")), 1);
}

TEST(cores_of_less_than_half_the_best_capacity_do_not_count) {
  Recorded machine;
  for (int i = 0; i < 4; ++i) machine.processor(i, std::to_string(i), 384);
  for (int i = 4; i < 6; ++i) machine.processor(i, std::to_string(i), 1024);
  machine.processor(6, "6", 871);
  CHECK_EQUAL(exo::threadsOf(machine.with("0-6")), 3);
  CHECK_EQUAL(exo::threadsOf(machine.with("0-3")), 4);
}

TEST(a_machine_that_says_nothing_has_as_many_cores_as_allowed_processors) {
  Recorded machine;
  CHECK_EQUAL(exo::threadsOf(machine.with("0-5")), 6);
  CHECK_EQUAL(exo::threadsOf(machine.with("")), 1);
}

TEST(a_quota_of_cgroups_2_limits_the_threads_a_part_counting_whole) {
  Recorded machine;
  fourCores(machine);
  machine.file("/proc/self/cgroup", "0::/user.slice/exo.service").file("/sys/fs/cgroup/user.slice/exo.service/cpu.max", "150000 100000");
  CHECK_EQUAL(exo::quotaOf(machine.with("0-7")), 1.5);
  CHECK_EQUAL(exo::threadsOf(machine.with("0-7")), 2);
}

TEST(the_least_quota_of_a_group_and_those_around_it_holds) {
  Recorded machine;
  fourCores(machine);
  machine.file("/proc/self/cgroup", "0::/a/b/c").file("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000");
  machine.file("/sys/fs/cgroup/a/b/cpu.max", "300000 100000").file("/sys/fs/cgroup/a/cpu.max", "50000 50000");
  CHECK_EQUAL(exo::threadsOf(machine.with("0-7")), 1);
}

TEST(in_a_container_whose_group_is_named_as_outside_the_mount_itself_counts) {
  Recorded machine;
  fourCores(machine);
  machine.file("/proc/self/cgroup", "0::/docker/4f1c").file("/sys/fs/cgroup/cpu.max", "200000 100000");
  CHECK_EQUAL(exo::threadsOf(machine.with("0-7")), 2);
}

TEST(a_quota_of_cgroups_1_limits_the_threads) {
  Recorded machine;
  fourCores(machine);
  machine.file("/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/box\n0::/");
  machine.file("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "250000").file("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000");
  CHECK_EQUAL(exo::threadsOf(machine.with("0-7")), 3);
  machine.file("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "-1");
  CHECK_EQUAL(exo::threadsOf(machine.with("0-7")), 4);
}

TEST(broken_files_of_groups_limit_nothing) {
  Recorded machine;
  machine.file("/proc/self/cgroup", "nonsense\n::\n0::relative\n0::/g").file("/sys/fs/cgroup/g/cpu.max", "100000");
  CHECK(std::isinf(exo::quotaOf(machine.with("0"))));
}

TEST(a_list_of_processors_is_read_and_what_is_none_gives_none) {
  CHECK(exo::processorsIn("0-2,5,7-8") == (std::vector<int>{0, 1, 2, 5, 7, 8}));
  CHECK(exo::processorsIn("").empty() && exo::processorsIn("none").empty());
}

TEST(a_number_of_threads_is_taken_and_anything_else_refused_with_what_to_do) {
  CHECK_EQUAL(refusal(nullptr) + refusal("") + refusal("1") + refusal("256"), "001256");
  for (const char* wrong : {"abc", "0", "-1", "257", "9999", "2x", " 2", "1.5", "99999999999"}) {
    CHECK_EQUAL(
        refusal(wrong),
        "EXO_THREADS=" + std::string(wrong) +
            " is not a number of threads\nuse a whole number from 1 to 256, or leave it unset: then it is one for each core");
  }
}

TEST(kernels_are_chosen_by_name_where_the_processor_has_them) {
  CHECK_EQUAL(chosen(nullptr, true, true), "avx512");
  CHECK_EQUAL(chosen("", false, true), "avx2");
  CHECK_EQUAL(chosen("mlx", false, false), "portable");
  CHECK_EQUAL(chosen("avx2", true, true), "avx2");
  CHECK_EQUAL(chosen("portable", true, true), "portable");
}

TEST(kernels_that_are_missing_or_unknown_are_refused_with_what_there_is) {
  CHECK_EQUAL(
      chosen("avx512", false, true),
      "EXO_CPU_KERNELS=avx512 needs instructions that this processor does not have\n"
      "use avx2, portable or mlx, or leave it unset: then it is avx2");
  CHECK_EQUAL(
      chosen("foo", true, true),
      "EXO_CPU_KERNELS=foo is no set of kernels that this exo has\n"
      "use avx512, avx2, portable or mlx, or leave it unset: then it is avx512");
}

TEST(a_set_that_only_another_machine_has_is_called_portable_where_it_is_the_last) {
  CHECK_EQUAL(exo::setTold("portable", {{"neon", true}}), 0u);
}

TEST(the_library_tells_of_a_wrong_setting) {
  const char* before = std::getenv("EXO_THREADS");
  std::string kept = before ? before : "";
  setenv("EXO_THREADS", "none", 1);
  std::string told = exo_kernel_problem() ? exo_kernel_problem() : "";
  if (before) setenv("EXO_THREADS", kept.c_str(), 1);
  else unsetenv("EXO_THREADS");
  CHECK_EQUAL(told.substr(0, told.find('\n')), "EXO_THREADS=none is not a number of threads");
  CHECK(exo_kernel_problem() == nullptr);
}
