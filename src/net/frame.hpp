/// Packets and the memory they lie in. Pure: the pool works on any memory it is given.
///
/// A `BufferPool` hands out page-size buffers, each with an address for the processor and one for
/// devices (the machine address under Xen). A `Frame` is one Ethernet packet: up to 18 pieces of
/// such buffers, without its frame check sequence, with what is still to be done to it (checksum,
/// segmentation). Handles are move-only and give their memory back at the end of their life.
/// Nothing here allocates after the pool was made; a pool that is empty says so, and counts it.
///
/// One thread. Handles must not outlive their pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ppvmm::net {

/// Address of memory as a device sees it: the machine address, confined by the IOMMU.
using DmaAddress = std::uint64_t;

/// Bytes of one buffer. Neither end of the Xen network protocol puts a piece across a page.
inline constexpr std::size_t kBufferBytes = 4096;
/// Pieces of one frame: 64 KiB of payload in pages, wherever it begins, and a header
/// (io/netif.h, XEN_NETIF_NR_SLOTS_MIN).
inline constexpr std::size_t kFragmentsMax = 18;
/// Bytes of one frame before segmentation: a header and what a 16-bit length can say.
inline constexpr std::size_t kFrameBytesMax = 65536 + 64;

/// Segmentation wanted by the sender, or done by the receiver's hardware.
enum class Gso : std::uint8_t { none, tcp_v4, tcp_v6 };

/// What is still to be done to a frame, and what is known of it.
struct Offload {
  /// The layer-4 checksum holds only the pseudo header's sum: to be completed over everything from
  /// `checksum_start` on, at `checksum_start + checksum_offset`.
  bool checksum_blank{};
  /// The layer-4 checksum was verified, or never left this host. A blank one counts as valid.
  bool data_validated{};
  Gso gso{Gso::none};
  std::uint16_t gso_size{};         ///< Payload bytes of a segment; 0 without GSO.
  std::uint16_t checksum_start{};   ///< Bytes from the frame's begin to the layer-4 header.
  std::uint16_t checksum_offset{};  ///< Bytes from there to the checksum: 16 for TCP, 6 for UDP.

  bool operator==(const Offload&) const = default;
};

/// What is noted of a buffer that holds a packet from the wire, or a piece of one, while nobody is
/// known to have it yet: in memory that outlives the pool, so that a later one finds it.
struct ReceiveNote {
  std::uint32_t number{};  ///< Of the packet: they count upwards, modulo 2^32.
  std::uint16_t offset{};
  std::uint16_t length{};  ///< 0: nothing is noted.
  std::uint8_t piece{};    ///< Which piece of the packet, from 0.
  std::uint8_t pieces{};   ///< How many it has.
  std::uint8_t offload{};  ///< Bit 0: data_validated, 1: checksum_blank.
  std::uint8_t sum{};      ///< Over all else: a note that is torn or damaged is none.
  std::uint16_t checksum_start{};
  std::uint16_t checksum_offset{};

  bool operator==(const ReceiveNote&) const = default;
};
static_assert(sizeof(ReceiveNote) == 16);

class BufferPool;

/// One buffer of a pool, held. Empty after a move, and when the pool had none.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { reset(); }
  Buffer(Buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = std::exchange(other.pool_, nullptr);
      index_ = other.index_;
    }
    return *this;
  }

  [[nodiscard]] explicit operator bool() const { return pool_ != nullptr; }
  /// kBufferBytes bytes, page-aligned if the pool's memory is.
  [[nodiscard]] std::byte* data() const;
  [[nodiscard]] DmaAddress dma() const;
  [[nodiscard]] std::uint32_t index() const { return index_; }
  /// Gives it back now.
  void reset();

 private:
  friend class BufferPool;
  friend class Frame;
  Buffer(BufferPool* pool, std::uint32_t index) : pool_(pool), index_(index) {}

  BufferPool* pool_{};
  std::uint32_t index_{};
};

/// A piece of a frame: in a buffer of its pool or, *lent*, still in the memory of whoever sent it.
struct Fragment {
  static constexpr std::uint32_t kLent = std::uint32_t{1} << 31;

  std::uint32_t buffer{};  ///< Index in the frame's pool; lent: kLent and the sender's grant.
  std::uint16_t offset{};  ///< Bytes into the buffer; offset + length <= kBufferBytes.
  std::uint16_t length{};  ///< At least 1.

