// The load client against a server of a few lines that can also lie: a benchmark must notice.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "load.hpp"
#include "operation.hpp"
#include "report.hpp"
#include "wire.hpp"

namespace ppvmm::xsload {
namespace {

using namespace std::string_literals;

/// The least server that the load can run against: a map, one watch, no isolation. It serves one
/// connection after the other.
class ToyServer {
 public:
  /// Sees each answer before it is sent and may change its type and payload.
  using Liar = std::function<void(std::uint32_t& type, std::string& payload)>;

  explicit ToyServer(Liar liar = {}) : liar_(std::move(liar)) {
    path_ = std::filesystem::temp_directory_path() /
            ("xsload-" + std::to_string(::getpid()) + "-" + std::to_string(++instances_));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_, 4));
    thread_ = std::thread([this] { serve(); });
  }
  ~ToyServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    std::filesystem::remove(path_);
  }
  ToyServer(const ToyServer&) = delete;
  ToyServer& operator=(const ToyServer&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void serve() {
    for (int client = ::accept(listener_, nullptr, nullptr); client >= 0;
         client = ::accept(listener_, nullptr, nullptr)) {
      Framer framer;
      for (;;) {
        const auto space = framer.space();
        const auto count = ::read(client, space.data(), space.size());
        if (count <= 0) break;
        framer.filled(static_cast<std::size_t>(count));
        while (const auto request = framer.next())
          answer(client, *request);
      }
      ::close(client);
    }
  }
  static void put(int client, std::uint32_t type, std::uint32_t request,
                  const std::string& payload) {
    const auto bytes = encode(static_cast<xsd_sockmsg_type>(type), request, 0, {payload});
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()), ::write(client, bytes.data(), bytes.size()));
  }
  void answer(int client, const Message& request) {
    const std::string path(request.payload.substr(0, request.payload.find('\0')));
    std::string payload = "OK\0"s;
    std::string event;
    switch (request.type) {
      case XS_WRITE:
        nodes_[path] = request.payload.substr(path.size() + 1);
        if (path == watched_) event = path + '\0' + token_ + '\0';
        break;
      case XS_READ:
        payload = nodes_[path];
        break;
      case XS_DIRECTORY:
        payload = children(path);
        break;
      case XS_TRANSACTION_START:
        payload = "7\0"s;
        break;
      case XS_WATCH:
        watched_ = path;
        token_ = request.payload.substr(path.size() + 1);
        token_.pop_back();
        event = path + '\0' + token_ + '\0';
        break;
      default:
        break;
    }
    auto type = request.type;
    if (liar_) liar_(type, payload);
    if (!event.empty()) put(client, XS_WATCH_EVENT, 0, event);
    put(client, type, request.request, payload);
  }
  std::string children(const std::string& path) const {
    std::set<std::string> names;
    for (const auto& [node, value] : nodes_) {
      if (node.starts_with(path + '/')) {
        const auto rest = node.substr(path.size() + 1);
        names.insert(rest.substr(0, rest.find('/')));
      }
    }
    std::string list;
    for (const auto& name : names)
      list += name + '\0';
    return list;
  }

  static inline int instances_ = 0;
  Liar liar_;
  std::string path_;
  std::map<std::string, std::string> nodes_;
  std::string watched_;
  std::string token_;
  int listener_{};
  std::thread thread_;
};

Measurement run(const ToyServer& server, std::string_view operation, std::uint64_t count = 30) {
  const Tree tree("/b", 250, 32);
  populate(server.path(), tree, 1);  // the toy serves one connection after the other
  Plan plan;
  plan.server = server.path();
  plan.operation = operation;
  plan.warmup = 3;
  plan.count = count;
  return measure(plan, tree);
}

TEST(Xsload, MeasuresEveryOperation) {
  for (const auto operation : kOperations) {
    const ToyServer server;
    const auto measurement = run(server, operation);
    EXPECT_EQ(30U, measurement.samples.size()) << operation;
    EXPECT_GT(measurement.elapsed.count(), 0) << operation;
    for (const auto& sample : measurement.samples)
      EXPECT_GT(sample.nanoseconds, 0U) << operation;
  }
}

TEST(Xsload, AWrongValueEndsTheRun) {
  const ToyServer server([](std::uint32_t& type, std::string& payload) {
    if (type == XS_READ) payload.back() ^= 1;
  });
  EXPECT_THROW(run(server, "read"), Failure);
}

TEST(Xsload, ALostWriteEndsTheRun) {
  // WRITE is answered well, but what is read back afterwards is not what was written.
  int reads = 0;
  const ToyServer server([&reads](std::uint32_t& type, std::string& payload) {
    if (type == XS_READ && ++reads == 3) payload = "0:0:";
  });
  EXPECT_THROW(run(server, "write"), Failure);
}

TEST(Xsload, AMissingChildEndsTheRun) {
  const ToyServer server([](std::uint32_t& type, std::string& payload) {
    if (type == XS_DIRECTORY) payload.erase(0, 2);
  });
  EXPECT_THROW(run(server, "directory"), Failure);
}

TEST(Xsload, ARefusalEndsTheRun) {
  const ToyServer server([](std::uint32_t& type, std::string& payload) {
    if (type == XS_DIRECTORY) {
      type = XS_ERROR;
      payload = "EACCES\0"s;
    }
  });
  EXPECT_THROW(run(server, "mixed"), Failure);
}

TEST(Xsload, AConflictIsRetriedAndCounted) {
  int ends = 0;
  const ToyServer server([&ends](std::uint32_t& type, std::string& payload) {
    if (type == XS_TRANSACTION_END && ++ends % 2 == 0) {
      type = XS_ERROR;
      payload = "EAGAIN\0"s;
    }
  });
  const auto measurement = run(server, "transaction", 10);
  EXPECT_EQ(10U, measurement.samples.size());
  EXPECT_GE(measurement.retries, 9U);
}

TEST(XsloadFramer, PutsPiecesTogetherAndRefusesImpossibleLengths) {
  Framer framer;
  const auto bytes = encode(XS_READ, 5, 0, {"value"});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(framer.next());
    framer.space()[0] = bytes[i];
    framer.filled(1);
  }
  const auto message = framer.next().value_or(Message{});
  EXPECT_EQ("value", message.payload);
  EXPECT_EQ(5U, message.request);

  auto huge = encode(XS_READ, 6, 0, {});
  huge[14] = 1;  // the third byte of `len`
  std::ranges::copy(huge, framer.space().begin());
  framer.filled(huge.size());
  EXPECT_THROW((void)framer.next(), Failure);
}

TEST(XsloadSummary, PercentilesAreSamples) {
  std::vector<Sample> samples;
  for (std::uint64_t i = 1; i <= 200; ++i)
    samples.push_back({0, i * 1000});
  const auto summary = summarise(samples);
  EXPECT_DOUBLE_EQ(100.5, summary.mean);
  EXPECT_DOUBLE_EQ(100, summary.p50);
  EXPECT_DOUBLE_EQ(190, summary.p95);
  EXPECT_DOUBLE_EQ(198, summary.p99);
  EXPECT_DOUBLE_EQ(1, summary.min);
  EXPECT_DOUBLE_EQ(200, summary.max);
}

}  // namespace
}  // namespace ppvmm::xsload
