#include "store/stream_format.hpp"

#include <algorithm>

namespace ppvmm::store::stream {
namespace {

constexpr std::size_t padding(std::size_t size) {
  return (kAlignment - size % kAlignment) % kAlignment;
}

/// The header alone is big-endian, whatever the records are.
std::uint32_t big_endian(std::uint32_t value) {
  return std::byteswap(value);
}
std::uint64_t big_endian(std::uint64_t value) {
  return std::byteswap(value);
}

}  // namespace

Writer::Writer() {
  u64(big_endian(kIdent));
  u32(big_endian(kVersion));
  u32(big_endian(std::uint32_t{0}));
}

void Writer::begin(std::uint32_t type) {
  record_ = out_.size();
  u32(type);
  u32(0);
}

void Writer::terminated(std::string_view string) {
  text(string);
  u8(0);
}

void Writer::pad() {
  out_.resize(out_.size() + padding(out_.size()));
}

void Writer::finish() {
  const auto length = static_cast<std::uint32_t>(out_.size() - record_ - kRecordHeaderBytes);
  std::memcpy(out_.data() + record_ + sizeof(std::uint32_t), &length, sizeof length);
  pad();
}

std::span<std::byte> Writer::record(RecordType type, std::size_t length) {
  const std::size_t at = out_.size();
  out_.resize(at + kRecordHeaderBytes + length + padding(length));
  const std::uint32_t header[] = {static_cast<std::uint32_t>(type),
                                  static_cast<std::uint32_t>(length)};
  static_assert(sizeof header == kRecordHeaderBytes);
  std::memcpy(out_.data() + at, header, sizeof header);
  return std::span{out_}.subspan(at + kRecordHeaderBytes, length);
}

std::vector<std::byte> Writer::end() {
  begin(RecordType::end);
  finish();
  return std::move(out_);
}

std::string_view Fields::terminated(std::size_t count) {
  const std::string_view string = text(count);
  if (string.empty() || string.find('\0') != string.size() - 1) {
    ok_ = false;
    return {};
  }
  return string.substr(0, string.size() - 1);
}

std::string_view Fields::terminated() {
  const auto nul = std::ranges::find(rest_, std::byte{});
  return terminated(static_cast<std::size_t>(nul - rest_.begin()) + 1);
}

void Fields::skip_padding() {
  const std::size_t count = padding(size_ - rest_.size());
  (void)bytes(std::min(count, rest_.size()));
}

std::expected<Reader, StreamError> Reader::open(std::span<const std::byte> stream) {
  Fields header{stream};
  const std::uint64_t ident = big_endian(header.u64());
  const std::uint32_t version = big_endian(header.u32());
  const std::uint32_t flags = big_endian(header.u32());
  if (!header.ok()) return std::unexpected{StreamError::truncated};
  if (ident != kIdent) return std::unexpected{StreamError::bad_magic};
  if (version != kVersion) return std::unexpected{StreamError::bad_version};
  if ((flags & kFlagBigEndian) != 0) return std::unexpected{StreamError::bad_endianness};
  if (flags != 0) return std::unexpected{StreamError::bad_record};
  return Reader{stream.subspan(kHeaderBytes)};
}

std::expected<Record, StreamError> Reader::next() {
  if (rest_.empty()) return std::unexpected{StreamError::no_end};
  Fields fields{rest_};
  const std::uint32_t type = fields.u32();
  const std::uint32_t length = fields.u32();
  const auto body = fields.bytes(length);
  if (!fields.ok()) return std::unexpected{StreamError::truncated};
  if (fields.left() < padding(length)) return std::unexpected{StreamError::truncated};
  rest_ = rest_.subspan(kRecordHeaderBytes + length + padding(length));
  return Record{type, body};
}

}  // namespace ppvmm::store::stream
