/// A connection to XenStore through dom0's kernel, for the tool's tasks. Never used by the daemon
/// itself: a call waits for an answer, and root must not wait for what it repairs.
///
/// An answer costs a switch to the store and back, which is most of what a request costs. So
/// requests that do not depend on each other's answers are sent together, and their answers are
/// taken afterwards (libxenstore sends one at a time). They are done in the order in which they
/// were sent. Within a transaction dom0's kernel takes one at a time: those are slower.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "root/failure.hpp"
#include "root/xen.hpp"
#include "store/wire.hpp"

namespace ppvmm::root {

/// Who owns a node, and who else may read (and write) it. Everybody else, dom0 apart, may nothing.
struct NodeRights {
  DomId owner{};
  std::optional<DomId> reader{};
  bool writes{};  ///< The reader may write as well.
};

using Nodes = std::vector<std::pair<std::string, std::string>>;

/// Things to be done one after the other, whatever the answers are.
class XsChanges {
 public:
  /// Tells the store that a domain is there: it maps the domain's ring page and binds `port`.
  void introduce(DomId domid, Mfn ring, std::uint32_t port);
  void write(const std::string& path, const std::string& value);
  /// The node, empty, with these rights; what is below an existing one stays.
  void make(const std::string& path, const NodeRights& rights);
  /// Of the node alone, not of what is below it.
  void set_rights(const std::string& path, const NodeRights& rights);
  /// Replaces the directory: `nodes` below it inherit its rights.
  void replace(const std::string& path, const NodeRights& rights, const Nodes& nodes);
  /// The node and all below it; one that is not there is no failure.
  void remove(const std::string& path);

 private:
  friend class XsClient;
  struct Request {
    store::MessageType type{};
    std::string payload;  ///< Begins with the path, or the domain's number.
  };
  void add(store::MessageType type, std::initializer_list<std::string_view> parts);
  std::vector<Request> requests_;
};

/// One open file: a daemon's socket, or the kernel's device.
class XsLine {
 public:
  explicit XsLine(int descriptor) : descriptor_(descriptor) {}
  XsLine(XsLine&& other) noexcept;
  XsLine& operator=(XsLine&& other) noexcept;
  ~XsLine();

  [[nodiscard]] Result<void> send(std::string_view message, bool socket) const;
  [[nodiscard]] Result<std::pair<store::MessageHeader, std::string>> receive();

 private:
  int descriptor_{-1};
  std::string received_;  ///< Read, and not taken apart yet.
};

class XsClient {
 public:
  /// $XENSTORED_PATH, or the daemon's socket, or else dom0's kernel.
  [[nodiscard]] static Result<XsClient> open();
  /// Takes an open connection to a daemon.
  [[nodiscard]] static XsClient over(int socket);

  // All belong to the transaction under way, if there is one.
  [[nodiscard]] std::optional<std::string> read(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> list(const std::string& path) const;
  /// Of each path in turn.
  [[nodiscard]] std::vector<std::optional<std::string>> read_all(
      std::span<const std::string> paths) const;
  [[nodiscard]] std::vector<std::vector<std::string>> list_all(
      std::span<const std::string> paths) const;
  /// All of them are done; the failure is the first one's.
  [[nodiscard]] Result<void> change(const XsChanges& changes) const;
  [[nodiscard]] Result<void> remove(const std::string& path) const;

  /// Does all of `steps` in one transaction, again if others interfered.
  [[nodiscard]] Result<void> in_transaction(const std::function<Result<void>()>& steps);

 private:
  using Request = XsChanges::Request;
  /// What an answer carries, or why there is none.
  using Answer = Result<std::string>;
  XsClient(std::vector<XsLine> lines, bool socket);
  [[nodiscard]] Answer ask(Request request) const;
  [[nodiscard]] std::vector<Answer> ask_all(std::span<const Request> requests) const;
  void ask_some(std::span<const Request> requests, std::vector<Answer>& answers) const;
  [[nodiscard]] XsLine& line_of(std::size_t request) const;
  [[nodiscard]] Result<void> send(XsLine& line, const Request& request, std::uint32_t number) const;
  [[nodiscard]] static Answer take(XsLine& line, const Request& request, std::uint32_t number);

  mutable std::vector<XsLine> lines_;
  bool socket_{};
  std::uint32_t transaction_{};     ///< 0: none.
  mutable std::uint32_t number_{};  ///< Of the last request.
};

}  // namespace ppvmm::root
