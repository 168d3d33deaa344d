#include "root/inject_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ppvmm::root::inject {
namespace {

constexpr std::array<std::string_view, kFaultTypes> kFaultNames{
    "wild-rip",   "null-rip", "random-rip", "overwrite",  "loop",    "stop-vcpu",      "pause",
    "lose-event", "register", "bit-flip",   "wild-write", "destroy", "kill-supervisor"};
constexpr std::array<std::string_view, kGrounds> kWhereNames{
    "instruction", "code", "constants",  "data", "bss",    "heap",  "stack",
    "vitals",      "log",  "checkpoint", "tree", "digest", "frames"};
constexpr std::array<std::string_view, 3> kMomentNames{"now", "work", "running"};

template <class Enum, std::size_t N>
std::optional<Enum> named(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

constexpr std::size_t kOverwriteBytes = 16;
constexpr std::size_t kWildLeast = 8;
constexpr std::size_t kWildSteps = 32;  // times 8 bytes: up to 256
constexpr unsigned kByteBits = 8;
constexpr unsigned kRegisterBits = 64;
constexpr unsigned kCanonicalBits = 47;  // the lower half of the addresses
/// Canonical, and far from everything a unikernel maps (its addresses lie below 2 GiB plus memory).
constexpr std::uint64_t kWildBase = 0x0000'6000'0000'0000;
constexpr std::uint64_t kWildRange = 0x0000'1000'0000'0000;

std::vector<std::byte> garbage(std::size_t count, Dice& dice) {
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(dice.next());
  return bytes;
}

std::vector<std::byte> new_bytes(const Request& request, Dice& dice) {
  if (!request.bytes.empty()) return request.bytes;
  if (request.fault == FaultType::overwrite) return garbage(kOverwriteBytes, dice);
  if (request.fault == FaultType::loop) {
    return {std::byte{0xEB}, std::byte{0xFE}};  // JMP rel8 to itself (AMD64 APM vol. 3, JMP)
  }
  return garbage(kWildLeast * (1 + dice.below(kWildSteps)), dice);
}

}  // namespace

std::string_view name_of(FaultType fault) {
  return kFaultNames.at(static_cast<std::size_t>(fault));
}
std::string_view name_of(Where where) {
  return kWhereNames.at(static_cast<std::size_t>(where));
}
std::string_view name_of(Moment moment) {
  return kMomentNames.at(static_cast<std::size_t>(moment));
}
std::optional<FaultType> fault_named(std::string_view name) {
  return named<FaultType>(kFaultNames, name);
}
std::optional<Where> where_named(std::string_view name) {
  return named<Where>(kWhereNames, name);
}
std::optional<Moment> moment_named(std::string_view name) {
  return named<Moment>(kMomentNames, name);
}

std::uint64_t Dice::next() {
  state_ += 0x9E37'79B9'7F4A'7C15;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58'476D'1CE4'E5B9;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D0'49BB'1331'11EB;
  return mixed ^ (mixed >> 31U);
}

Target target_of(FaultType fault) {
  switch (fault) {
    case FaultType::overwrite:
    case FaultType::loop:
    case FaultType::bit_flip:
    case FaultType::wild_write:
      return Target::memory;
    case FaultType::wild_rip:
    case FaultType::null_rip:
    case FaultType::random_rip:
    case FaultType::register_flip:
      return Target::registers;
    case FaultType::stop_vcpu:
    case FaultType::pause:
    case FaultType::lose_event:
    case FaultType::destroy:
    case FaultType::kill_supervisor:
      return Target::other;
  }
  return Target::other;
}

Where default_where(FaultType fault) {
  const bool code = fault == FaultType::overwrite || fault == FaultType::loop;
  return code ? Where::instruction : Where::heap;
}

std::uint64_t total_bytes(std::span<const Stretch> ground) {
  std::uint64_t total = 0;
  for (const Stretch& stretch : ground)
    total += stretch.bytes;
  return total;
}

std::uint64_t address_at(std::span<const Stretch> ground, std::uint64_t index) {
  for (const Stretch& stretch : ground) {
    if (index < stretch.bytes) return stretch.va + index;
    index -= stretch.bytes;
  }
  return 0;
}

Result<MemoryEdit> plan_memory(const Request& request, std::span<const Stretch> ground,
                               Dice& dice) {
  const bool at_instruction =
      request.where.value_or(default_where(request.fault)) == Where::instruction;
  MemoryEdit edit;
  if (request.address) {
    edit.address = *request.address;
  } else {
    const std::uint64_t total = total_bytes(ground);
    if (total == 0) return refused("there is nothing of that ground to hit");
    edit.address = at_instruction ? ground.front().va : address_at(ground, dice.below(total));
  }
  if (request.fault == FaultType::bit_flip) {
    const auto bit = request.bit.value_or(static_cast<unsigned>(dice.below(kByteBits)));
    if (bit >= kByteBits) return refused(fmt::format("a byte has no bit {}", bit));
    edit.bytes = {static_cast<std::byte>(1U << bit)};
    edit.flip = true;
    return edit;
  }
  edit.bytes = new_bytes(request, dice);
  if (request.address || ground.empty()) return edit;
  // Garbage stays within the stretch it was drawn in: the neighbour may not be mapped.
  for (const Stretch& stretch : ground) {
    if (edit.address < stretch.va || edit.address - stretch.va >= stretch.bytes) continue;
    const std::uint64_t room = stretch.va + stretch.bytes - edit.address;
    if (edit.bytes.size() > room) edit.bytes.resize(room);
  }
  return edit;
}

Result<RegisterEdit> plan_register(const Request& request, const Registers& now,
                                   std::span<const Stretch> code, Dice& dice) {
  switch (request.fault) {
    case FaultType::null_rip:
      return RegisterEdit{kRip, 0};
    case FaultType::wild_rip:
      return RegisterEdit{kRip, request.value.value_or(kWildBase + dice.below(kWildRange))};
    case FaultType::random_rip: {
      if (request.value) return RegisterEdit{kRip, *request.value};
      const std::uint64_t total = total_bytes(code);
      if (total == 0) return refused("there is no code to jump into");
      return RegisterEdit{kRip, address_at(code, dice.below(total))};
    }
    case FaultType::register_flip: {
      const std::size_t reg = request.reg.value_or(dice.below(kRegisterNames.size()));
      if (reg >= now.size()) return refused("there is no such register");
      // Xen refuses addresses for these two that are not canonical (arch_set_info_guest).
      const unsigned bits = reg == kRip || reg == kRsp ? kCanonicalBits : kRegisterBits;
      const auto bit = request.bit.value_or(static_cast<unsigned>(dice.below(bits)));
      if (bit >= kRegisterBits) return refused(fmt::format("a register has no bit {}", bit));
      return RegisterEdit{reg, now.at(reg) ^ std::uint64_t{1} << bit};
    }
    default:
      return refused(fmt::format("{} changes no register", name_of(request.fault)));
  }
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    unsigned value = 0;
    const char* const end = text.data() + at + 2;
    const auto parsed = std::from_chars(text.data() + at, end, value, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

}  // namespace ppvmm::root::inject
