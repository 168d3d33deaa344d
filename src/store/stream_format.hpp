/// The bytes of a XenStore migration stream: record types, fixed values, a writer and a reader that
/// know bytes and bounds and nothing of the store.
///
/// Spec: Xen docs/designs/xenstore-migration.md, version 1; our own records:
/// docs/xenstore-stream.md.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <string_view>
#include <vector>

#include "store/types.hpp"

namespace ppvmm::store::stream {

// Fields are copied as they lie in memory; the header says which byte order that is.
static_assert(std::endian::native == std::endian::little);

/// "xenstore" read as a big-endian number.
inline constexpr std::uint64_t kIdent = 0x7865'6e73'746f'7265;
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kFlagBigEndian = 1;
inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kRecordHeaderBytes = 8;
/// Every record starts at a multiple of this.
inline constexpr std::size_t kAlignment = 8;

enum class RecordType : std::uint32_t {
  end = 0,
  global_data = 1,
  connection_data = 2,
  watch_data = 3,
  transaction_data = 4,
  node_data = 5,
  global_quota_data = 6,
  domain_data = 7,
};

/// Types from here on are ours. The spec reserves them; readers that do not know them skip them, as
/// C xenstored does, and lose only what the spec's own records cannot say.
inline constexpr std::uint32_t kOwnRecords = 0x5056'0000;

/// CONNECTION_DATA, conn-type.
enum class ConnectionType : std::uint16_t { ring = 0, socket = 1 };

/// A descriptor that does not exist: GLOBAL_DATA and socket connections.
inline constexpr std::uint32_t kNoDescriptor = 0xffff'ffff;
/// DOMID_INVALID of public/xen.h: no SET_TARGET.
inline constexpr DomId kNoTarget = 0x7ff4;

/// NODE_DATA, access.
inline constexpr std::uint16_t kAccessRead = 1;
inline constexpr std::uint16_t kAccessWritten = 2;

/// Appends records to a buffer.
class Writer {
 public:
  /// Starts a stream with its header.
  Writer();

  /// Starts a record; every begin() needs its finish().
  void begin(RecordType type) { begin(static_cast<std::uint32_t>(type)); }
  void begin(std::uint32_t type);
  void u8(std::uint8_t value) { bytes(std::as_bytes(std::span{&value, 1})); }
  void u16(std::uint16_t value) { bytes(std::as_bytes(std::span{&value, 1})); }
  void u32(std::uint32_t value) { bytes(std::as_bytes(std::span{&value, 1})); }
  void u64(std::uint64_t value) { bytes(std::as_bytes(std::span{&value, 1})); }
  void i64(std::int64_t value) { u64(static_cast<std::uint64_t>(value)); }
  void bytes(std::span<const std::byte> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  void text(std::string_view text) { bytes(std::as_bytes(std::span{text})); }
  /// `text` and the NUL that ends it.
  void terminated(std::string_view text);
  /// Zeros up to the next multiple of eight.
  void pad();
  /// Fills in the record's length and pads.
  void finish();
  /// A whole record whose body is `length` zeros, to be overwritten before the next call.
  [[nodiscard]] std::span<std::byte> record(RecordType type, std::size_t length);
  /// About how long the stream will be; saves copying it while it grows.
  void expect(std::size_t bytes) { out_.reserve(bytes); }

  /// The END record, and the stream.
  [[nodiscard]] std::vector<std::byte> end();

 private:
  std::vector<std::byte> out_;
  std::size_t record_{};  ///< Where the open record's header is.
};

/// Reads the fields of one record in order. Reading past the end gives zeros and nothing, and makes
/// ok() false for good, so a caller may read all fields first and check once, before it uses any.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> body) : rest_{body}, size_{body.size()} {}

  [[nodiscard]] std::uint8_t u8() { return number<std::uint8_t>(); }
  [[nodiscard]] std::uint16_t u16() { return number<std::uint16_t>(); }
  [[nodiscard]] std::uint32_t u32() { return number<std::uint32_t>(); }
  [[nodiscard]] std::uint64_t u64() { return number<std::uint64_t>(); }
  [[nodiscard]] std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  [[nodiscard]] std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  [[nodiscard]] std::string_view text(std::size_t count) {
    const auto taken = bytes(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  /// A string of `count` bytes whose last is the only NUL, which is left out.
  [[nodiscard]] std::string_view terminated(std::size_t count);
  /// A string up to the next NUL, which is left out.
  [[nodiscard]] std::string_view terminated();
  /// Skips to the next multiple of eight.
  void skip_padding();

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  /// Everything was there, and nothing is left over but padding: C xenstored counts it in a
  /// record's length.
  [[nodiscard]] bool complete() const { return ok_ && rest_.size() < kAlignment; }

 private:
  template <typename T>
  T number() {
    T value{};
    const auto from = bytes(sizeof value);
    if (from.size() == sizeof value) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }

  std::span<const std::byte> rest_;
  std::size_t size_;
  bool ok_{true};
};

struct Record {
  std::uint32_t type{};
  std::span<const std::byte> body;
};

/// Splits a stream into records.
class Reader {
 public:
  /// Checks the header.
  [[nodiscard]] static std::expected<Reader, StreamError> open(std::span<const std::byte> stream);
  /// The next record; END is the last one that may be asked for.
  [[nodiscard]] std::expected<Record, StreamError> next();
  /// Nothing follows the last record.
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  explicit Reader(std::span<const std::byte> rest) : rest_{rest} {}
  std::span<const std::byte> rest_;
};

}  // namespace ppvmm::store::stream
