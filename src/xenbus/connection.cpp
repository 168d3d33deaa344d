#include "xenbus/connection.hpp"

#include <array>

namespace ppvmm::xenbus {
namespace {

using namespace std::string_view_literals;

/// Lives count their requests from different starts, so that an answer to the last life's request
/// is not taken for one of this life's. Any count that moves on with each life will do.
std::uint32_t first_id(const StreamRecord& record, bool reborn) {
  return reborn ? record.request_end * 64 + 1 : 1;
}

}  // namespace

Connection::Connection(store::RingPage& page, StreamRecord& record, Client& client, bool reborn)
    : link_(page, record, reborn), client_(&client), next_id_(first_id(record, reborn)) {
  if (!reborn) return;
  // One string of no letters; oxenstored wants the NUL.
  const std::array parts{"\0"sv};
  (void)link_.send(store::MessageType::reset_watches, 0, kNoTransaction, parts);
}

std::expected<std::uint32_t, Error> Connection::request(store::MessageType type,
                                                        TransactionId transaction,
                                                        std::span<const std::string_view> parts) {
  if (link_.broken()) return std::unexpected(Error::broken);
  if (++next_id_ == 0) ++next_id_;  // 0 is for what nobody waits for
  if (!link_.send(type, next_id_, transaction, parts)) return std::unexpected(Error::too_big);
  return next_id_;
}

void Connection::message(const store::MessageHeader& header, std::string_view payload) {
  const store::Payload strings(std::as_bytes(std::span{payload}));
  if (header.type == store::MessageType::watch_event) {
    const auto event = strings.at_least<2>();
    if (!event) {
      ++unexpected_;
      return;
    }
    client_->fired((*event)[0], (*event)[1]);
    return;
  }
  if (header.request_id == 0) return;
  if (header.type == store::MessageType::error) {
    const auto text = strings.at_least<1>();
    client_->answered(header.request_id,
                      std::unexpected(text ? error_of((*text)[0]) : Error::refused));
    return;
  }
  client_->answered(header.request_id, payload);
}

}  // namespace ppvmm::xenbus
