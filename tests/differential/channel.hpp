/// A client's byte stream to a real daemon: a Unix socket, or the guest's end of a ring page.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "peers/fake_host.hpp"
#include "peers/fd.hpp"

namespace ppvmm::differential {

using Deadline = std::chrono::steady_clock::time_point;

enum class Transfer : std::uint8_t { done, timeout, closed };

class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel() = default;
  /// Sends all bytes; what arrives meanwhile is appended to `received`.
  virtual Transfer send(std::string_view bytes, std::string& received, Deadline deadline) = 0;
  /// Waits for at least one byte and appends all there are.
  virtual Transfer receive(std::string& received, Deadline deadline) = 0;
};

class SocketChannel final : public Channel {
 public:
  /// A connection, or nullptr when nobody listens.
  [[nodiscard]] static std::unique_ptr<SocketChannel> connect(const std::filesystem::path& path);
  Transfer send(std::string_view bytes, std::string& received, Deadline deadline) override;
  Transfer receive(std::string& received, Deadline deadline) override;

 private:
  explicit SocketChannel(peers::Fd fd) : fd_{std::move(fd)} {}

  peers::Fd fd_;
};

class RingChannel final : public Channel {
 public:
  /// The domain must exist for as long as this object.
  RingChannel(peers::FakeHost& host, std::uint16_t domid) : host_{host}, domid_{domid} {}
  Transfer send(std::string_view bytes, std::string& received, Deadline deadline) override;
  Transfer receive(std::string& received, Deadline deadline) override;

 private:
  [[nodiscard]] bool drain(std::string& received);

  peers::FakeHost& host_;
  std::uint16_t domid_;
};

}  // namespace ppvmm::differential
