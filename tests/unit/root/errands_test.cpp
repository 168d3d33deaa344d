// Root's errands, done by a child that is a shell script here.
#include "root/daemon/errands.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace ppvmm::root::daemon {
namespace {

class ErrandsTest : public testing::Test {
 protected:
  ErrandsTest() {
    std::signal(SIGPIPE, SIG_IGN);  // as the daemon does
    std::filesystem::create_directories(folder_);
  }
  ~ErrandsTest() override { std::filesystem::remove_all(folder_); }

  /// A child that does `each` with every line it is told, in $line.
  std::string child(const std::string& each) const {
    const std::string path = folder_ + "/child";
    std::ofstream(path) << "#!/bin/sh\necho started >> " << log() << "\nwhile read -r line; do\n"
                        << each << "\ndone\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  std::string log() const { return folder_ + "/log"; }
  std::size_t starts() const {
    std::ifstream file(log());
    std::size_t lines = 0;
    for (std::string line; std::getline(file, line);)
      ++lines;
    return lines;
  }

  /// As the daemon goes on with them, until one has ended.
  static std::optional<Errands::Ended> end_of_next(Errands& errands) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < until) {
      if (auto ended = errands.advance()) return ended;
      pollfd waited{.fd = errands.descriptor(), .events = POLLIN, .revents = 0};
      poll(&waited, 1, 100);
    }
    return std::nullopt;
  }

  std::string folder_ = testing::TempDir() + "errands." + std::to_string(getpid());
};

TEST_F(ErrandsTest, OneChildDoesThemAllInOrder) {
  Errands errands("/nowhere", child("echo \"warning: $line\" >&2\necho done"));
  errands.stand_by();
  errands.add({.what = "leave", .words = "leave a"});
  errands.add({.what = "join", .words = "join a"});
  for (const char* const what : {"leave", "join"}) {
    const auto ended = end_of_next(errands);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->what, what);
    EXPECT_TRUE(ended->ok) << ended->problem;
  }
  EXPECT_TRUE(errands.idle());
  EXPECT_EQ(starts(), 1U);
}

TEST_F(ErrandsTest, TellsWhyOneFailed) {
  Errands errands("/nowhere", child("echo \"failed: no $line\""));
  errands.add({.what = "join", .words = "join a"});
  const auto ended = end_of_next(errands);
  ASSERT_TRUE(ended);
  EXPECT_FALSE(ended->ok);
  EXPECT_EQ(ended->problem, "no join a");
}

TEST_F(ErrandsTest, TheEndOfTheChildFailsWhatItWasDoing) {
  Errands errands("/nowhere", child("echo it hurts >&2\nexit 1"));
  errands.add({.what = "join", .words = "join a"});
  errands.add({.what = "move", .words = "move a b"});
  for (const char* const what : {"join", "move"}) {
    const auto ended = end_of_next(errands);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->what, what);
    EXPECT_FALSE(ended->ok);
    EXPECT_EQ(ended->problem, "it hurts");
  }
  EXPECT_EQ(starts(), 2U);
}

TEST_F(ErrandsTest, OneThatEndedWhileItStoodByIsReplaced) {
  Errands errands("/nowhere", child("echo done\nexit 0"));
  for (const char* const what : {"leave", "join"}) {
    errands.add({.what = what, .words = what});
    const auto ended = end_of_next(errands);
    ASSERT_TRUE(ended);
    EXPECT_TRUE(ended->ok) << ended->problem;
    pollfd waited{.fd = errands.descriptor(), .events = POLLIN, .revents = 0};
    ASSERT_TRUE(errands.descriptor() < 0 || poll(&waited, 1, 20'000) == 1);  // it has gone
  }
  EXPECT_EQ(starts(), 2U);
}

TEST_F(ErrandsTest, OneThatIsDroppedEndsWithItsChild) {
  Errands errands("/nowhere",
                  child("[ \"$line\" = join ] && { echo begun; sleep 1000; }\necho done"));
  errands.add({.what = "join", .words = "join"});
  errands.add({.what = "leave", .words = "leave"});
  ASSERT_FALSE(errands.advance());
  pollfd waited{.fd = errands.descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&waited, 1, 20'000), 1);
  errands.drop("join");
  const auto ended = end_of_next(errands);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->what, "leave");
  EXPECT_TRUE(ended->ok) << ended->problem;
}

TEST_F(ErrandsTest, WithoutTheToolItSaysSo) {
  Errands errands("/nowhere", folder_ + "/nothing");
  // Its child ends at once, before or after it is told its errand: many times, to meet both.
  for (int i = 0; i < 200; ++i) {
    errands.add({.what = "join", .words = "join a"});
    const auto ended = end_of_next(errands);
    ASSERT_TRUE(ended);
    EXPECT_FALSE(ended->ok);
    ASSERT_EQ(ended->problem, "cannot be run");
  }
}

}  // namespace
}  // namespace ppvmm::root::daemon
