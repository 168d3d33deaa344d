#include "uk/net/connection.hpp"

#include <utility>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/panic.hpp"
#include "kernel/vitals.hpp"
#include "uk/net/root_link.hpp"

namespace ppvmm::netuk {
namespace {

// What a survivor's tag says besides record and queue.
constexpr std::uint32_t kTagBase = 0x6E60'0000;
constexpr std::uint32_t kTagBaseMask = 0xFFFF'0000;
constexpr std::uint32_t kTxRing = 0;
constexpr std::uint32_t kRxRing = 1;
constexpr std::uint32_t kTxPort = 2;
constexpr std::uint32_t kRxPort = 3;

std::optional<std::size_t> free_slot(std::span<const net::VifRecord> records) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].used == 0) return i;
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t Connection::tag(std::uint8_t queue, std::uint32_t what) const {
  return kTagBase | static_cast<std::uint32_t>(slot_) << 8 | std::uint32_t{queue} << 4 | what;
}

std::expected<std::unique_ptr<Connection>, std::string_view> Connection::open(
    Plumbing& plumbing, net::VifSettings settings, std::span<const QueueOffer> offers) {
  const auto slot = free_slot(plumbing.records());
  if (!slot) return std::unexpected("all ports are taken");
  std::unique_ptr<Connection> self(
      new Connection(plumbing, *slot, settings.domid, settings.handle));
  std::uint8_t split = 0;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (!self->open_line(static_cast<std::uint8_t>(i), offers[i])) {
      return std::unexpected("a ring cannot be mapped, or a port not be bound");
    }
    if (offers[i].rx_port != offers[i].tx_port) split = static_cast<std::uint8_t>(split | 1u << i);
  }
  // Last: with this the vif is one that an heir takes over.
  const net::VifRecord record = net::record_of(settings, offers.size(), split);
  if (!self->join(std::move(settings))) {
    return std::unexpected("its rings are impossible, or its address is another's");
  }
  plumbing.records()[*slot] = record;
  return self;
}

std::unique_ptr<Connection> Connection::adopt(Plumbing& plumbing, std::size_t slot) {
  net::VifRecord& record = plumbing.records()[slot];
  if (record.used == 0) return nullptr;
  const bool good = net::believable(record);
  std::unique_ptr<Connection> self(new Connection(plumbing, slot, record.domid, record.handle));
  bool whole = good;
  for (std::uint8_t i = 0; whole && i < record.queues; ++i)
    whole = self->adopt_line(i, (record.split & 1u << i) != 0);
  if (!whole) return nullptr;
  net::VifSettings settings = net::settings_of(record);
  settings.lose_unanswered = loses_unanswered();
  if (!self->join(std::move(settings))) return nullptr;
  return self;
}

bool Connection::open_line(std::uint8_t queue, const QueueOffer& offer) {
  using kernel::grants::Access;
  auto line = std::make_unique<Line>();
  line->connection = this;
  line->queue = queue;
  auto tx = kernel::grants::map(domid_, offer.tx_ring, Access::read_write);
  auto rx = kernel::grants::map(domid_, offer.rx_ring, Access::read_write);
  if (tx) line->tx = std::move(*tx);
  if (rx) line->rx = std::move(*rx);
  Line& placed = *lines_.emplace_back(std::move(line));
  if (!placed.tx || !placed.rx) return false;
  const auto tx_port = kernel::events::bind_interdomain(domid_, offer.tx_port);
  if (!tx_port) return false;
  placed.tx_port = placed.rx_port = *tx_port;
  if (offer.rx_port != offer.tx_port) {
    const auto rx_port = kernel::events::bind_interdomain(domid_, offer.rx_port);
    if (!rx_port) return false;
    placed.rx_port = *rx_port;
    if (!kernel::events::survive(*rx_port, tag(queue, kRxPort), domid_, offer.rx_port)) {
      return false;
    }
  }
  return placed.tx.survive(tag(queue, kTxRing)) && placed.rx.survive(tag(queue, kRxRing)) &&
         kernel::events::survive(*tx_port, tag(queue, kTxPort), domid_, offer.tx_port);
}

