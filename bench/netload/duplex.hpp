/// One end of a checked connection: streams its own bytes at a pace and judges every byte of the
/// other's. Bytes go in chunks of one size: a header, then the next piece of the pattern. The last
/// chunk of each end says what it got of the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace ppvmm::netload {

struct ChunkHeader {
  static constexpr std::uint32_t kData = 0x6B6E6863;  // "chnk"
  static constexpr std::uint32_t kLast = 0x7473616C;  // "last"
  static constexpr std::uint32_t kWrong = 1u << 31;
  std::uint32_t kind{};
  /// How many chunks of the other's have come, but for the highest bit; that: wrong bytes came.
  std::uint32_t heard{};
  std::uint64_t number{};  ///< Of the chunk in its direction, from 0.
};
static_assert(sizeof(ChunkHeader) == 16);

/// What an end got of the other's stream.
struct Receipt {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::uint64_t bytes{};             ///< Of the pattern, right ones.
  std::uint64_t first_wrong{kNone};  ///< Place in the stream of the first wrong byte.
};
static_assert(sizeof(Receipt) == 16);

class Duplex {
 public:
  static constexpr std::size_t kSmallestChunk = sizeof(ChunkHeader) + sizeof(Receipt);

  enum class State : std::uint8_t {
    streaming,
    ending,  ///< This end has said its last; the other has not.
    done,    ///< Both have.
    broken,  ///< The connection is gone, or the stream makes no sense any more.
  };

  /// `fd`: connected, made non-blocking here, owned by the caller. `rate`: bytes per second.
  Duplex(int fd, std::uint32_t chunk, std::uint64_t seed_out, std::uint64_t seed_in,
         std::uint64_t rate);

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] State state() const { return state_; }
  /// Events (poll(2)) worth waiting for now.
  [[nodiscard]] short wants(std::uint64_t now_ns) const;
  /// Does what can be done without waiting.
  void work(std::uint64_t now_ns);
  /// No further data: the next chunk is the last. An end that hears the other's last does so too.
  void finish() { finishing_ = true; }

  [[nodiscard]] const Receipt& receipt() const { return receipt_; }
  /// What the other end got of ours, once it has said so.
  [[nodiscard]] const std::optional<Receipt>& theirs() const { return theirs_; }
  [[nodiscard]] std::uint64_t sent_bytes() const { return sent_pattern_; }
  /// When the last chunk was begun of which the other end says that it came.
  [[nodiscard]] std::uint64_t served_ns() const { return served_ns_; }
  /// When the next chunk is due, if nothing holds it up; far away when none is.
  [[nodiscard]] std::uint64_t due_ns() const;
  /// Why the connection is broken, for people; empty: it is not.
  [[nodiscard]] const std::string& why() const { return why_; }
  /// When it was known to be broken; when wrong bytes came here, or the other end said that there
  /// were some. 0: never.
  [[nodiscard]] std::uint64_t broken_ns() const { return broken_ns_; }
  [[nodiscard]] std::uint64_t wrong_ns() const { return wrong_ns_; }
  /// Between two pieces that came.
  [[nodiscard]] std::uint64_t longest_silence_ns() const { return longest_silence_ns_; }

 private:
  [[nodiscard]] bool due(std::uint64_t now_ns) const;
  void write_some(std::uint64_t now_ns);
  void read_some(std::uint64_t now_ns);
  void judge(std::uint64_t now_ns);
  [[nodiscard]] bool heard(std::uint32_t count, std::uint64_t now_ns);
  void wrong_at(std::uint64_t place, std::uint64_t now_ns);
  void break_off(std::string why, std::uint64_t now_ns);
  void settle();

  int fd_;
  std::uint64_t seed_out_;
  std::uint64_t seed_in_;
  std::uint64_t rate_;
  std::uint64_t begin_ns_;
  State state_{State::streaming};
  bool finishing_{};
  bool said_last_{};
  bool heard_last_{};
  std::vector<std::byte> out_;
  std::size_t out_at_;  ///< Bytes of out_ that are sent.
  std::uint64_t chunks_out_{};
  std::uint64_t chunks_heard_{};        ///< Of ours, by the other's word.
  std::deque<std::uint64_t> begun_ns_;  ///< Of the chunks from there on.
  std::uint64_t served_ns_{};
  std::uint64_t sent_pattern_{};
  std::vector<std::byte> in_;
  std::size_t in_at_{};
  std::uint64_t chunks_in_{};
  Receipt receipt_{};
  std::optional<Receipt> theirs_;
  std::uint64_t last_ns_{};
  std::uint64_t longest_silence_ns_{};
  std::string why_;
  std::uint64_t broken_ns_{};
  std::uint64_t wrong_ns_{};
};

}  // namespace ppvmm::netload
