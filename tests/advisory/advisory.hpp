/// What the tests of advisories have in common.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "support/machine_client.hpp"
#include "support/message.hpp"
#include "support/ring_host.hpp"

namespace ppvmm::test {

using Events = std::vector<Event>;

class Advisory : public testing::Test {
 protected:
  // Whatever was tried, the store agrees with itself and serves the next client.
  void TearDown() override {
    EXPECT_EQ(world.dom0.control({"check"}), Result("OK"));
    EXPECT_EQ(world.connect().read("/tool"), Result(""));
  }

  // A guest that may do what it likes below its home directory.
  MachineClient guest(DomId domid) { return world.create_guest(domid); }

  World world;
  Machine& machine = world.machine;
  MachineClient& dom0 = world.dom0;
};

}  // namespace ppvmm::test
