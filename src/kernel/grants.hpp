/// Grants: mapping other domains' pages, and giving pages of our own.
///
/// Mappings live in a window of the address space (paging.hpp), or over a page of our own. What an
/// incarnation leaves mapped is unmapped when the next one begins, unless it was told to survive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "abi/xen.hpp"

namespace ppvmm::kernel::grants {

using abi::DomId;
using abi::GrantRef;

enum class Access : std::uint8_t { read_write, read_only };

/// Why a grant operation did not happen.
enum class Error : std::uint8_t {
  bad_grant,  ///< The domain does not exist, or grants no such page to us.
  no_space,   ///< Window, handle table or grant table full.
  bad_page,   ///< The address given is no page of ours.
  other,      ///< Anything else Xen answers.
};

/// One foreign page, mapped. Unmaps at the end of its life.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping() { unmap(); }
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  /// The 4096 bytes; null for an empty object.
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] explicit operator bool() const { return data_ != nullptr; }
  /// Ends the mapping now. A page of our own that lay underneath comes back with undefined content.
  void unmap();
  /// Keeps it mapped over microreboots; survived(tag) finds it. False if the tag is taken or the
  /// table full. unmap() ends it for good.
  [[nodiscard]] bool survive(std::uint32_t tag);
  /// Lets go of it without unmapping: it stays mapped for the rest of this life and, if it was told
  /// to survive, for the next.
  void leave() { data_ = nullptr; }

 private:
  friend std::expected<Mapping, Error> map(DomId, GrantRef, Access);
  friend std::expected<Mapping, Error> map_over(std::byte*, DomId, GrantRef, Access);
  friend std::optional<Mapping> survived(std::uint32_t);
  Mapping(std::byte* data, std::uint32_t record, DomId domid, GrantRef ref)
      : data_(data), record_(record), domid_(domid), ref_(ref) {}

  std::byte* data_{};
  std::uint32_t record_{};
  DomId domid_{};
  GrantRef ref_{};
  std::optional<std::uint32_t> tag_;
};

/// Maps what `domid` grants as `ref`, at an address of the window.
[[nodiscard]] std::expected<Mapping, Error> map(DomId domid, GrantRef ref, Access access);
/// The same over a page of our own, whose content is out of reach until unmapped. The page stays
/// the caller's.
[[nodiscard]] std::expected<Mapping, Error> map_over(std::byte* own_page, DomId domid, GrantRef ref,
                                                     Access access);
/// The mapping that an earlier incarnation kept under `tag`.
[[nodiscard]] std::optional<Mapping> survived(std::uint32_t tag);

/// Gives `domid` access to a page of ours.
[[nodiscard]] std::expected<GrantRef, Error> grant(DomId domid, std::byte* page, Access access);
/// Takes a grant back. False while the other domain has it mapped: the page must not be reused.
[[nodiscard]] bool revoke(GrantRef ref);
/// Keeps a grant over microreboots under `tag`; see also memory::survive() for its page.
[[nodiscard]] bool survive(GrantRef ref, std::uint32_t tag);
[[nodiscard]] std::optional<GrantRef> survived_grant(std::uint32_t tag);

/// Many consecutive grants of one domain at consecutive addresses, each mapped when it is first
/// needed. Survives microreboots by itself, under the tag it was made with.
class MappedRun {
 public:
  MappedRun() = default;
  ~MappedRun() = default;  ///< Nothing is unmapped: close() does that.
  MappedRun(MappedRun&& other) noexcept { *this = std::move(other); }
  MappedRun& operator=(MappedRun&& other) noexcept;

  /// Takes `count` addresses for the grants of `domid` from `first_ref` on. Maps nothing yet.
  [[nodiscard]] static std::expected<MappedRun, Error> open(std::uint32_t tag, DomId domid,
                                                            GrantRef first_ref,
                                                            std::uint32_t count);
  /// The run that an earlier life opened under `tag`, with what it had mapped.
  [[nodiscard]] static std::optional<MappedRun> survived(std::uint32_t tag);

  [[nodiscard]] explicit operator bool() const { return count_ != 0; }
  [[nodiscard]] std::byte* data() const;
  [[nodiscard]] std::uint32_t pages() const { return count_; }
  [[nodiscard]] DomId domid() const { return domid_; }
  /// Makes sure that pages [first, first + count) are mapped. False if one of them cannot be.
  [[nodiscard]] bool need(std::uint32_t first, std::uint32_t count);
  /// Unmaps everything and forgets the run. Pages that Xen does not let go of are counted as stuck.
  void close();

 private:
  MappedRun(std::uint32_t tag, DomId domid, std::uint32_t slot, GrantRef ref, std::uint32_t count)
      : tag_(tag), domid_(domid), slot_(slot), first_ref_(ref), count_(count) {}

  std::uint32_t tag_{};
  DomId domid_{};
  std::uint32_t slot_{};
  GrantRef first_ref_{};
  std::uint32_t count_{};
};

/// Grants `count` contiguous pages of ours to `domid`, with the references from `first_ref` on,
/// which must all be free. Kept over microreboots under `tag`. All or nothing.
[[nodiscard]] std::expected<void, Error> grant_run(std::uint32_t tag, DomId domid, std::byte* pages,
                                                   std::uint32_t count, GrantRef first_ref);

struct Statistics {
  std::uint32_t mapped;   ///< Mappings now.
  std::uint32_t granted;  ///< Grants given now.
  std::uint32_t stuck;    ///< Slots and references that a dead incarnation left unusable.
};
[[nodiscard]] Statistics statistics();

/// For the runtime: maps the grant table, clears up after the last incarnation.
void set_up(bool reborn);

}  // namespace ppvmm::kernel::grants
