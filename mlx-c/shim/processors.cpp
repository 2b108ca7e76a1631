#include "processors.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace exo {
namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

/** The first line of a file; empty where there is none. */
std::string lineOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string topologyOf(const Machine& machine, int processor) {
  return machine.root + "/sys/devices/system/cpu/cpu" + std::to_string(processor);
}

/** The first processor of the core that this one belongs to. Older kernels have only the second name. */
int coreOf(const Machine& machine, int processor) {
  for (const char* name : {"/topology/core_cpus_list", "/topology/thread_siblings_list"}) {
    auto siblings = processorsIn(lineOf(topologyOf(machine, processor) + name));
    if (!siblings.empty()) return siblings.front();
  }
  return processor;
}

double capacityOf(const Machine& machine, int processor) {
  double capacity = 0;
  std::istringstream(lineOf(topologyOf(machine, processor) + "/cpu_capacity")) >> capacity;
  return capacity;
}

/** A quota per period, both in microseconds; "max" and -1 mean none. */
double share(const std::string& quota, const std::string& period) {
  double granted = 0, every = 0;
  std::istringstream(quota) >> granted;
  std::istringstream(period) >> every;
  return granted > 0 && every > 0 ? granted / every : kNoQuota;
}

double quotaInFolder(const std::string& folder) {
  std::istringstream second(lineOf(folder + "/cpu.max"));
  std::string quota, period;
  if (second >> quota >> period) return share(quota, period);
  return share(lineOf(folder + "/cpu.cfs_quota_us"), lineOf(folder + "/cpu.cfs_period_us"));
}

/** The least of a group and of those around it. In a container the path may be the host's: then the mount itself is the group. */
double quotaAlong(const std::string& mount, std::string group) {
  double least = quotaInFolder(mount);
  for (; group.size() > 1 && group[0] == '/'; group.erase(group.rfind('/')))
    least = std::min(least, quotaInFolder(mount + group));
  return least;
}

#if defined(__linux__)
std::vector<int> allowedHere() {
  std::vector<int> allowed;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  // It fails on machines with more processors than the mask holds; there all count.
  if (sched_getaffinity(0, sizeof mask, &mask) == 0)
    for (int processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &mask)) allowed.push_back(processor);
  if (allowed.empty())
    for (unsigned processor = 0; processor < std::thread::hardware_concurrency(); ++processor)
      allowed.push_back(static_cast<int>(processor));
  return allowed;
}
#endif

} // namespace

std::vector<int> processorsIn(const std::string& list) {
  std::vector<int> all;
  std::istringstream ranges(list);
  for (std::string range; std::getline(ranges, range, ',');) {
    std::istringstream bounds(range);
    int first = 0, last = 0;
    char dash = 0;
    if (!(bounds >> first)) continue;
    if (!(bounds >> dash >> last) || dash != '-') last = first;
    for (int processor = first; processor <= last; ++processor) all.push_back(processor);
  }
  return all;
}

int coresOf(const Machine& machine) {
  double best = 0;
  for (int processor : machine.allowed) best = std::max(best, capacityOf(machine, processor));
  std::set<int> cores;
  for (int processor : machine.allowed)
    if (2 * capacityOf(machine, processor) >= best) cores.insert(coreOf(machine, processor));
  return static_cast<int>(cores.size());
}

double quotaOf(const Machine& machine) {
  std::ifstream groups(machine.root + "/proc/self/cgroup");
  double least = kNoQuota;
  // Lines are "number:controllers:path"; version 2 has one without controllers.
  for (std::string line; std::getline(groups, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    std::string mounts = machine.root + "/sys/fs/cgroup";
    if (controllers.empty()) {
      least = std::min({least, quotaAlong(mounts, group), quotaAlong(mounts + "/unified", group)});
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      least = std::min({least, quotaAlong(mounts + "/cpu", group), quotaAlong(mounts + "/" + controllers, group)});
    }
  }
  return least;
}

int threadsOf(const Machine& machine) {
  // A part of a processor is worth a thread too: all are then stopped for the rest of a period, and still get more done.
  double granted = std::ceil(quotaOf(machine));
  return std::max(1, static_cast<int>(std::min<double>(coresOf(machine), granted)));
}

int threadsHere() {
#if defined(__linux__)
  return threadsOf({"", allowedHere()});
#else
#if defined(__APPLE__)
  int cores = 0;
  size_t size = sizeof cores;
  for (const char* name : {"hw.perflevel0.physicalcpu", "hw.physicalcpu"})
    if (sysctlbyname(name, &cores, &size, nullptr, 0) == 0 && cores > 0) return cores;
#endif
  return std::max(1u, std::thread::hardware_concurrency());
#endif
}

} // namespace exo
