#include "uk/net/vif_device.hpp"

#include <utility>

#include "kernel/console.hpp"
#include "kernel/image.hpp"
#include "kernel/text.hpp"
#include "kernel/time.hpp"
#include "uk/net/root_link.hpp"

namespace ppvmm::netuk {
namespace {

using kernel::Level;
using kernel::log;
using kernel::task::Task;

/// Failures of XenStore in a row before a vif is given up.
constexpr unsigned kAttempts = 5;
constexpr kernel::Nanoseconds kRetryNs = 100'000'000;

std::string path_of(std::uint16_t domid, std::uint16_t handle) {
  return std::string(kernel::Text<64>("backend/vif/", domid, "/", handle).view());
}

net::BusState bus_state(xenbus::State state) {
  // Reconfiguring is for PCI only.
  return state > xenbus::State::closed ? net::BusState::connected
                                       : static_cast<net::BusState>(state);
}

}  // namespace

VifDevice::VifDevice(Plumbing& plumbing, xenbus::Store& store, const Policy& policy,
                     AdoptionGate& gate, std::uint16_t domid, std::uint16_t handle)
    : plumbing_(&plumbing),
      store_(&store),
      policy_(&policy),
      gate_(&gate),
      ticket_(gate),
      domid_(domid),
      handle_(handle),
      path_(path_of(domid, handle)),
      timer_(kernel::time::timers(), &VifDevice::on_deadline, this),
      task_(kernel::task::scheduler(), live(),
            static_cast<std::uint32_t>(kernel::vitals::component("xenbus"))) {}

void VifDevice::poke() {
  changed_ = true;
  signal_.announce();
}

void VifDevice::on_deadline(void* self) {
  static_cast<VifDevice*>(self)->poke();
}

void VifDevice::offended(net::Hostile reason) {
  tell_vif(abi::net_uk::Notice::vif_refused, domid_, handle_, static_cast<std::uint64_t>(reason));
  log(Level::warning, "vif", domid_, ".", handle_, ": disconnected, its front-end sent ",
      net::text_of(reason));
  handshake_.failed();
  poke();
}

/// Not for what damaged code of ours made of it.
void VifDevice::refuse(Level level, std::string_view why) {
  kernel::image::must_be_whole("damaged code refused a vif");
  log(level, "vif", domid_, ".", handle_, ": ", why);
  handshake_.failed();
}

Task<> VifDevice::live() {
  while (!over_) {
    while (!changed_)
      co_await signal_.wait();
    changed_ = false;
    const net::BusView view = co_await look();
    const net::BusStep step = handshake_.next(view, kernel::time::now());
    if (step != net::BusStep::adopt || connection_) ticket_.give_back();
    if (step == net::BusStep::nothing) {
      if (const auto due = handshake_.wakes_at()) timer_.once(*due);
      if (connection_) co_await read_rate();
      continue;
    }
    if (co_await carry_out(step)) {
      attempts_ = 0;
      handshake_.done(step, kernel::time::now());
      changed_ = true;  // there may be a next one
    } else if (++attempts_ < kAttempts) {
      timer_.once(kernel::time::now() + kRetryNs);
    } else {
      refuse(Level::error, "given up");
      attempts_ = 0;
      changed_ = !handshake_.refused();
    }
  }
}

Task<> VifDevice::follow_frontend() {
  xenbus::Watch watch(*store_, frontend_ + "/state");
  while (co_await watch.next())
    poke();
}

Task<net::BusView> VifDevice::look() {
  auto backend_call = store_->read_number(path_ + "/state");
  auto online_call = store_->read_number(path_ + "/online");
  const auto backend = co_await backend_call;
  const auto online = co_await online_call;
  net::BusView view;
  view.present = backend.has_value() || backend.error() != xenbus::Error::no_entry;
  if (!view.present) co_return view;
  view.backend = backend && *backend <= 8 ? bus_state(static_cast<xenbus::State>(*backend))
                                          : net::BusState::unknown;
  view.online = online.value_or(0) != 0;
  view.moved = moved_;
  if (frontend_.empty()) {
    const auto frontend = co_await store_->read(path_ + "/frontend");
    if (!frontend) co_return view;
    frontend_ = *frontend;
    follower_.emplace(kernel::task::scheduler(), follow_frontend(),
                      static_cast<std::uint32_t>(kernel::vitals::component("xenbus")));
  }
  view.frontend = bus_state(co_await xenbus::read_state(*store_, frontend_));
  co_return view;
}

Task<bool> VifDevice::carry_out(net::BusStep step) {
  switch (step) {
    case net::BusStep::nothing:
      co_return true;
    case net::BusStep::advertise:
      co_return co_await advertise();
    case net::BusStep::connect:
      co_return co_await connect(true);
    case net::BusStep::adopt:
      if (connection_) co_return true;  // inherited: it has been served all the time
      co_return co_await connect(false);
    case net::BusStep::disconnect:
      leave("its front-end closes");
      co_return co_await set_state(xenbus::State::closing);
    case net::BusStep::close:
      leave("closed");
      co_return co_await set_state(xenbus::State::closed);
    case net::BusStep::remove: {
      const auto removed = co_await store_->rm(path_);
      over_ = true;
      follower_.reset();
      co_return removed.has_value() || removed.error() == xenbus::Error::no_entry;
    }
    case net::BusStep::forget:
      leave("removed from XenStore");
      over_ = true;
      follower_.reset();
      co_return true;
  }
  co_return true;
}

Task<bool> VifDevice::set_state(xenbus::State state) {
  const auto done = co_await xenbus::switch_state(*store_, path_, state);
  if (done || done.error() == xenbus::Error::no_entry) co_return true;
  log(Level::warning, "vif", domid_, ".", handle_, ": state ", xenbus::text_of(state), ": ",
      xenbus::text_of(done.error()));
  co_return false;
}

void VifDevice::leave(std::string_view why) {
  if (!connection_) return;
  const net::Vif* const vif = plumbing_->path().vif(connection_->port());
  if (vif != nullptr) {
    const net::VifStatistics& counts = vif->statistics;
    log(Level::info, "vif", domid_, ".", handle_, ": disconnected (", why, "); sent ",
        counts.tx_packets, " received ", counts.rx_packets, " errors ", counts.tx_errors,
        " dropped ", counts.rx_dropped_full + counts.rx_dropped_expired + counts.rx_dropped_unfit);
  }
  connection_.reset();
}

Task<bool> VifDevice::write_features() {
  // What a Linux back-end says it can (drivers of the other end ask for nothing else).
  constexpr std::pair<std::string_view, std::uint64_t> kFeatures[] = {
      {"feature-sg", 1},
      {"feature-gso-tcpv4", 1},
      {"feature-gso-tcpv6", 1},
      {"feature-ipv6-csum-offload", 1},
      {"feature-rx-copy", 1},
      {"feature-rx-flip", 0},
      {"feature-split-event-channels", 1},
      {"multi-queue-max-queues", net::kQueuesMax},
  };
  for (const auto& [name, value] : kFeatures) {
    const auto written = co_await store_->write_number(path_ + "/" + std::string(name), value);
    if (!written) {
      log(Level::warning, "vif", domid_, ".", handle_, ": ", name, ": ",
          xenbus::text_of(written.error()));
      co_return false;
    }
  }
  co_return true;
}

Task<bool> VifDevice::advertise() {
  // Asked each time: a tool stack may make a new device in the directory of one that was moved.
  moved_ = (co_await store_->read_number(path_ + "/moved")).value_or(0) != 0;
  if (!co_await write_features()) co_return false;
  // There is no script to be run, so there is nothing to wait for.
  const auto hotplug = co_await store_->write(path_ + "/hotplug-status", "connected");
  if (!hotplug) co_return false;
  co_return co_await set_state(xenbus::State::init_wait);
}

Task<bool> VifDevice::connect(bool announce) {
  auto settings = co_await read_settings();
  auto offers = co_await read_offers();
  if (!settings || !offers) {
    ticket_.give_back();
    refuse(Level::warning, "its front-end offers nothing usable");
    co_return false;
  }
  const std::size_t queues = offers->size();
  ticket_.give_back();
  if (!announce) co_await gate_->pass();
  auto connection = Connection::open(*plumbing_, std::move(*settings), *offers);
  if (!connection) {
    refuse(Level::warning, connection.error());
    co_return false;
  }
  connection_ = std::move(*connection);
  log(Level::info, "vif", domid_, ".", handle_, announce ? ": connected, " : ": taken over, ",
      queues, " queue(s), port ", connection_->port());
  if (announce) co_return co_await set_state(xenbus::State::connected);
  const net::Vif* const vif = plumbing_->path().vif(connection_->port());
  tell_vif(abi::net_uk::Notice::vif_taken_over, domid_, handle_,
           vif != nullptr ? vif->statistics.tx_unanswered : 0);
  // Whoever wrote the directory anew does not know what we can.
  co_return co_await write_features();
}

Task<std::optional<net::VifSettings>> VifDevice::read_settings() {
  auto mac_call = store_->read(path_ + "/mac");
  auto rate_call = store_->read(path_ + "/rate");
  auto ip_call = store_->read(path_ + "/ip");
  auto rx_copy_call = store_->read_number(frontend_ + "/request-rx-copy");
  auto sg_call = store_->read_number(frontend_ + "/feature-sg");
  auto gso4_call = store_->read_number(frontend_ + "/feature-gso-tcpv4");
  auto gso6_call = store_->read_number(frontend_ + "/feature-gso-tcpv6");
  auto no_csum_call = store_->read_number(frontend_ + "/feature-no-csum-offload");
  auto csum6_call = store_->read_number(frontend_ + "/feature-ipv6-csum-offload");
  const auto mac_text = co_await mac_call;
  const auto rate = co_await rate_call;
  const auto ip = co_await ip_call;
  const bool rx_copy = (co_await rx_copy_call).value_or(0) != 0;
  const bool sg = (co_await sg_call).value_or(0) != 0;
  const bool gso4 = (co_await gso4_call).value_or(0) != 0;
  const bool gso6 = (co_await gso6_call).value_or(0) != 0;
  const bool no_csum = (co_await no_csum_call).value_or(0) != 0;
  const bool csum6 = (co_await csum6_call).value_or(0) != 0;
  const auto mac = mac_text ? net::parse_mac(*mac_text) : std::nullopt;
  if (!mac || !rx_copy) co_return std::nullopt;
  co_return net::VifSettings{.domid = domid_,
                             .handle = handle_,
                             .mac = *mac,
                             .rate = rate ? net::parse_rate(*rate) : std::nullopt,
                             .only_own = policy_->antispoof,
                             .ipv4 = ip ? net::parse_ipv4_list(*ip) : std::vector<std::uint32_t>{},
                             .scatter_gather = sg,
                             .abilities = {.checksum_v4 = !no_csum,
                                           .checksum_v6 = csum6,
                                           .gso_v4 = sg && gso4 && !no_csum,
                                           .gso_v6 = sg && gso6 && csum6}};
}

Task<std::optional<std::vector<QueueOffer>>> VifDevice::read_offers() {
  const std::uint64_t queues =
      (co_await store_->read_number(frontend_ + "/multi-queue-num-queues")).value_or(1);
  if (queues < 1 || queues > net::kQueuesMax) co_return std::nullopt;
  std::vector<QueueOffer> offers;
  for (std::uint64_t i = 0; i < queues; ++i) {
    const std::string where =
        queues == 1 ? frontend_ : frontend_ + std::string(kernel::Text<24>("/queue-", i).view());
    const auto offer = co_await read_offer(where);
    if (!offer) co_return std::nullopt;
    offers.push_back(*offer);
  }
  co_return offers;
}

Task<std::optional<QueueOffer>> VifDevice::read_offer(std::string where) {
  auto tx_ring_call = store_->read_number(where + "/tx-ring-ref");
  auto rx_ring_call = store_->read_number(where + "/rx-ring-ref");
  auto tx_port_call = store_->read_number(where + "/event-channel-tx");
  auto rx_port_call = store_->read_number(where + "/event-channel-rx");
  auto both_call = store_->read_number(where + "/event-channel");
  const auto tx_ring = co_await tx_ring_call;
  const auto rx_ring = co_await rx_ring_call;
  const auto tx_port = co_await tx_port_call;
  const auto rx_port = co_await rx_port_call;
  const auto both = co_await both_call;
  if (!tx_ring || !rx_ring || (!both && !(tx_port && rx_port))) co_return std::nullopt;
  const bool split = tx_port && rx_port;
  co_return QueueOffer{.tx_ring = static_cast<abi::GrantRef>(*tx_ring),
                       .rx_ring = static_cast<abi::GrantRef>(*rx_ring),
                       .tx_port = static_cast<abi::Port>(split ? *tx_port : *both),
                       .rx_port = static_cast<abi::Port>(split ? *rx_port : *both)};
}

Task<> VifDevice::read_rate() {
  const auto text = co_await store_->read(path_ + "/rate");
  if (!connection_) co_return;
  connection_->set_rate(text ? net::parse_rate(*text) : std::nullopt);
}

}  // namespace ppvmm::netuk
