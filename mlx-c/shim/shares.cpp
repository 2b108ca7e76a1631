#include "shares.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace exo {
namespace {

/** Locks that belong to the opened file: they end when it is closed, which the system does for a process that was killed. */
#ifdef F_OFD_SETLK
constexpr int kTryLock = F_OFD_SETLK, kWaitLock = F_OFD_SETLKW, kGetLock = F_OFD_GETLK;
#else
constexpr int kTryLock = F_SETLK, kWaitLock = F_SETLKW, kGetLock = F_GETLK;
#endif

/** A lock on the byte that stands for a place, or with F_UNLCK none. */
struct flock byteAt(int place, short type = F_WRLCK) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = place;
  range.l_len = 1;
  return range;
}

/** Not another's file, nor what another could have put in its place. */
bool isOurs(int file) {
  struct stat facts {};
  return fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_uid == geteuid() && (facts.st_mode & 077) == 0;
}

} // namespace

Shares::Shares(const std::string& path) {
  if (open(path) && takePlace()) return;
  if (table_) munmap(table_, sizeof(Table));
  table_ = nullptr;
}

Shares::~Shares() {
  if (table_) munmap(table_, sizeof(Table));
  if (file_ >= 0) close(file_);
}

bool Shares::open(const std::string& path) {
  if (path.empty()) return false;
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  // The same length from everyone: who comes second finds it as it is.
  if (file_ < 0 || !isOurs(file_) || ftruncate(file_, sizeof(Table)) != 0) return false;
  void* mapped = mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (mapped == MAP_FAILED) return false;
  table_ = static_cast<Table*>(mapped);
  return true;
}

bool Shares::takePlace() {
  auto lock = [&](int how, struct flock range) { return fcntl(file_, how, &range) == 0; };
  // One after another: who comes counts all that are there. The byte after the places' stands for the table.
  if (!lock(kWaitLock, byteAt(kPlaces))) return false;
  for (mine_ = 0; mine_ < kPlaces && !lock(kTryLock, byteAt(mine_)); ++mine_) {
  }
  if (mine_ < kPlaces) {
    int last = kPlaces - 1;
    while (last > mine_ && !isTaken(last)) --last;
    table_->place[mine_].time.store(0, std::memory_order_relaxed);
    table_->places.store(last + 1);
  }
  lock(kTryLock, byteAt(kPlaces, F_UNLCK));
  return mine_ < kPlaces;
}

bool Shares::isTaken(int place) const {
  auto range = byteAt(place);
  return fcntl(file_, kGetLock, &range) == 0 && range.l_type != F_UNLCK;
}

int Shares::activity(int place, int64_t now) {
  int64_t time = table_->place[place].time.load(std::memory_order_relaxed);
  // Another processor's clock may be a little ahead.
  int64_t ago = std::max<int64_t>(0, now - std::abs(time));
  if (time > 0) return ago < kComputing ? 2 : ago < kAtWork ? 1 : 0;
  if (time == 0 || ago >= kLongest) return 0;
  return ago < kAtWork || isTaken(place) ? 2 : 0;
}

int Shares::begin(int64_t now, int processors) {
  if (!table_) return processors;
  table_->place[mine_].time.store(-now, std::memory_order_relaxed);
  int atWork = 1, computing = 1;
  int places = std::min<int>(table_->places.load(std::memory_order_relaxed), kPlaces);
  for (int i = 0; i < places; ++i) {
    int active = i == mine_ ? 0 : activity(i, now);
    atWork += active > 0;
    computing += active > 1;
  }
  return 1 + std::max(0, processors - atWork) / computing;
}

void Shares::end(int64_t now) {
  if (table_) table_->place[mine_].time.store(now, std::memory_order_relaxed);
}

int64_t sharedNow() {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  return static_cast<int64_t>(at.tv_sec) * 1'000'000'000 + at.tv_nsec;
}

std::string sharesPath() {
  // The number rises with another meaning of the file.
  std::string name = "exo-processors-1-" + std::to_string(geteuid());
#if defined(__linux__)
  return "/dev/shm/" + name;
#elif defined(__APPLE__)
  // The user's own temporary folder. It lies on a disk, which is written at the system's leisure.
  char folder[1024];
  size_t length = confstr(_CS_DARWIN_USER_TEMP_DIR, folder, sizeof folder);
  return length > 0 && length < sizeof folder ? folder + name : "";
#else
  return "";
#endif
}

} // namespace exo
