/// A client's end of a XenStore ring as a stream of whole messages, that can be taken up again by
/// the next incarnation of the client in the middle of a message. Pure.
///
/// The ring carries bytes, and neither xenstored of Xen 4.17 offers to reset it (io/xs_wire.h,
/// XENSTORE_SERVER_FEATURE_RECONNECTION). A client that dies half-way through a message would leave
/// the server with half a request, and its next life with half an answer. So what is needed to get
/// back to a message boundary is kept in a `StreamRecord` that outlives the client, beside the
/// ring's own indexes:
///
/// - a request's bytes, and the producer indexes where it begins and ends, are noted before its
///   first byte is published: the next life writes the rest.
/// - an answer's begin and end are noted before its first byte is consumed: the next life skips the
///   rest.
///
/// In both cases the range is noted such that it is empty until its last field is written, so dying
/// between any two stores leaves either the old or the new range.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/ring.hpp"
#include "store/wire.hpp"

namespace ppvmm::xenbus {

inline constexpr std::size_t kMessageMax = sizeof(store::MessageHeader) + store::kPayloadMax;

/// Lives in memory that survives; all zero before the first life.
struct StreamRecord {
  std::uint32_t request_begin;   ///< Producer index of the request's first byte.
  std::uint32_t request_end;     ///< ... behind its last byte. Written last.
  std::uint32_t response_begin;  ///< Consumer index of the answer's first byte.
  std::uint32_t response_end;    ///< ... behind its last byte. Written last.
  std::array<std::byte, kMessageMax> request;
};
static_assert(sizeof(StreamRecord) == 16 + 4112);

class Link {
 public:
  class Receiver {
   public:
    virtual void message(const store::MessageHeader& header, std::string_view payload) = 0;

   protected:
    ~Receiver() = default;
  };

  /// Both must outlive the link. `reborn`: the record tells of an earlier life.
  Link(store::RingPage& page, StreamRecord& record, bool reborn);

  /// Queues a whole message. False if the payload is longer than a message may be.
  [[nodiscard]] bool send(store::MessageType type, std::uint32_t request_id,
                          std::uint32_t transaction_id, std::span<const std::string_view> parts);

  /// Moves bytes both ways until nothing moves any more; whole messages go to `receiver`. True: the
  /// peer must be notified.
  [[nodiscard]] bool pump(Receiver& receiver);

  /// The server broke the protocol, or closed the connection; nothing moves any more.
  [[nodiscard]] bool broken() const { return broken_; }
  /// Messages queued and not yet in the ring as a whole.
  [[nodiscard]] std::size_t queued() const { return outgoing_.size() + (sending_ ? 1 : 0); }

 private:
  bool push();
  bool pull(Receiver& receiver);
  void begin_request();

  store::RingPage* page_;
  StreamRecord* record_;
  store::ClientRing ring_;
  std::deque<std::vector<std::byte>> outgoing_;
  bool sending_{};      ///< record_->request is on its way.
  std::size_t sent_{};  ///< Its bytes already in the ring.
  std::size_t request_bytes_{};
  std::size_t skip_{};  ///< Bytes of an earlier life's answer still to be passed over.
  std::array<std::byte, kMessageMax> incoming_{};
  std::size_t received_{};  ///< Bytes in incoming_.
  bool broken_{};
};

}  // namespace ppvmm::xenbus
