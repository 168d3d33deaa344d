/// Small vocabulary types of the store.
#pragma once

#include <cstdint>

namespace ppvmm::store {

/// A Xen domain id. Values from 0x7FF0 up are reserved by Xen (public/xen.h, DOMID_*).
using DomId = std::uint16_t;

/// Names one connection for the machine's lifetime; never reused.
enum class ConnId : std::uint32_t {};

/// Errors of the wire protocol; the text form of io/xs_wire.h's xsd_errors goes to the client.
enum class Error : std::uint8_t {
  inval,
  acces,
  exist,
  isdir,
  noent,
  nomem,
  nospc,
  io,
  notempty,
  nosys,
  rofs,
  busy,
  again,
  isconn,
  toobig,
  perm,
};

/// Why a migration stream was refused.
enum class StreamError : std::uint8_t {
  truncated,       ///< A record or field runs past the end.
  bad_magic,       ///< Not a XenStore migration stream.
  bad_version,     ///< A version this code does not know.
  bad_endianness,  ///< Written on a machine of the other byte order.
  bad_record,      ///< A record whose fields contradict each other or the protocol.
  unknown_record,  ///< A record type that may not be ignored.
  duplicate,       ///< A connection, transaction or node that came before.
  dangling,        ///< Refers to a connection or transaction that does not exist.
  no_end,          ///< No END record.
  over_quota,      ///< More state than the options' memory limit allows.
};

/// Counters since the machine was made.
struct Statistics {
  std::uint64_t requests{};
  std::uint64_t reads{};
  std::uint64_t writes{};
  std::uint64_t transactions_committed{};
  std::uint64_t transactions_conflicted{};
  std::uint64_t events_fired{};
  std::uint64_t events_expired{};
  std::uint64_t refusals{};     ///< Requests refused by a quota.
  std::uint64_t corruptions{};  ///< Nodes whose checksum was found wrong.
  std::uint64_t nodes{};
  std::uint64_t watches{};
  std::uint64_t connections{};
  std::uint64_t memory{};  ///< Bytes in use by the tree, transactions, watches and buffers.
};

}  // namespace ppvmm::store
