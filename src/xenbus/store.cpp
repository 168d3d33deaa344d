#include "xenbus/store.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "kernel/console.hpp"
#include "kernel/events.hpp"
#include "kernel/layout.hpp"
#include "kernel/memory.hpp"
#include "kernel/paging.hpp"
#include "kernel/panic.hpp"
#include "kernel/text.hpp"
#include "kernel/vitals.hpp"

namespace ppvmm::xenbus {
namespace {

using namespace std::string_view_literals;
using store::MessageType;

constexpr auto kEnd = "\0"sv;
constexpr std::uint32_t kRecordTag = 0x7873'0001;  // "xs"
constexpr std::size_t kRecordPages = (sizeof(StreamRecord) + kernel::kPage - 1) / kernel::kPage;

StreamRecord& stream_record() {
  std::byte* pages = kernel::memory::survived(kRecordTag);
  if (pages == nullptr) {
    pages = kernel::memory::take_pages(kRecordPages);
    if (pages == nullptr) kernel::panic("no memory for the XenStore stream");
    std::memset(pages, 0, kRecordPages * kernel::kPage);
    if (!kernel::memory::survive(pages, kRecordTag)) {
      kernel::panic("the XenStore stream cannot be kept");
    }
  }
  return *reinterpret_cast<StreamRecord*>(pages);
}

std::expected<std::string, Error> as_text(std::string&& payload) {
  return std::move(payload);
}

/// An answer that is one string with its NUL, as paths are.
std::expected<std::string, Error> as_string(std::string&& payload) {
  if (!payload.empty() && payload.back() == '\0') payload.pop_back();
  return std::move(payload);
}

std::expected<bool, Error> as_done(std::string&&) {
  return true;
}

template <typename Number>
std::expected<Number, Error> as_number(std::string&& payload) {
  if (!payload.empty() && payload.back() == '\0') payload.pop_back();
  Number number = 0;
  const auto [end, error] =
      std::from_chars(payload.data(), payload.data() + payload.size(), number);
  if (error != std::errc{} || end != payload.data() + payload.size()) {
    return std::unexpected(Error::invalid);
  }
  return number;
}

std::expected<std::vector<std::string>, Error> as_list(std::string&& payload) {
  std::vector<std::string> names;
  const store::Payload strings(std::as_bytes(std::span{payload}));
  std::size_t offset = 0;
  while (const auto name = strings.next_string(offset))
    names.emplace_back(*name);
  return names;
}

}  // namespace

namespace detail {

Pending::Pending(Store& store, MessageType type, TransactionId transaction,
                 std::initializer_list<std::string_view> parts)
    : store_(&store) {
  // Known before it is sent: the answer may come within.
  store_->pending_.push_back(this);
  const auto id = store_->send(type, transaction, parts);
  if (!id) {
    answer_ = std::unexpected(id.error());
    return;
  }
  id_ = *id;
  store_->pump();
}

Pending::~Pending() {
  std::erase(store_->pending_, this);
}

void Pending::answer(std::expected<std::string, Error> answer) {
  if (answer_) return;
  answer_ = std::move(answer);
  if (waited_) waiter_.release();
}

}  // namespace detail

Store::Store(const kernel::Start& start) : port_(start.store_port) {
  if (start.store_port == 0 || start.store_mfn == 0) kernel::panic("this domain has no XenStore");
  const std::uint64_t frame = kernel::paging::pseudo_frame(start.store_mfn);
  if (frame >= start.memory_pages) kernel::panic("the XenStore page is not ours");
  auto& page = *kernel::at<store::RingPage>(kernel::frame_address(frame));
  connection_ = std::make_unique<Connection>(page, stream_record(),
                                             static_cast<Connection::Client&>(*this), start.reborn);
  kernel::events::handle(port_, &Store::on_event, this);
  // Whatever lies in the ring from before.
  pump();
  kernel::events::notify(port_);
}

Store::~Store() {
  kernel::events::handle(port_, nullptr, nullptr);
}

void Store::on_event(void* self, std::uint32_t) {
  static_cast<Store*>(self)->pump();
}

void Store::pump() {
  if (connection_->pump()) kernel::events::notify(port_);
  if (!connection_->broken()) return;
  kernel::log(kernel::Level::error, "XenStore broke its protocol; the connection is dead");
  for (detail::Pending* const pending : pending_)
    pending->answer(std::unexpected(Error::broken));
  for (Watch* const watch : watches_)
    watch->failed(Error::broken);
}

std::expected<std::uint32_t, Error> Store::send(MessageType type, TransactionId transaction,
                                                std::initializer_list<std::string_view> parts) {
  return connection_->request(type, transaction, {parts.begin(), parts.size()});
}

void Store::answered(std::uint32_t request_id, std::expected<std::string_view, Error> answer) {
  for (detail::Pending* const pending : pending_) {
    if (pending->id() != request_id) continue;
    if (answer) {
      pending->answer(std::string(*answer));
    } else {
      pending->answer(std::unexpected(answer.error()));
    }
    return;
  }
  for (Watch* const watch : watches_) {
    if (watch->request_ != request_id) continue;
    watch->request_ = 0;
    if (!answer) watch->failed(answer.error());
    return;
  }
}

void Store::fired(std::string_view path, std::string_view token) {
  for (Watch* const watch : watches_) {
    if (watch->token_ == token) watch->fired(path);
  }
}

Call<std::string> Store::read(std::string_view path, TransactionId transaction) {
  return {*this, as_text, MessageType::read, transaction, {path, kEnd}};
}

Call<std::uint64_t> Store::read_number(std::string_view path, TransactionId transaction) {
  return {*this, as_number<std::uint64_t>, MessageType::read, transaction, {path, kEnd}};
}

Call<std::vector<std::string>> Store::directory(std::string_view path, TransactionId transaction) {
  return {*this, as_list, MessageType::directory, transaction, {path, kEnd}};
}

Call<bool> Store::write(std::string_view path, std::string_view value, TransactionId transaction) {
  return {*this, as_done, MessageType::write, transaction, {path, kEnd, value}};
}

Call<bool> Store::write_number(std::string_view path, std::uint64_t value,
                               TransactionId transaction) {
  const kernel::Text<20> digits(value);
  return {*this, as_done, MessageType::write, transaction, {path, kEnd, digits.view()}};
}

Call<bool> Store::mkdir(std::string_view path, TransactionId transaction) {
  return {*this, as_done, MessageType::mkdir, transaction, {path, kEnd}};
}

Call<bool> Store::rm(std::string_view path, TransactionId transaction) {
  return {*this, as_done, MessageType::rm, transaction, {path, kEnd}};
}

Call<bool> Store::set_permissions(std::string_view path,
                                  std::initializer_list<std::string_view> permissions,
                                  TransactionId transaction) {
  std::string list;
  for (const std::string_view permission : permissions) {
    list += permission;
    list += '\0';
  }
  return {*this, as_done, MessageType::set_perms, transaction, {path, kEnd, list}};
}

Call<std::string> Store::domain_path(std::uint16_t domid) {
  const kernel::Text<20> digits(domid);
  return {*this, as_string, MessageType::get_domain_path, kNoTransaction, {digits.view(), kEnd}};
}

Call<TransactionId> Store::begin() {
  return {*this, as_number<TransactionId>, MessageType::transaction_start, kNoTransaction, {kEnd}};
}

Call<bool> Store::commit(TransactionId transaction) {
  return {*this, as_done, MessageType::transaction_end, transaction, {"T\0"sv}};
}

Call<bool> Store::abort(TransactionId transaction) {
  return {*this, as_done, MessageType::transaction_end, transaction, {"F\0"sv}};
}

Watch::Watch(Store& store, std::string path) : store_(&store), path_(std::move(path)) {
  token_ = kernel::Text<24>("w", ++store_->last_watch_).view();
  store_->watches_.push_back(this);
  const auto id = store_->send(MessageType::watch, kNoTransaction, {path_, kEnd, token_, kEnd});
  if (!id) {
    error_ = id.error();
    return;
  }
  request_ = *id;
  store_->pump();
}

Watch::~Watch() {
  std::erase(store_->watches_, this);
  if (error_) return;
  if (store_->send(MessageType::unwatch, kNoTransaction, {path_, kEnd, token_, kEnd})) {
    store_->pump();
  }
}

void Watch::fired(std::string_view path) {
  if (std::ranges::find(changed_, path) != changed_.end()) return;
  if (changed_.size() == kQueueMax) {
    changed_.assign(1, path_);
  } else {
    changed_.emplace_back(path);
  }
  while (kernel::task::Waiter* const waiter = waiting_.pop())
    waiter->release();
}

void Watch::failed(Error error) {
  error_ = error;
  while (kernel::task::Waiter* const waiter = waiting_.pop())
    waiter->release();
}

std::expected<std::string, Error> Watch::pop() {
  if (error_) return std::unexpected(*error_);
  std::string path = std::move(changed_.front());
  changed_.erase(changed_.begin());
  return path;
}

void Watch::Awaiter::await_suspend(std::coroutine_handle<> handle) {
  waiter_.hold(handle);
  watch_->waiting_.push(waiter_);
}

}  // namespace ppvmm::xenbus
