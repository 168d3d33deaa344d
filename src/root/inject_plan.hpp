/// What a fault from outside does, decided before it is done: **pure**. A request names a fault
/// and, as far as it likes, where; what it leaves open is drawn from a seeded die. The result is an
/// exact change of memory or of a register, which can be written down and made again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "root/failure.hpp"
#include "root/guest_memory.hpp"

namespace ppvmm::root::inject {

enum class FaultType : std::uint8_t {
  wild_rip,         ///< Instruction pointer to where nothing is mapped.
  null_rip,         ///< Instruction pointer to 0: a null call.
  random_rip,       ///< Instruction pointer to any byte of the code, between instructions or not.
  overwrite,        ///< Sixteen random bytes over code (by default at the instruction pointer).
  loop,             ///< A jump to itself over code (by default at the instruction pointer).
  stop_vcpu,        ///< The vCPU goes offline, as by VCPUOP_down.
  pause,            ///< The domain is paused, as by `xl pause`, and stays so.
  lose_event,       ///< A pending event's bit is cleared before the unikernel sees it.
  register_flip,    ///< One bit of one register.
  bit_flip,         ///< One bit of memory.
  wild_write,       ///< A random run of 8 to 256 bytes of garbage in memory.
  destroy,          ///< The domain is destroyed.
  kill_supervisor,  ///< The supervising process is killed (SIGKILL).
};
inline constexpr std::size_t kFaultTypes = 13;

/// A kind of ground that a fault may hit.
enum class Where : std::uint8_t {
  instruction,  ///< From the instruction pointer on.
  code,
  constants,
  data,
  bss,
  heap,        ///< Pages behind the image that hold something.
  stack,       ///< From the stack pointer to the stack's upper end.
  vitals,      ///< Vitals page and survivors.
  log,         ///< Log of a replica's region (replication/layout.hpp).
  checkpoint,  ///< Checkpoints of a replica's region.
  tree,        ///< Names and values of the store's nodes, found by their text.
  digest,      ///< What a backup counts as its tree's digest, found by what it published of it.
  frames,      ///< The domain builder's table of machine frame numbers, which outlives lives.
};
inline constexpr std::size_t kGrounds = 13;

/// When, as seen by the unikernel.
enum class Moment : std::uint8_t {
  now,
  work,     ///< An event waits for it: it works on it as soon as it goes on.
  running,  ///< It is in the middle of something: not asleep in Xen.
};

[[nodiscard]] std::string_view name_of(FaultType fault);
[[nodiscard]] std::string_view name_of(Where where);
[[nodiscard]] std::string_view name_of(Moment moment);
[[nodiscard]] std::optional<FaultType> fault_named(std::string_view name);
[[nodiscard]] std::optional<Where> where_named(std::string_view name);
[[nodiscard]] std::optional<Moment> moment_named(std::string_view name);

/// SplitMix64 (public domain, Vigna): the same numbers for the same seed everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  [[nodiscard]] std::uint64_t next();
  /// Below `limit`, which is at least 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return next() % limit; }

 private:
  std::uint64_t state_;
};

/// The registers a fault may touch. rip is the last.
inline constexpr std::array<std::string_view, 17> kRegisterNames{
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
inline constexpr std::size_t kRip = 16;
inline constexpr std::size_t kRsp = 7;
using Registers = std::array<std::uint64_t, kRegisterNames.size()>;

/// What somebody wants. Everything that is set is taken as it is; the rest is drawn.
struct Request {
  FaultType fault{};
  std::optional<Where> where{};            ///< Default: default_where(fault).
  std::optional<std::uint64_t> address{};  ///< Exact place in memory; `where` does not matter then.
  std::optional<unsigned> bit{};           ///< 0-7 of the byte, or 0-63 of the register.
  std::optional<std::size_t> reg{};        ///< Index into kRegisterNames.
  std::optional<std::uint64_t> value{};    ///< New instruction pointer.
  std::vector<std::byte> bytes{};          ///< New bytes{}; empty: drawn.
  Moment moment{Moment::now};
  bool rehearse{};  ///< Everything but the change: memory and registers keep what they hold.
};

enum class Target : std::uint8_t { memory, registers, other };
[[nodiscard]] Target target_of(FaultType fault);
[[nodiscard]] Where default_where(FaultType fault);

/// A change of memory. `flip`: the bytes are a mask to XOR with.
struct MemoryEdit {
  std::uint64_t address{};
  std::vector<std::byte> bytes;
  bool flip{};
};
/// Decides a change of memory within `ground` (ascending stretches; total above 0 unless the
/// request has an address).
[[nodiscard]] Result<MemoryEdit> plan_memory(const Request& request,
                                             std::span<const Stretch> ground, Dice& dice);

struct RegisterEdit {
  std::size_t reg{};
  std::uint64_t value{};
};
/// Decides a change of a register. `code`: where instructions lie, for random_rip.
[[nodiscard]] Result<RegisterEdit> plan_register(const Request& request, const Registers& now,
                                                 std::span<const Stretch> code, Dice& dice);

/// The `index`th byte of the ground, counted over all its stretches.
[[nodiscard]] std::uint64_t address_at(std::span<const Stretch> ground, std::uint64_t index);
[[nodiscard]] std::uint64_t total_bytes(std::span<const Stretch> ground);

[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);
/// Nothing when it is not an even number of hexadecimal digits.
[[nodiscard]] std::optional<std::vector<std::byte>> from_hex(std::string_view text);

}  // namespace ppvmm::root::inject
