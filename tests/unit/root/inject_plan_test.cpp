#include "root/inject_plan.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <set>

namespace ppvmm::root::inject {
namespace {

constexpr std::array<Stretch, 2> kGround{{{0x1000, 0x10}, {0x5000, 0x30}}};

bool inside(std::uint64_t address, std::size_t bytes) {
  for (const Stretch& stretch : kGround) {
    if (address >= stretch.va && address + bytes <= stretch.va + stretch.bytes) return true;
  }
  return false;
}

TEST(InjectPlan, NamesGoBothWays) {
  for (std::size_t i = 0; i < kFaultTypes; ++i) {
    const auto fault = static_cast<FaultType>(i);
    EXPECT_EQ(fault_named(name_of(fault)), fault);
  }
  for (std::size_t i = 0; i < kGrounds; ++i) {
    const auto where = static_cast<Where>(i);
    EXPECT_EQ(where_named(name_of(where)), where);
  }
  EXPECT_EQ(moment_named("running"), Moment::running);
  EXPECT_FALSE(fault_named("no such fault"));
}

TEST(InjectPlan, TheSameSeedGivesTheSameFault) {
  for (const FaultType fault : {FaultType::bit_flip, FaultType::wild_write, FaultType::overwrite}) {
    Dice one(42);
    Dice other(42);
    const Request request{.fault = fault, .where = Where::heap};
    const auto a = plan_memory(request, kGround, one);
    const auto b = plan_memory(request, kGround, other);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->address, b->address);
    EXPECT_EQ(a->bytes, b->bytes);
  }
}

TEST(InjectPlan, EveryByteOfTheGroundIsHitAndNothingElse) {
  Dice dice(1);
  std::set<std::uint64_t> hit;
  for (int i = 0; i < 4000; ++i) {
    const auto edit = plan_memory({.fault = FaultType::bit_flip}, kGround, dice);
    ASSERT_TRUE(edit);
    ASSERT_TRUE(edit->flip);
    ASSERT_EQ(edit->bytes.size(), 1U);
    EXPECT_TRUE(std::has_single_bit(static_cast<unsigned>(edit->bytes.front())));
    ASSERT_TRUE(inside(edit->address, 1));
    hit.insert(edit->address);
  }
  EXPECT_EQ(hit.size(), total_bytes(kGround));
}

TEST(InjectPlan, GarbageStaysWithinItsStretch) {
  Dice dice(2);
  for (int i = 0; i < 1000; ++i) {
    const auto edit = plan_memory({.fault = FaultType::wild_write}, kGround, dice);
    ASSERT_TRUE(edit);
    ASSERT_FALSE(edit->bytes.empty());
    ASSERT_TRUE(inside(edit->address, edit->bytes.size()));
  }
}

TEST(InjectPlan, ALoopIsAJumpToItselfAtTheInstruction) {
  Dice dice(3);
  const auto edit = plan_memory({.fault = FaultType::loop}, kGround, dice);
  ASSERT_TRUE(edit);
  EXPECT_EQ(edit->address, 0x1000U);
  EXPECT_EQ(to_hex(edit->bytes), "ebfe");
}

TEST(InjectPlan, WhatIsGivenIsTakenAsItIs) {
  Dice dice(4);
  const auto edit =
      plan_memory({.fault = FaultType::bit_flip, .address = 0x77, .bit = 3}, {}, dice);
  ASSERT_TRUE(edit);
  EXPECT_EQ(edit->address, 0x77U);
  EXPECT_EQ(to_hex(edit->bytes), "08");
  EXPECT_FALSE(plan_memory({.fault = FaultType::bit_flip, .address = 0x77, .bit = 8}, {}, dice));
  EXPECT_FALSE(plan_memory({.fault = FaultType::bit_flip}, {}, dice));
}

TEST(InjectPlan, InstructionPointers) {
  Dice dice(5);
  const Registers now{};
  const auto wild = plan_register({.fault = FaultType::wild_rip}, now, kGround, dice);
  ASSERT_TRUE(wild);
  EXPECT_EQ(wild->reg, kRip);
  EXPECT_FALSE(inside(wild->value, 1));
  const auto null = plan_register({.fault = FaultType::null_rip}, now, kGround, dice);
  ASSERT_TRUE(null);
  EXPECT_EQ(null->value, 0U);
  for (int i = 0; i < 100; ++i) {
    const auto random = plan_register({.fault = FaultType::random_rip}, now, kGround, dice);
    ASSERT_TRUE(random);
    ASSERT_TRUE(inside(random->value, 1));
  }
  EXPECT_FALSE(plan_register({.fault = FaultType::random_rip}, now, {}, dice));
  EXPECT_FALSE(plan_register({.fault = FaultType::destroy}, now, kGround, dice));
}

TEST(InjectPlan, ARegisterFlipChangesOneBit) {
  Dice dice(6);
  Registers now{};
  now.fill(0xF0F0);
  std::set<std::size_t> hit;
  for (int i = 0; i < 500; ++i) {
    const auto edit = plan_register({.fault = FaultType::register_flip}, now, {}, dice);
    ASSERT_TRUE(edit);
    ASSERT_TRUE(std::has_single_bit(edit->value ^ 0xF0F0U));
    hit.insert(edit->reg);
  }
  EXPECT_EQ(hit.size(), kRegisterNames.size());
}

TEST(InjectPlan, HexGoesBothWays) {
  const auto bytes = from_hex("00ff10");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(to_hex(*bytes), "00ff10");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("zz"));
}

}  // namespace
}  // namespace ppvmm::root::inject
