#include "operation.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace ppvmm::xsload {
namespace {

using namespace std::string_view_literals;

void expect_value(std::string_view found, const std::string& wanted, const std::string& path) {
  if (found != wanted) {
    throw Failure(path + " holds \"" + std::string(found) + "\" instead of \"" + wanted + '"');
  }
}

class Read final : public Operation {
 public:
  Read(const Tree& tree, std::uint32_t client)
      : tree_(tree), random_(client + 1), pick_(0, tree.nodes() - 1) {}
  void prepare(Connection&) override {}
  void begin(Connection& connection) override {
    index_ = pick_(random_);
    request_ = connection.send(XS_READ, 0, {terminated(tree_.leaf(index_))});
  }
  bool on_message(Connection&, const Message& message) override {
    expect_answer(message, XS_READ, request_);
    expect_value(message.payload, tree_.leaf_value(index_), tree_.leaf(index_));
    return true;
  }
  void verify(Connection&) override {}

 private:
  const Tree& tree_;
  std::minstd_rand random_;
  std::uniform_int_distribution<std::uint32_t> pick_;
  std::uint32_t index_{};
  std::uint32_t request_{};
};

/// A set of a client's own nodes with the version that each holds now.
class OwnNodes {
 public:
  OwnNodes(const Tree& tree, std::uint32_t client, const std::string& prefix, std::uint32_t count)
      : tree_(tree), versions_(count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      paths_.push_back(tree.own(client, prefix + std::to_string(i)));
    }
  }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(paths_.size()); }
  [[nodiscard]] const std::string& path(std::uint32_t node) const { return paths_[node]; }
  [[nodiscard]] std::string value(std::uint32_t node) const {
    return tree_.value(node, versions_[node]);
  }
  void create(Connection& connection) const {
    for (std::uint32_t i = 0; i < size(); ++i) {
      connection.call(XS_WRITE, 0, {terminated(paths_[i]), value(i)});
    }
  }
  void verify(Connection& connection) const {
    for (std::uint32_t i = 0; i < size(); ++i) {
      expect_value(connection.call(XS_READ, 0, {terminated(paths_[i])}), value(i), paths_[i]);
    }
  }
  /// Sends a WRITE of the node's next version.
  std::uint32_t write(Connection& connection, std::uint32_t transaction, std::uint32_t node) {
    ++versions_[node];
    return connection.send(XS_WRITE, transaction, {terminated(paths_[node]), value(node)});
  }

 private:
  const Tree& tree_;
  std::vector<std::string> paths_;
  std::vector<std::uint64_t> versions_;
};

class Write final : public Operation {
 public:
  Write(const Tree& tree, std::uint32_t client) : nodes_(tree, client, "w", 4) {}
  void prepare(Connection& connection) override { nodes_.create(connection); }
  void begin(Connection& connection) override {
    node_ = (node_ + 1) % nodes_.size();
    request_ = nodes_.write(connection, 0, node_);
  }
  bool on_message(Connection&, const Message& message) override {
    expect_answer(message, XS_WRITE, request_);
    return true;
  }
  void verify(Connection& connection) override { nodes_.verify(connection); }

 private:
  OwnNodes nodes_;
  std::uint32_t node_{};
  std::uint32_t request_{};
};

/// Whether a DIRECTORY answer names "0" to "<count - 1>", each once, in any order.
void expect_names(std::string_view payload, std::uint32_t count, const std::string& path) {
  std::vector<bool> seen(count);
  std::uint32_t found = 0;
  while (!payload.empty()) {
    const auto end = std::min(payload.find('\0'), payload.size());
    std::uint32_t number = 0;
    for (const char digit : payload.substr(0, end)) {
      if (digit < '0' || digit > '9' || number > count) throw Failure(path + ": strange child");
      number = number * 10 + static_cast<std::uint32_t>(digit - '0');
    }
    if (number >= count || seen[number]) throw Failure(path + ": child that was never made");
    seen[number] = true;
    ++found;
    payload.remove_prefix(std::min(end + 1, payload.size()));
  }
  if (found != count) {
    throw Failure(path + ": " + std::to_string(found) + " children instead of " +
                  std::to_string(count));
  }
}

class Directory final : public Operation {
 public:
  Directory(const Tree& tree, std::uint32_t client)
      : tree_(tree), random_(client + 1), pick_(0, tree.directories() - 1) {}
  void prepare(Connection&) override {}
  void begin(Connection& connection) override {
    index_ = pick_(random_);
    request_ = connection.send(XS_DIRECTORY, 0, {terminated(tree_.directory(index_))});
  }
  bool on_message(Connection&, const Message& message) override {
    expect_answer(message, XS_DIRECTORY, request_);
    expect_names(message.payload, tree_.leaves_in(index_), tree_.directory(index_));
    return true;
  }
  void verify(Connection&) override {}

 private:
  const Tree& tree_;
  std::minstd_rand random_;
  std::uniform_int_distribution<std::uint32_t> pick_;
  std::uint32_t index_{};
  std::uint32_t request_{};
};

