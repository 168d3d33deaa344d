/// Follows the console logs that xenconsoled writes and reports what is added, line by line.
#pragma once

#include <map>
#include <string>

#include "command.hpp"
#include "fd.hpp"

namespace ppvmm::lab {

class Tail {
 public:
  /// Watches kConsoleFolder, which must exist. An invalid fd() means the kernel refused.
  Tail();

  /// Readable when a log grew.
  [[nodiscard]] int fd() const { return notify_.get(); }

  /// Reports every whole line that is new. A line with kConsoleMark is a guest applet's message: it
  /// is reported as that message, with the guest's name as its component unless it says another.
  void drain(const Send& send);

 private:
  struct Log {
    Fd file;
    std::string name;     ///< Of the guest: the file's name without "guest-" and ".log".
    std::string partial;  ///< A line that has no end yet.
  };

  void read_log(Log& log, const Send& send);
  static void report(const std::string& guest, std::string_view line, const Send& send);

  Fd notify_;
  std::map<std::string, Log> logs_;
};

}  // namespace ppvmm::lab
