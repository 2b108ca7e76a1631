#include "shares.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test.h"

namespace {

/** A path for a table of the test's own, gone with it. */
struct Folder {
  std::string path;

  Folder() {
    char name[] = "/tmp/exo-shares-XXXXXX";
    if (!mkdtemp(name)) throw std::runtime_error("no folder for a table");
    path = name;
  }

  ~Folder() {
    std::filesystem::remove_all(path);
  }

  std::string table() const {
    return path + "/table";
  }
};

constexpr int64_t kNow = 1'000'000'000'000;

/** A process that is in the middle of a piece of work until it is killed. */
pid_t computing(const std::string& table) {
  int ready[2];
  if (pipe(ready) != 0) throw std::runtime_error("no pipe");
  pid_t child = fork();
  if (child == 0) {
    exo::Shares shares(table);
    shares.begin(exo::sharedNow(), 2);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char told = 0;
  ssize_t count = read(ready[0], &told, 1);
  close(ready[0]);
  close(ready[1]);
  if (count != 1) throw std::runtime_error("the child never began");
  return child;
}

void ended(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

} // namespace

TEST(one_process_alone_has_all_processors_and_reads_no_clock) {
  Folder folder;
  exo::Shares one(folder.table());
  CHECK(one.alone());
  CHECK_EQUAL(one.begin(kNow, 8), 8);
}

TEST(processes_that_compute_have_equal_parts_and_each_at_least_one) {
  Folder folder;
  exo::Shares one(folder.table()), other(folder.table()), third(folder.table());
  CHECK(!one.alone() && !other.alone());
  other.end(kNow);
  CHECK_EQUAL(one.begin(kNow, 8), 4);
  CHECK_EQUAL(one.begin(kNow, 2), 1);
  CHECK_EQUAL(one.begin(kNow, 1), 1);
  CHECK_EQUAL(third.begin(kNow, 8), 2);
  CHECK_EQUAL(third.begin(kNow, 2), 1);
}

TEST(who_is_between_two_tokens_keeps_one_processor_and_who_rests_none) {
  Folder folder;
  exo::Shares one(folder.table()), other(folder.table());
  other.end(kNow);
  CHECK_EQUAL(one.begin(kNow + exo::Shares::kComputing, 8), 7);
  CHECK_EQUAL(one.begin(kNow + exo::Shares::kAtWork - 1, 2), 1);
  CHECK_EQUAL(one.begin(kNow + exo::Shares::kAtWork, 2), 2);
  CHECK_EQUAL(one.begin(kNow + exo::Shares::kAtWork, 8), 8);
}

TEST(a_process_that_is_killed_gives_its_share_back_and_its_place) {
  Folder folder;
  exo::Shares one(folder.table());
  pid_t child = computing(folder.table());
  int64_t later = exo::sharedNow() + 10 * exo::Shares::kAtWork;
  int before = one.begin(later, 2);
  ended(child);
  int after = one.begin(later, 2);
  CHECK_EQUAL(before, 1);
  CHECK_EQUAL(after, 2);
  // More processes than there are places come and go, and the next one still finds one.
  for (int i = 0; i < exo::Shares::kPlaces; ++i) exo::Shares another(folder.table());
  exo::Shares last(folder.table());
  last.end(kNow);
  CHECK_EQUAL(one.begin(kNow, 2), 1);
}

TEST(who_is_long_at_one_piece_of_work_keeps_its_part) {
  Folder folder;
  exo::Shares one(folder.table()), other(folder.table());
  other.begin(kNow, 8);
  CHECK_EQUAL(one.begin(kNow + 100 * exo::Shares::kAtWork, 8), 4);
  CHECK_EQUAL(one.begin(kNow + exo::Shares::kLongest, 8), 8);
}

TEST(who_comes_when_the_others_are_gone_is_alone_again) {
  Folder folder;
  {
    exo::Shares one(folder.table()), other(folder.table());
    CHECK(!one.alone());
  }
  exo::Shares one(folder.table());
  CHECK(one.alone());
}

TEST(where_the_table_cannot_be_used_one_is_alone) {
  Folder folder;
  auto broken = [&](const std::string& path) {
    exo::Shares one(path);
    return one.alone() && one.begin(kNow, 4) == 4;
  };
  CHECK(broken(""));
  CHECK(broken(folder.path));
  CHECK(broken(folder.path + "/no/such/folder"));
  std::filesystem::create_symlink(folder.table(), folder.path + "/link");
  CHECK(broken(folder.path + "/link"));
  // Others could write into it.
  std::ofstream(folder.table()) << "text";
  chmod(folder.table().c_str(), 0666);
  CHECK(broken(folder.table()));
}

TEST(a_table_that_holds_nonsense_costs_processors_at_most) {
  Folder folder;
  std::ofstream(folder.table()) << std::string(sizeof(int64_t) * 8 * 200, '\x7f');
  chmod(folder.table().c_str(), 0600);
  exo::Shares one(folder.table());
  int threads = one.begin(kNow, 4);
  CHECK(threads >= 1 && threads <= 4);
}