bool Connection::adopt_line(std::uint8_t queue, bool split) {
  auto line = std::make_unique<Line>();
  line->connection = this;
  line->queue = queue;
  auto tx = kernel::grants::survived(tag(queue, kTxRing));
  auto rx = kernel::grants::survived(tag(queue, kRxRing));
  if (tx) line->tx = std::move(*tx);
  if (rx) line->rx = std::move(*rx);
  line->tx_port = kernel::events::survived(tag(queue, kTxPort));
  line->rx_port = split ? kernel::events::survived(tag(queue, kRxPort)) : line->tx_port;
  const Line& placed = *lines_.emplace_back(std::move(line));
  return placed.tx && placed.rx && placed.tx_port != 0 && placed.rx_port != 0;
}

bool Connection::join(net::VifSettings settings) {
  joined_ = plumbing_->join(std::move(settings), pages());
  if (!joined_) return false;
  port_ = *joined_;
  plumbing_->joined(port_, *this);
  for (const auto& line : lines_) {
    kernel::events::handle(line->tx_port, &Connection::on_event, line.get());
    if (line->rx_port != line->tx_port) {
      kernel::events::handle(line->rx_port, &Connection::on_event, line.get());
    }
  }
  plumbing_->wake();
  return true;
}

std::vector<net::QueuePages> Connection::pages() const {
  std::vector<net::QueuePages> pages;
  pages.reserve(lines_.size());
  for (const auto& line : lines_)
    pages.push_back({.tx = line->tx.data(), .rx = line->rx.data()});
  return pages;
}

bool Connection::rejoin() {
  const net::VifRecord& record = plumbing_->records()[slot_];
  if (!net::believable(record)) kernel::panic("the record of a vif is damaged");
  joined_ = plumbing_->rejoin(net::settings_of(record), pages(), *this);
  if (joined_) port_ = *joined_;
  return joined_.has_value();
}

void Connection::set_rate(std::optional<net::RateLimit> rate) {
  net::VifRecord& record = plumbing_->records()[slot_];
  net::VifSettings settings = net::settings_of(record);
  if (settings.rate == rate) return;
  settings.rate = rate;
  record = net::record_of(settings, record.queues, record.split);
  plumbing_->set_rate(port_, rate);
}

Connection::~Connection() {
  if (joined_) plumbing_->leave(port_);
  plumbing_->records()[slot_] = {};
  for (const auto& line : lines_) {
    kernel::events::forget(tag(line->queue, kTxPort));
    kernel::events::forget(tag(line->queue, kRxPort));
    if (line->rx_port != line->tx_port) kernel::events::close(line->rx_port);
    kernel::events::close(line->tx_port);
    line->tx.unmap();
    line->rx.unmap();
  }
}

void Connection::release_orphans(std::span<const net::VifRecord> records) {
  std::vector<abi::Survivor> orphans;
  kernel::vitals::survivors().for_each([&](const abi::Survivor& entry) {
    const bool ours =
        entry.kind == abi::SurvivorKind::mapping || entry.kind == abi::SurvivorKind::port;
    if (!ours || (entry.tag & kTagBaseMask) != kTagBase) return;
    const std::size_t slot = entry.tag >> 8 & 0xFF;
    if (slot >= records.size() || records[slot].used == 0) orphans.push_back(entry);
  });
  for (const abi::Survivor& entry : orphans) {
    if (entry.kind == abi::SurvivorKind::port) {
      kernel::events::forget(entry.tag);
      kernel::events::close(entry.id);
    } else if (auto mapping = kernel::grants::survived(entry.tag)) {
      mapping->unmap();
    }
  }
}

void Connection::on_event(void* line, abi::Port) {
  const Line& self = *static_cast<Line*>(line);
  self.connection->plumbing_->kick(self.connection->port_, self.queue);
}

void Connection::notify(const net::Notification& owed) {
  if (owed.queue >= lines_.size()) return;
  const Line& line = *lines_[owed.queue];
  if (owed.tx) kernel::events::notify(line.tx_port);
  if (owed.rx && !(owed.tx && line.rx_port == line.tx_port)) {
    kernel::events::notify(line.rx_port);
  }
}

}  // namespace ppvmm::netuk
