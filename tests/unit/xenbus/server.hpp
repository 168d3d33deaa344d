/// A XenStore server for tests: takes whole requests from a ring and answers what it is told to.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "store/ring.hpp"
#include "store/wire.hpp"

namespace ppvmm::xenbus {

struct TestMessage {
  store::MessageHeader header;
  std::string payload;
};

class TestServer {
 public:
  explicit TestServer(store::RingPage& page) : ring_(page) {}

  /// Takes at most `bytes` from the request ring. Whole requests are put into `requests`.
  void take(std::size_t bytes) {
    std::array<std::byte, store::kRingBytes> buffer;
    const auto got = ring_.requests.peek(std::span{buffer}.first(std::min(bytes, buffer.size())));
    if (!got) return;
    ring_.requests.consume(*got);
    partial_.append(reinterpret_cast<const char*>(buffer.data()), *got);
    store::MessageHeader header;
    while (partial_.size() >= sizeof header) {
      std::memcpy(&header, partial_.data(), sizeof header);
      if (partial_.size() < sizeof header + header.length) break;
      requests.push_back({header, partial_.substr(sizeof header, header.length)});
      partial_.erase(0, sizeof header + header.length);
    }
  }

  void answer(store::MessageType type, std::uint32_t id, const std::string& payload) {
    const store::MessageHeader header{.type = type,
                                      .request_id = id,
                                      .transaction_id = 0,
                                      .length = static_cast<std::uint32_t>(payload.size())};
    out_.append(reinterpret_cast<const char*>(&header), sizeof header);
    out_ += payload;
  }
  /// Puts at most `bytes` of the answers into the response ring.
  void give(std::size_t bytes) {
    const auto span = std::as_bytes(std::span{out_}).first(std::min(bytes, out_.size()));
    const auto put = ring_.responses.write(span);
    if (put) out_.erase(0, *put);
  }

  std::deque<TestMessage> requests;

 private:
  store::ServerRing ring_;
  std::string partial_;
  std::string out_;
};

}  // namespace ppvmm::xenbus
