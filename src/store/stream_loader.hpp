/// Rebuilds a State from the records of a migration stream. Nothing in a record is trusted: every
/// field is checked before it is used, and no size in the stream makes anything bigger than what
/// the stream's own bytes pay for; the machine's memory limit is checked after each record.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>
#include <vector>

#include "store/state.hpp"
#include "store/stream_format.hpp"
#include "store/tree_appender.hpp"

namespace ppvmm::store::stream {

using Outcome = std::expected<void, StreamError>;

class Loader {
 public:
  explicit Loader(Options options);

  /// Takes one record, END excepted.
  [[nodiscard]] Outcome take(const Record& record);
  /// Checks what only the whole stream can show, and gives the state.
  [[nodiscard]] std::expected<std::unique_ptr<State>, StreamError> finish();

 private:
  /// What a NODE_DATA or transaction_node record says of a node.
  struct NodeContents {
    std::string_view path;
    std::string_view value;
    PermissionRef permissions;
    bool next_in_order{};  ///< For the appender.
  };
  struct Generations {
    std::uint64_t value{};
    std::uint64_t children{};
  };
  /// A transaction's own records come in this order.
  enum class Stage : std::uint8_t { base, view, accesses };

  // The format's records (stream_load.cpp).
  Outcome take_quotas(Fields fields);
  Outcome take_connection(Fields fields);
  Outcome take_watch(Fields fields);
  Outcome take_transaction(Fields fields);
  Outcome take_node(Fields fields);
  Outcome fill(Connection& client, std::span<const std::byte> input,
               std::span<const std::byte> output, std::size_t partial);
  Outcome add_committed(const NodeContents& node);

  // Our own (stream_load_own.cpp).
  Outcome take_own(const Record& record);
  Outcome take_machine(Fields fields);
  Outcome take_generations(Fields fields);
  Outcome take_connection_state(Fields fields);
  Outcome take_domain_state(Fields fields);
  Outcome take_transaction_state(Fields fields);
  Outcome take_transaction_node(Fields fields);
  Outcome take_access(Fields fields);
  Outcome change_tree(Tree& tree, const NodeContents& node, Generations generations, bool removed);

  /// Permissions, path and value as they end both kinds of node records.
  [[nodiscard]] std::expected<NodeContents, StreamError> read_node(Fields& fields,
                                                                   std::size_t path_length,
                                                                   std::size_t value_length,
                                                                   std::size_t permissions);
  [[nodiscard]] std::expected<PermissionRef, StreamError> read_permissions(
      std::span<const std::byte> bytes);
  [[nodiscard]] Connection* connection(std::uint32_t id) const {
    return state_->find_connection(ConnId{id});
  }
  /// Whether the first two fields of a record name the transaction whose records come now.
  [[nodiscard]] bool is_current(Fields& fields) const;
  [[nodiscard]] Outcome match_tickets();

  std::unique_ptr<State> state_;
  TreeAppender appender_;  ///< Of the committed tree; open between two NODE_DATA only.
  /// The latest permissions and the bytes that said them: nearly always the next node's too.
  std::span<const std::byte> permission_bytes_;
  PermissionRef permissions_;
  std::vector<std::string_view> given_seen_;  ///< Of the nodes that every state has.
  std::uint32_t next_connection_{};           ///< As the machine record said; 0: it did not.
  Connection* client_{};                      ///< Of the transaction whose own records come now.
  Transaction* transaction_{};
  Stage stage_{};
};

}  // namespace ppvmm::store::stream