class Transaction final : public Operation {
 public:
  Transaction(const Tree& tree, std::uint32_t client) : nodes_(tree, client, "t", 5) {}
  void prepare(Connection& connection) override { nodes_.create(connection); }
  void begin(Connection& connection) override {
    step_ = Step::start;
    node_ = 0;
    request_ = connection.send(XS_TRANSACTION_START, 0, {"\0"sv});
  }
  bool on_message(Connection& connection, const Message& message) override {
    switch (step_) {
      case Step::start:
        expect_answer(message, XS_TRANSACTION_START, request_);
        id_ = parse_id(message.payload);
        write(connection);
        return false;
      case Step::write:
        expect_answer(message, XS_WRITE, request_);
        step_ = Step::read;
        request_ = connection.send(XS_READ, id_, {terminated(nodes_.path(node_))});
        return false;
      case Step::read:
        expect_answer(message, XS_READ, request_);
        expect_value(message.payload, nodes_.value(node_), nodes_.path(node_));
        if (++node_ < nodes_.size()) {
          write(connection);
        } else {
          step_ = Step::end;
          request_ = connection.send(XS_TRANSACTION_END, id_, {"T\0"sv});
        }
        return false;
      case Step::end:
        if (message.type == XS_ERROR && message.payload.starts_with("EAGAIN")) {
          ++retries_;
          begin(connection);
          return false;
        }
        expect_answer(message, XS_TRANSACTION_END, request_);
        return true;
    }
    return false;
  }
  void verify(Connection& connection) override { nodes_.verify(connection); }
  std::uint64_t retries() const override { return retries_; }

 private:
  enum class Step : std::uint8_t { start, write, read, end };

  void write(Connection& connection) {
    step_ = Step::write;
    request_ = nodes_.write(connection, id_, node_);
  }
  static std::uint32_t parse_id(std::string_view payload) {
    const std::string text(payload.substr(0, payload.find('\0')));
    const auto id = std::strtoul(text.c_str(), nullptr, 10);
    if (id == 0 || id > UINT32_MAX) throw Failure("transaction id \"" + text + '"');
    return static_cast<std::uint32_t>(id);
  }

  OwnNodes nodes_;
  Step step_{};
  std::uint32_t node_{};
  std::uint32_t id_{};
  std::uint32_t request_{};
  std::uint64_t retries_{};
};

class Watch final : public Operation {
 public:
  Watch(const Tree& tree, std::uint32_t client)
      : nodes_(tree, client, "watched", 1), token_("load" + std::to_string(client)) {}

  /// A watch fires once when it is set: that event is taken here.
  void prepare(Connection& connection) override {
    nodes_.create(connection);
    const auto request =
        connection.send(XS_WATCH, 0, {terminated(nodes_.path(0)), terminated(token_)});
    bool answered = false;
    bool fired = false;
    while (!answered || !fired) {
      const auto message = connection.receive();
      if (message.type == XS_WATCH_EVENT) {
        expect_event(message);
        fired = true;
      } else {
        expect_answer(message, XS_WATCH, request);
        answered = true;
      }
    }
  }
  void begin(Connection& connection) override {
    answered_ = fired_ = false;
    request_ = nodes_.write(connection, 0, 0);
  }
  bool on_message(Connection&, const Message& message) override {
    if (message.type == XS_WATCH_EVENT) {
      expect_event(message);
      if (fired_) throw Failure("one change fired the watch twice");
      fired_ = true;
    } else {
      expect_answer(message, XS_WRITE, request_);
      answered_ = true;
    }
    return answered_ && fired_;
  }
  void verify(Connection& connection) override {
    nodes_.verify(connection);
    connection.call(XS_UNWATCH, 0, {terminated(nodes_.path(0)), terminated(token_)});
  }

 private:
  void expect_event(const Message& message) const {
    const auto event = parse_event(message.payload);
    if (event.path != nodes_.path(0) || event.token != token_) {
      throw Failure("event for " + std::string(event.path) + " with token " +
                    std::string(event.token) + ", watched is " + nodes_.path(0));
    }
  }

  OwnNodes nodes_;
  std::string token_;
  bool answered_{};
  bool fired_{};
  std::uint32_t request_{};
};

class Mixed final : public Operation {
 public:
  Mixed(const Tree& tree, std::uint32_t client)
      : read_(tree, client), write_(tree, client), directory_(tree, client), turn_(client) {}
  void prepare(Connection& connection) override { write_.prepare(connection); }
  void begin(Connection& connection) override {
    const std::array<Operation*, 10> cycle{&read_, &read_,  &write_, &read_, &read_,
                                           &read_, &write_, &read_,  &read_, &directory_};
    current_ = cycle[turn_++ % cycle.size()];
    current_->begin(connection);
  }
  bool on_message(Connection& connection, const Message& message) override {
    return current_->on_message(connection, message);
  }
  void verify(Connection& connection) override { write_.verify(connection); }

 private:
  Read read_;
  Write write_;
  Directory directory_;
  std::size_t turn_;
  Operation* current_{};
};

}  // namespace

std::unique_ptr<Operation> make_operation(std::string_view name, const Tree& tree,
                                          std::uint32_t client) {
  if (name == "read") return std::make_unique<Read>(tree, client);
  if (name == "write") return std::make_unique<Write>(tree, client);
  if (name == "directory") return std::make_unique<Directory>(tree, client);
  if (name == "transaction") return std::make_unique<Transaction>(tree, client);
  if (name == "watch") return std::make_unique<Watch>(tree, client);
  if (name == "mixed") return std::make_unique<Mixed>(tree, client);
  throw Failure("no operation is called " + std::string(name));
}

}  // namespace ppvmm::xsload
