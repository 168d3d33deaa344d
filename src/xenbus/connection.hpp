/// Requests and answers over a link: which answer belongs to which request, which event to which
/// watch. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "xenbus/error.hpp"
#include "xenbus/link.hpp"

namespace ppvmm::xenbus {

/// Transaction of the server's counting; 0: none.
using TransactionId = std::uint32_t;
inline constexpr TransactionId kNoTransaction = 0;

class Connection final : private Link::Receiver {
 public:
  /// Whom a connection tells. Called from pump() only.
  class Client {
   public:
    /// The answer to a request: its payload as it came, valid during the call.
    virtual void answered(std::uint32_t request_id,
                          std::expected<std::string_view, Error> answer) = 0;
    /// A watch fired. Views are valid during the call.
    virtual void fired(std::string_view path, std::string_view token) = 0;

   protected:
    ~Client() = default;
  };

  /// Makes a first request of its own when `reborn`: RESET_WATCHES, which ends the watches and
  /// transactions of the earlier life. Answers that this life did not ask for are passed over.
  Connection(store::RingPage& page, StreamRecord& record, Client& client, bool reborn);

  /// Queues a request; its id comes back with the answer. `parts` are joined as they are: whoever
  /// calls brings the NULs that the operation wants.
  [[nodiscard]] std::expected<std::uint32_t, Error> request(
      store::MessageType type, TransactionId transaction, std::span<const std::string_view> parts);
  /// Moves what can be moved. True: the server must be notified.
  [[nodiscard]] bool pump() { return link_.pump(*this); }
  [[nodiscard]] bool broken() const { return link_.broken(); }
  [[nodiscard]] std::uint64_t unexpected_messages() const { return unexpected_; }

 private:
  void message(const store::MessageHeader& header, std::string_view payload) override;

  Link link_;
  Client* client_;
  std::uint32_t next_id_;
  std::uint64_t unexpected_{};
};

}  // namespace ppvmm::xenbus
