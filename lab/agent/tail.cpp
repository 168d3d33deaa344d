#include "tail.hpp"

#include <fcntl.h>
#include <sys/inotify.h>

#include <array>
#include <string_view>

#include "protocol.hpp"

namespace ppvmm::lab {

Tail::Tail() : notify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  const std::string folder(kConsoleFolder);
  if (notify_.valid() &&
      inotify_add_watch(notify_.get(), folder.c_str(), IN_MODIFY | IN_CREATE) < 0) {
    notify_.reset();
  }
}

void Tail::drain(const Send& send) {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = read(notify_.get(), buffer.data(), buffer.size());
    if (got <= 0) {
      return;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event head{};
      std::memcpy(&head, buffer.data() + at, sizeof head);
      const std::string file = head.len > 0 ? buffer.data() + at + sizeof head : "";
      at += sizeof head + head.len;
      if (!file.ends_with(".log")) {
        continue;
      }
      Log& log = logs_[file];
      if (!log.file.valid()) {
        log.file =
            Fd(open((std::string(kConsoleFolder) + "/" + file).c_str(), O_RDONLY | O_CLOEXEC));
        log.name = file.substr(0, file.size() - 4);
        if (log.name.starts_with("guest-")) {
          log.name.erase(0, 6);
        }
      }
      read_log(log, send);
    }
  }
}

void Tail::read_log(Log& log, const Send& send) {
  std::array<char, 16384> buffer{};
  while (log.file.valid()) {
    const ssize_t got = read(log.file.get(), buffer.data(), buffer.size());
    if (got <= 0) {
      break;
    }
    log.partial.append(buffer.data(), static_cast<std::size_t>(got));
  }
  std::size_t start = 0;
  for (std::size_t end = 0; (end = log.partial.find('\n', start)) != std::string::npos;
       start = end + 1) {
    std::string_view line(log.partial.data() + start, end - start);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    report(log.name, line, send);
  }
  log.partial.erase(0, start);
}

void Tail::report(const std::string& guest, std::string_view line, const Send& send) {
  if (const std::size_t mark = line.find(kConsoleMark); mark != std::string_view::npos) {
    nlohmann::json message =
        nlohmann::json::parse(line.substr(mark + kConsoleMark.size()), nullptr, false);
    if (message.is_object() && message.contains("k")) {
      message["guest"] = guest;
      message["guest_t"] = message.value("t", std::int64_t{0});
      message["t"] = now_ns();
      if (message.value("component", "").empty()) {
        message["component"] = guest;
      }
      send(message);
      return;
    }
  }
  send({{"k", "console"}, {"name", guest}, {"d", line}, {"t", now_ns()}});
}

}  // namespace ppvmm::lab
