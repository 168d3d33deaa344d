#include "checker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "value.hpp"

namespace ppvmm::xshistory {
namespace {

constexpr std::uint64_t kGap = 1000;

/// A history that is told step by step: each op takes from `now` to `now + took`.
class Story {
 public:
  Story& op(std::uint32_t client, Kind kind, const std::string& key, const std::string& value,
            const std::string& error = {}, std::uint32_t transaction = 0) {
    history.push_back({client, kind, transaction, now, now + 5, key, value, error});
    now += 10;
    return *this;
  }
  Story& write(std::uint32_t client, const std::string& key, const std::string& value) {
    return op(client, Kind::write, key, value);
  }
  Story& read(std::uint32_t client, const std::string& key, const std::string& value) {
    return op(client, Kind::read, key, value, value.empty() ? "ENOENT" : "");
  }
  Story& open(std::uint32_t client, Kind kind, const std::string& key, const std::string& value,
              std::uint32_t transaction = 0) {
    history.push_back({client, kind, transaction, now, 0, key, value, {}});
    now += 10;
    return *this;
  }
  Story& raise(std::uint32_t client, std::uint32_t transaction, int from,
               const std::string& end = {}) {
    op(client, Kind::read, "c/0", std::to_string(from), "", transaction);
    op(client, Kind::write, "c/0", std::to_string(from + 1), "", transaction);
    return op(client, Kind::end, "", "T", end, transaction);
  }
  [[nodiscard]] std::vector<std::string> rules() const {
    std::vector<std::string> found;
    for (const Violation& each : check(history, kGap).violations)
      found.push_back(each.rule);
    return found;
  }
  History history;
  std::uint64_t now{100};
};

using Rules = std::vector<std::string>;

TEST(Registers, AGoodHistoryIsGood) {
  Story story;
  story.read(0, "r/a", "").write(0, "r/a", "1").read(1, "r/a", "1").write(1, "r/a", "2");
  story.read(0, "r/a", "2").read(1, "r/a", "2");
  EXPECT_EQ(story.rules(), Rules{});
}

TEST(Registers, AnAcknowledgedWriteThatIsGone) {
  Story story;
  story.write(0, "r/a", "1").write(0, "r/a", "2").read(0, "r/a", "1");
  EXPECT_EQ(story.rules().size(), 1U);
}

TEST(Registers, AnEmptyTreeAfterARebirth) {
  Story story;
  story.write(0, "r/a", "1").read(0, "r/a", "");
  EXPECT_EQ(story.rules().size(), 1U);
}

TEST(Registers, ReadsThatGoBack) {
  Story story;
  story.write(0, "r/a", "1");
  // A write of unknown fate is seen, and then it is not.
  story.open(0, Kind::write, "r/a", "2").read(1, "r/a", "2").read(2, "r/a", "1");
  EXPECT_EQ(story.rules().size(), 1U);
}

TEST(Registers, AWriteOfUnknownFateMayBeSeenOrNot) {
  Story seen;
  seen.write(0, "r/a", "1").open(0, Kind::write, "r/a", "2").read(1, "r/a", "1");
  seen.read(1, "r/a", "2").read(1, "r/a", "2");
  EXPECT_EQ(seen.rules(), Rules{});
  Story unseen;
  unseen.write(0, "r/a", "1").op(0, Kind::write, "r/a", "2", "EIO").read(1, "r/a", "1");
  EXPECT_EQ(unseen.rules(), Rules{});
}

TEST(Registers, ConcurrentWritesMayCountInEitherOrder) {
  for (const char* last : {"1", "2"}) {
    Story story;
    story.history = {{0, Kind::write, 0, 10, 50, "r/a", "1", ""},
                     {1, Kind::write, 0, 20, 40, "r/a", "2", ""},
                     {2, Kind::read, 0, 60, 70, "r/a", last, ""}};
    EXPECT_EQ(story.rules(), Rules{});
  }
}

TEST(Registers, ReadersMustAgreeOnTheOrder) {
  Story story;
  story.history = {{0, Kind::write, 0, 10, 50, "r/a", "1", ""},
                   {1, Kind::write, 0, 10, 50, "r/a", "2", ""},
                   {2, Kind::read, 0, 60, 70, "r/a", "1", ""},
                   {2, Kind::read, 0, 80, 90, "r/a", "2", ""},
                   {3, Kind::read, 0, 100, 110, "r/a", "1", ""}};
  EXPECT_EQ(story.rules().size(), 1U);
}

TEST(Registers, ValuesOfNobody) {
  Story story;
  story.write(0, "r/a", "1").read(0, "r/a", "3");
  EXPECT_EQ(story.rules(), Rules{"wrong bytes"});
  Story garbage;
  garbage.write(0, "r/a", "1").read(0, "r/a", std::string(kWrongBytes));
  EXPECT_EQ(garbage.rules(), Rules{"wrong bytes"});
}

TEST(Registers, ReadBeforeWritten) {
  Story story;
  story.read(0, "r/a", "1").write(0, "r/a", "1");
  EXPECT_EQ(story.rules(), Rules{"read before written"});
}

TEST(Own, PresenceAndPermissions) {
  Story good;
  good.read(0, "s/a", "").write(0, "s/a", "there").read(0, "s/a", "there").write(0, "s/a", "");
  good.read(0, "s/a", "").open(0, Kind::write, "s/a", "there").read(0, "s/a", "there");
  EXPECT_EQ(good.rules(), Rules{});
  Story lost;
  lost.write(0, "s/a", "there").read(0, "s/a", "");
  EXPECT_EQ(lost.rules(), Rules{"lost write"});
  Story back;
  back.write(0, "s/a", "there").write(0, "s/a", "").read(0, "s/a", "there");
  EXPECT_EQ(back.rules(), Rules{"lost write"});
}

TEST(Counters, AllIncrementsAreThere) {
  Story story;
  story.raise(0, 1, 0).raise(1, 1, 1).raise(0, 2, 1, "EAGAIN").raise(0, 3, 2).read(0, "c/0", "3");
  EXPECT_EQ(story.rules(), Rules{});
}

TEST(Counters, ACommitThatIsLost) {
  Story story;
  story.raise(0, 1, 0).raise(1, 1, 1).read(0, "c/0", "1");
  EXPECT_EQ(story.rules(), Rules{"lost write"});
}

TEST(Counters, ACommitThatIsDoneTwice) {
  Story story;
  story.raise(0, 1, 0).read(0, "c/0", "2");
  EXPECT_EQ(story.rules(), Rules{"executed twice"});
}

TEST(Counters, TwoCommitsOfTheSameStep) {
  Story story;
  story.raise(0, 1, 0).raise(1, 1, 0).read(0, "c/0", "2");
  EXPECT_EQ(story.rules(), Rules{"executed twice"});
}

TEST(Counters, AConflictThatWasCommittedAllTheSame) {
  Story story;
  story.raise(0, 1, 0).raise(1, 1, 1, "EAGAIN").read(0, "c/0", "2");
  EXPECT_EQ(story.rules(), Rules{"executed twice"});
}

TEST(Counters, ACommitOfUnknownFateCountsOnceOrNot) {
  for (const char* final : {"1", "2"}) {
    Story story;
    story.raise(0, 1, 0).op(1, Kind::read, "c/0", "1", "", 1);
    story.op(1, Kind::write, "c/0", "2", "", 1).open(1, Kind::end, "", "T", 1);
    story.read(0, "c/0", final);
    EXPECT_EQ(story.rules(), Rules{}) << final;
  }
}

TEST(Counters, ACounterNeverGoesBack) {
  Story story;
  story.raise(0, 1, 0).raise(0, 2, 1).read(0, "c/0", "2").read(0, "c/0", "1");
  EXPECT_FALSE(story.rules().empty());
}

TEST(Pairs, HalfATransactionIsSeen) {
  Story story;
  story.op(0, Kind::read, "p/0.a", "1", "", 1).op(0, Kind::read, "p/0.b", "2", "", 1);
  story.op(0, Kind::read, "p/1.a", "3", "", 1).op(0, Kind::read, "p/1.b", "3", "", 1);
  Story conflict = story;
  story.op(0, Kind::end, "", "T", "", 1);
  EXPECT_EQ(story.rules(), Rules{"torn transaction"});
  conflict.op(0, Kind::end, "", "T", "EAGAIN", 1);
  EXPECT_EQ(conflict.rules(), Rules{});
}

TEST(Watches, EveryLifeHasItsEvents) {
  Story story;
  story.op(0, Kind::watch, "w/a", "t1").op(0, Kind::event, "w/a", "t1").write(0, "w/a", "1");
  story.op(0, Kind::event, "w/a", "t1").op(0, Kind::unwatch, "w/a", "t1");
  EXPECT_EQ(story.rules(), Rules{});
}

TEST(Watches, ALostEvent) {
  Story story;
  story.op(0, Kind::watch, "w/a", "t1").op(0, Kind::event, "w/a", "t1").write(0, "w/a", "1");
  story.op(0, Kind::unwatch, "w/a", "t1");
  EXPECT_EQ(story.rules(), Rules{"lost event"});
}

TEST(Watches, MoreEventsThanReasons) {
  Story story;
  story.op(0, Kind::watch, "w/a", "t1").write(0, "w/a", "1");
  for (int i = 0; i < 3; ++i)
    story.op(0, Kind::event, "w/a", "t1");
  story.op(0, Kind::unwatch, "w/a", "t1");
  EXPECT_EQ(story.rules(), Rules{"executed twice"});
}

TEST(Watches, RegisteredTwiceOrNotAtAll) {
  Story twice;
  twice.op(0, Kind::watch, "w/a", "t1", "EEXIST");
  EXPECT_EQ(twice.rules(), Rules{"executed twice"});
  Story gone;
  gone.op(0, Kind::watch, "w/a", "t1").op(0, Kind::event, "w/a", "t1");
  gone.op(0, Kind::unwatch, "w/a", "t1", "ENOENT");
  EXPECT_EQ(gone.rules(), Rules{"executed twice"});
}

TEST(Verdict, ErrorsAndGapsAreToldNotJudged) {
  Story story;
  story.write(0, "r/a", "1").op(0, Kind::write, "r/a", "2", "EIO");
  story.history.push_back({1, Kind::read, 0, 100, 5000, "r/a", "1", ""});
  story.open(1, Kind::write, "r/a", "9");
  const Verdict verdict = check(story.history, kGap);
  EXPECT_TRUE(verdict.violations.empty());
  ASSERT_EQ(verdict.errors.size(), 1U);
  EXPECT_EQ(verdict.errors.front().error, "EIO");
  EXPECT_EQ(verdict.unanswered.size(), 1U);
  EXPECT_EQ(verdict.longest.at(1).end - verdict.longest.at(1).begin, 4900U);
  EXPECT_EQ(verdict.longest.at(0).end - verdict.longest.at(0).begin, 5U);
}

TEST(Values, EveryByteCounts) {
  const std::string value = make_value(3, 77, 40);
  EXPECT_EQ(value_name(value), "3.77");
  for (std::size_t at = 0; at < value.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string flipped = value;
      flipped[at] = static_cast<char>(flipped[at] ^ static_cast<char>(1U << bit));
      EXPECT_FALSE(value_name(flipped)) << at << '.' << bit;
    }
  }
  EXPECT_FALSE(value_name(value.substr(0, value.size() - 1)));
  EXPECT_FALSE(value_name(value + "x"));
}

TEST(HistoryFile, ComesBackAsItWas) {
  Story story;
  story.write(0, "r/a", "1").read(1, "r/a", "").open(2, Kind::end, "", "T", 7);
  std::stringstream file;
  write_history(file, story.history);
  History back;
  ASSERT_TRUE(read_history(file, back));
  ASSERT_EQ(back.size(), story.history.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].client, story.history[i].client);
    EXPECT_EQ(back[i].kind, story.history[i].kind);
    EXPECT_EQ(back[i].transaction, story.history[i].transaction);
    EXPECT_EQ(back[i].answered, story.history[i].answered);
    EXPECT_EQ(back[i].key, story.history[i].key);
    EXPECT_EQ(back[i].value, story.history[i].value);
    EXPECT_EQ(back[i].error, story.history[i].error);
  }
  std::stringstream damaged("0\tnonsense\t0\t1\t2\tk\tv\t\n");
  EXPECT_FALSE(read_history(damaged, back));
}

}  // namespace
}  // namespace ppvmm::xshistory
