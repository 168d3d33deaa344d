#include "root/xs_client.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>

extern "C" {
#include <xenstore.h>
}

namespace ppvmm::root {

void XsClient::Close::operator()(xs_handle* handle) const {
  xs_close(handle);
}

Result<XsClient> XsClient::open() {
  XsClient client;
  client.handle_.reset(xs_open(0));
  if (!client.handle_) return failed("connect to XenStore");
  return client;
}

std::optional<std::string> XsClient::read(const std::string& path) const {
  unsigned length = 0;
  const std::unique_ptr<void, void (*)(void*)> value(
      xs_read(handle_.get(), transaction_, path.c_str(), &length), std::free);
  if (!value) return std::nullopt;
  return std::string(static_cast<const char*>(value.get()), length);
}

std::vector<std::string> XsClient::list(const std::string& path) const {
  unsigned count = 0;
  const std::unique_ptr<char*, void (*)(void*)> names(
      xs_directory(handle_.get(), transaction_, path.c_str(), &count), std::free);
  std::vector<std::string> all;
  for (unsigned i = 0; names && i < count; ++i)
    all.emplace_back(names.get()[i]);
  return all;
}

Result<void> XsClient::introduce(DomId domid, Mfn ring, std::uint32_t port) const {
  if (!xs_introduce_domain(handle_.get(), domid, ring, port)) {
    return failed("introduce domain " + std::to_string(domid) + " to XenStore");
  }
  return {};
}

Result<void> XsClient::write(const std::string& path, const std::string& value) const {
  if (!xs_write(handle_.get(), transaction_, path.c_str(), value.data(),
                static_cast<unsigned>(value.size()))) {
    return failed("write " + path);
  }
  return {};
}

Result<void> XsClient::make(const std::string& path, const NodeRights& rights) const {
  if (!xs_mkdir(handle_.get(), transaction_, path.c_str())) return failed("make " + path);
  return set_rights(path, rights);
}

Result<void> XsClient::set_rights(const std::string& path, const NodeRights& rights) const {
  std::array<xs_permissions, 2> list{{{.id = rights.owner, .perms = XS_PERM_NONE},
                                      {.id = rights.reader.value_or(0), .perms = XS_PERM_READ}}};
  if (rights.writes) list[1].perms |= XS_PERM_WRITE;
  const unsigned count = rights.reader ? 2 : 1;
  if (!xs_set_permissions(handle_.get(), transaction_, path.c_str(), list.data(), count)) {
    return failed("set the rights of " + path);
  }
  return {};
}

Result<void> XsClient::replace(const std::string& path, const NodeRights& rights,
                               const Nodes& nodes) const {
  if (auto gone = remove(path); !gone) return gone;
  if (auto made = make(path, rights); !made) return made;
  for (const auto& [name, value] : nodes) {
    if (auto written = write(std::string(path).append("/").append(name), value); !written)
      return written;
  }
  return {};
}

Result<void> XsClient::remove(const std::string& path) const {
  if (!xs_rm(handle_.get(), transaction_, path.c_str()) && errno != ENOENT) {
    return failed("remove " + path);
  }
  return {};
}

Result<void> XsClient::in_transaction(const std::function<Result<void>()>& steps) {
  constexpr int kMostTries = 100;
  for (int i = 0; i < kMostTries; ++i) {
    transaction_ = xs_transaction_start(handle_.get());
    if (transaction_ == XBT_NULL) return failed("begin a XenStore transaction");
    const auto done = steps();
    const std::uint32_t transaction = std::exchange(transaction_, XBT_NULL);
    if (xs_transaction_end(handle_.get(), transaction, !done)) return done;
    if (errno != EAGAIN) return done ? failed("end a XenStore transaction") : done;
  }
  return refused("a XenStore transaction does not get through");
}

}  // namespace ppvmm::root
