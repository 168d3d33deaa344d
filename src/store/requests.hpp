/// One function per operation of the wire protocol. Each answers by itself or returns the error
/// that the client is to get. The table that names them is in requests.cpp.
#pragma once

#include "store/state.hpp"

namespace ppvmm::store {

// Nodes (requests_node.cpp, requests_directory.cpp). Spec: xenstore.txt, "Database read, write and
// permissions operations".
Status do_read(State& state, const Request& request);
Status do_write(State& state, const Request& request);
Status do_mkdir(State& state, const Request& request);
Status do_rm(State& state, const Request& request);
Status do_directory(State& state, const Request& request);
Status do_directory_part(State& state, const Request& request);
Status do_get_perms(State& state, const Request& request);
Status do_set_perms(State& state, const Request& request);

// Watches (requests_watch.cpp). Spec: "Watches".
Status do_watch(State& state, const Request& request);
Status do_unwatch(State& state, const Request& request);
Status do_reset_watches(State& state, const Request& request);

// Transactions (requests_transaction.cpp). Spec: "Transactions".
Status do_transaction_start(State& state, const Request& request);
Status do_transaction_end(State& state, const Request& request);

// Domains (requests_domain.cpp). Spec: "Domain management and xenstored communications".
Status do_introduce(State& state, const Request& request);
Status do_release(State& state, const Request& request);
Status do_resume(State& state, const Request& request);
Status do_set_target(State& state, const Request& request);
Status do_get_domain_path(State& state, const Request& request);
Status do_is_domain_introduced(State& state, const Request& request);

// control.cpp. Spec: "Miscellaneous".
Status do_control(State& state, const Request& request);

/// The path that a client means: `given` itself if it is absolute or special, else below
/// /local/domain/<its domid>/, built in `buffer`. Nothing if it is malformed, too long, or special
/// where that is not `special_allowed`.
[[nodiscard]] std::expected<std::string_view, Error> resolve(State& state, const Request& request,
                                                             std::string_view given,
                                                             std::string& buffer,
                                                             bool special_allowed);

}  // namespace ppvmm::store
