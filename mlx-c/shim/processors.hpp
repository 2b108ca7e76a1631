// How many threads are worth having on this machine. Knows nothing of MLX.
#pragma once

#include <string>
#include <vector>

namespace exo {

/**
 * Where a Linux machine describes itself, and which of its processors this process may use. Another root than "" is a folder
 * with recorded files, for tests.
 */
struct Machine {
  std::string root;
  std::vector<int> allowed;
};

/**
 * Cores among the allowed processors: two threads of one core share its arithmetic, so it counts once. Cores of less than half
 * the best one's capacity (https://docs.kernel.org/admin-guide/abi-testing.html, cpu_capacity) do not count. All allowed
 * processors where the machine does not say.
 */
int coresOf(const Machine& machine);

/**
 * Processors' worth of time that the process's control groups (version 1 and 2, up to the root) grant it, or infinity.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max; https://docs.kernel.org/scheduler/sched-bwc.html
 */
double quotaOf(const Machine& machine);

/** Threads of the kernels' pool where nobody names a number: the cores, or fewer where the quota is less. At least 1. */
int threadsOf(const Machine& machine);

/** The same for the machine this runs on. On macOS its performance cores. */
int threadsHere();

/** Numbers of a list like "0-3,8". What is not one gives none. */
std::vector<int> processorsIn(const std::string& list);

} // namespace exo