  [[nodiscard]] bool lent() const { return (buffer & kLent) != 0; }
  [[nodiscard]] std::uint32_t grant() const { return buffer & ~kLent; }
};
static_assert(sizeof(Fragment) == 8);

/// One packet. Empty (false) after a move, and when the pool had no record left.
class Frame {
 public:
  Frame() = default;
  ~Frame() { reset(); }
  Frame(Frame&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}
  Frame& operator=(Frame&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = std::exchange(other.pool_, nullptr);
      index_ = other.index_;
    }
    return *this;
  }

  [[nodiscard]] explicit operator bool() const { return pool_ != nullptr; }

  // All that follows wants a frame that is not empty.

  /// Adds a piece at the end and takes the buffer over. False, and the buffer stays the caller's,
  /// if there are kFragmentsMax pieces, the piece is empty or does not lie in the buffer, the
  /// frame would grow beyond kFrameBytesMax, or the buffer is another pool's.
  [[nodiscard]] bool append(Buffer&& buffer, std::size_t offset, std::size_t length);
  /// Takes over what another frame of the same pool has from its byte `skip` on, at our end. False,
  /// and both stay as they are, if that would be too many pieces or bytes, or nothing is left.
  [[nodiscard]] bool absorb(Frame&& other, std::size_t skip);
  /// Adds a piece at the end that stays where it is, in a page that the sender granted. Its bytes
  /// count in length() and cannot be reached from here. False if there are kFragmentsMax pieces,
  /// the piece is empty or leaves its page, the frame would grow too long, has no piece of its own
  /// yet, or the grant is not below Fragment::kLent.
  [[nodiscard]] bool append_lent(std::uint32_t grant, std::size_t offset, std::size_t length);
  /// A piece is lent.
  [[nodiscard]] bool lent() const;
  /// The bytes of a lent piece were copied to the begin of `buffer`, which takes its place. False,
  /// and the buffer stays the caller's, if that piece is not lent or the buffer another pool's.
  [[nodiscard]] bool settle(std::size_t piece, Buffer&& buffer);
  [[nodiscard]] std::span<const Fragment> fragments() const;
  [[nodiscard]] std::uint32_t length() const;
  /// None for a piece that is lent.
  [[nodiscard]] std::span<std::byte> bytes(const Fragment& fragment) const;
  /// Of a piece that is not lent.
  [[nodiscard]] DmaAddress dma(const Fragment& fragment) const;

  [[nodiscard]] Offload& offload();
  [[nodiscard]] const Offload& offload() const;
  /// Free for whoever made the frame; comes back with it. 0 at first.
  [[nodiscard]] std::uint64_t& tag();
  [[nodiscard]] std::uint64_t tag() const;

  /// A second handle to the same pieces (counted), with a copy of offload and tag: for flooding,
  /// and for a shadow that keeps what a driver was given. Empty when the pool has no record left.
  /// The bytes of a shared frame must not be written any more, by any of its holders.
  [[nodiscard]] Frame share() const;
  /// Copies up to `out.size()` bytes from `offset` on; returns how many there were before the end,
  /// or the first lent piece.
  std::size_t copy_out(std::size_t offset, std::span<std::byte> out) const;
  /// Overwrites bytes from `offset` on; returns how many lay within the frame, before any lent one.
  std::size_t copy_in(std::size_t offset, std::span<const std::byte> in);
  void reset();

 private:
  friend class BufferPool;
  Frame(BufferPool* pool, std::uint32_t index) : pool_(pool), index_(index) {}

  BufferPool* pool_{};
  std::uint32_t index_{};
};

class BufferPool {
 public:
  struct Statistics {
    std::uint32_t buffers{};          ///< All there are.
    std::uint32_t free_buffers{};     ///< Not held by anybody.
    std::uint32_t frames{};           ///< Frame records there are.
    std::uint32_t free_frames{};      ///< Of them, free.
    std::uint64_t refused_buffers{};  ///< take() without result.
    std::uint64_t refused_frames{};   ///< frame() or share() without result.
  };

