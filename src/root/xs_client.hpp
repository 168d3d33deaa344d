/// A connection to XenStore through dom0's kernel, for the tool's tasks. Never used by the daemon
/// itself: a call waits for an answer, and root must not wait for what it repairs.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "root/failure.hpp"
#include "root/xen.hpp"

struct xs_handle;

namespace ppvmm::root {

/// Who owns a node, and who else may read (and write) it. Everybody else, dom0 apart, may nothing.
struct NodeRights {
  DomId owner{};
  std::optional<DomId> reader{};
  bool writes{};  ///< The reader may write as well.
};

using Nodes = std::vector<std::pair<std::string, std::string>>;

class XsClient {
 public:
  [[nodiscard]] static Result<XsClient> open();

  [[nodiscard]] std::optional<std::string> read(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> list(const std::string& path) const;

  /// Tells the store that a domain is there: it maps the domain's ring page and binds `port`.
  [[nodiscard]] Result<void> introduce(DomId domid, Mfn ring, std::uint32_t port) const;

  // The following belong to the transaction under way, if there is one.
  [[nodiscard]] Result<void> write(const std::string& path, const std::string& value) const;
  /// The node, empty, with these rights; what is below an existing one stays.
  [[nodiscard]] Result<void> make(const std::string& path, const NodeRights& rights) const;
  /// Of the node alone, not of what is below it.
  [[nodiscard]] Result<void> set_rights(const std::string& path, const NodeRights& rights) const;
  /// Replaces the directory: `nodes` below it inherit its rights.
  [[nodiscard]] Result<void> replace(const std::string& path, const NodeRights& rights,
                                     const Nodes& nodes) const;
  /// The node and all below it; one that is not there is no failure.
  [[nodiscard]] Result<void> remove(const std::string& path) const;

  /// Does all of `steps` in one transaction, again if others interfered.
  [[nodiscard]] Result<void> in_transaction(const std::function<Result<void>()>& steps);

 private:
  struct Close {
    void operator()(xs_handle* handle) const;
  };
  XsClient() = default;
  std::unique_ptr<xs_handle, Close> handle_;
  std::uint32_t transaction_{};  ///< 0: none (xs.h, XBT_NULL).
};

}  // namespace ppvmm::root
