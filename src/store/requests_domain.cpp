// INTRODUCE, RELEASE, RESUME, SET_TARGET, GET_DOMAIN_PATH, IS_DOMAIN_INTRODUCED.
#include "store/path.hpp"
#include "store/requests.hpp"

namespace ppvmm::store {
namespace {

constexpr DomId kFirstReservedDomid = 0x7FF0;  // public/xen.h, DOMID_FIRST_RESERVED
constexpr DomId kSelf = 0x7FF0;                // public/xen.h, DOMID_SELF

// The one domid that is the payload, of a domain that has a connection and is not domain 0.
std::expected<Domain*, Error> connected_domain(State& state, const Request& request) {
  const auto text = request.payload.only_string();
  const auto domid = text ? parse_domid(*text) : std::nullopt;
  if (!domid || *domid == 0) return std::unexpected(Error::inval);
  Domain* domain = state.domains.find(*domid);
  if (domain == nullptr || domain->connection == nullptr) return std::unexpected(Error::noent);
  return domain;
}

}  // namespace

Status do_introduce(State& state, const Request& request) {
  const auto strings = request.payload.at_least<3>();
  if (!strings) return std::unexpected(Error::inval);
  const auto domid = parse_domid((*strings)[0]);
  const auto gfn = parse_number((*strings)[1], ~std::uint64_t{0});
  const auto port = parse_number((*strings)[2], 0x7FFF'FFFF);
  // Domain 0 is attached by whoever starts the store, not by a client.
  if (!domid || *domid == 0 || *domid >= kFirstReservedDomid || !gfn || !port || *port == 0) {
    return std::unexpected(Error::inval);
  }
  Domain& domain = state.domains.find_or_make(*domid);
  // Introduced again: the connection starts anew with the new port, and the domain is told nothing.
  if (domain.introductions.empty()) domain.reintroduction = domain.connection != nullptr;
  if (domain.connection != nullptr) domain.target_kept = domain.connection->target;
  if (domain.attach_requested) state.detach(domain);
  domain.attach_requested = true;
  domain.gfn = *gfn;
  domain.port = static_cast<std::uint32_t>(*port);
  domain.introductions.push_back({.client = request.client.id,
                                  .request_id = request.header.request_id,
                                  .transaction_id = request.header.transaction_id});
  request.client.waiting = true;
  state.effects.push_back({.kind = Effect::Kind::attach_domain,
                           .domid = *domid,
                           .gfn = domain.gfn,
                           .port = domain.port});
  return {};
}

Status do_release(State& state, const Request& request) {
  const auto domain = connected_domain(state, request);
  if (!domain) return std::unexpected(domain.error());
  state.forget_domain((*domain)->domid);
  state.acknowledge(request);
  return {};
}

Status do_resume(State& state, const Request& request) {
  const auto domain = connected_domain(state, request);
  if (!domain) return std::unexpected(domain.error());
  (*domain)->shut_down = false;
  state.acknowledge(request);
  return {};
}

Status do_set_target(State& state, const Request& request) {
  const auto strings = request.payload.at_least<2>();
  if (!strings) return std::unexpected(Error::inval);
  const auto domid = parse_domid((*strings)[0]);
  const auto target = parse_domid((*strings)[1]);
  if (!domid || !target) return std::unexpected(Error::inval);
  Domain* domain = state.domains.find(*domid);
  const Domain* other = state.domains.find(*target);
  if (domain == nullptr || domain->connection == nullptr || other == nullptr ||
      other->connection == nullptr) {
    return std::unexpected(Error::noent);
  }
  domain->connection->target = target;
  state.acknowledge(request);
  return {};
}

Status do_get_domain_path(State& state, const Request& request) {
  const auto text = request.payload.only_string();
  const auto domid = text ? parse_domid(*text) : std::nullopt;
  if (!domid) return std::unexpected(Error::inval);
  std::string answer = domain_path(*domid);
  answer += '\0';
  state.answer(request, answer);
  return {};
}

Status do_is_domain_introduced(State& state, const Request& request) {
  const auto text = request.payload.only_string();
  const auto domid = text ? parse_domid(*text) : std::nullopt;
  if (!domid) return std::unexpected(Error::inval);
  const Domain* domain = state.domains.find(*domid);
  const bool introduced = *domid == kSelf || (domain != nullptr && domain->connection != nullptr);
  state.answer(request, std::string_view(introduced ? "T" : "F", 2));
  return {};
}

}  // namespace ppvmm::store