  /// `memory` holds pages.size() buffers one after the other; `pages` says where each lies for
  /// devices. `frames` records are made for frames. Both must outlive the pool. `notes`: one for
  /// each buffer, as an earlier pool over the same memory left them, or all zero; or none at all.
  BufferPool(std::byte* memory, std::span<const DmaAddress> pages, std::size_t frames,
             std::span<ReceiveNote> notes = {});
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// A buffer of undefined content, most recently freed first; empty when none is left.
  [[nodiscard]] Buffer take();
  /// A frame without pieces; empty when no record is left.
  [[nodiscard]] Frame frame();
  /// A frame of `length` bytes in as few new buffers as possible, the first `headroom` bytes of
  /// the first buffer left free; empty, and nothing held, when the pool has not enough.
  /// `headroom` < kBufferBytes, 1 <= length <= kFrameBytesMax.
  [[nodiscard]] Frame frame_of(std::size_t length, std::size_t headroom = 0);

  /// The buffer at that place of the device's, if it is free: whoever knows that there is something
  /// in it. Empty otherwise.
  [[nodiscard]] Buffer claim(DmaAddress address);

  /// The packet came from the wire: until its buffers are free again, recover() finds it.
  void note(const Frame& frame);
  /// Packets that were noted by an earlier pool, or by a component that died with them: those that
  /// are whole, in their order. All notes about free buffers are gone afterwards.
  [[nodiscard]] std::vector<Frame> recover();

  [[nodiscard]] Statistics statistics() const;
  /// Free lists, counts and records agree with each other. Costs a look at each.
  [[nodiscard]] bool consistent() const;
  [[nodiscard]] std::span<const DmaAddress> pages() const { return pages_; }
  [[nodiscard]] std::byte* data(std::uint32_t buffer) const {
    return memory_ + std::size_t{buffer} * kBufferBytes;
  }

  /// Whose the handles are that are made from now on: 0 is everybody's, others are components that
  /// may die with what they hold. Returns who it was before.
  std::uint8_t enter(std::uint8_t owner) { return std::exchange(owner_, owner); }
  [[nodiscard]] std::uint8_t owner() const { return owner_; }
  /// The frame changes hands.
  void give(const Frame& frame, std::uint8_t owner);
  /// The component died: what was its own becomes free, and the free lists are made anew, for it
  /// may have died while it changed them. Its handles must never be used again, not even destroyed.
  /// Returns how many buffers came back.
  std::size_t reclaim_owned(std::uint8_t owner);

  /// The same without owners: everything that is in none of `live` becomes free, and counts are
  /// made anew. Handles that the dead component held must never be used again, not even destroyed:
  /// its memory is abandoned as it is. `visit(mark)` is called once and calls `mark(const Frame&)`
  /// and `mark(const Buffer&)` for every handle that lives on.
  template <typename Visit>
  void reclaim(Visit visit) {
    begin_reclaim();
    visit(Marker{*this});
    end_reclaim();
  }
  /// What reclaim() hands to its visitor.
  class Marker {
   public:
    explicit Marker(BufferPool& pool) : pool_(&pool) {}
    void operator()(const Frame& frame) const { pool_->mark(frame); }
    void operator()(const Buffer& buffer) const { pool_->mark(buffer); }

   private:
    BufferPool* pool_;
  };

 private:
  friend class Buffer;
  friend class Frame;

  struct Record {
    std::array<Fragment, kFragmentsMax> fragments{};
    std::uint64_t tag{};
    Offload offload{};
    std::uint32_t length{};
    std::uint16_t count{};
    bool used{};
    std::uint8_t owner{};
  };

  void hold(std::uint32_t buffer) { ++holders_[buffer]; }
  /// The buffer of a piece, if it is in one.
  void hold(const Fragment& piece) {
    if (!piece.lent()) hold(piece.buffer);
  }
  void release(std::uint32_t buffer);
  void release_record(std::uint32_t index);
  void begin_reclaim();
  void mark(const Frame& frame);
  void mark(const Buffer& buffer);
  void end_reclaim();

  std::byte* memory_;
  std::span<const DmaAddress> pages_;
  std::vector<std::uint32_t> holders_;  ///< By buffer: handles and frame pieces that hold it.
  std::vector<std::uint8_t> owners_;    ///< By buffer: whose, while it is in no frame.
  std::uint8_t owner_{};
  std::vector<std::uint32_t> free_buffers_;
  std::vector<Record> records_;
  std::vector<std::uint32_t> free_records_;
  std::span<ReceiveNote> notes_;
  std::uint32_t notes_made_{};
  std::uint64_t refused_buffers_{};
  std::uint64_t refused_frames_{};
};

}  // namespace ppvmm::net
