#include "root/daemon/errands.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <utility>

#include "root/errand_words.hpp"

namespace ppvmm::root::daemon {
namespace {

constexpr const char* kTool = "ppvmm";
/// An answer is shorter; of more the end counts.
constexpr std::size_t kWordsMost = 1000;

/// In the child: nothing but what may be done between fork and exec of a program with threads.
[[noreturn]] void become_tool(const char* path, char* const* arguments, int orders, int answers,
                              pid_t parent) {
  // It must not go on for a root that is gone: the next one begins anew.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  if (dup2(orders, STDIN_FILENO) < 0 || dup2(answers, STDOUT_FILENO) < 0 ||
      dup2(answers, STDERR_FILENO) < 0) {
    _exit(1);
  }
  execvp(path, arguments);
  constexpr std::array kNotRun{'c', 'a', 'n', 'n', 'o', 't', ' ', 'b', 'e', ' ', 'r', 'u', 'n'};
  static_cast<void>(!write(STDERR_FILENO, kNotRun.data(), kNotRun.size()));
  _exit(1);
}

void close_end(int& end) {
  if (end >= 0) close(end);
  end = -1;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream from(text);
  for (std::string line; std::getline(from, line);)
    lines.push_back(line);
  return lines;
}

}  // namespace

std::string tool_path() {
  std::error_code code;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code) return kTool;
  const auto beside = own.parent_path() / kTool;
  return std::filesystem::exists(beside, code) ? beside.string() : kTool;
}

void Errands::stand_by() {
  if (child_ == 0) static_cast<void>(start_child());  // tried again when there is an errand
}

bool Errands::start_child() {
  std::array<std::string, 5> words{tool_, "net", "errands", "--state-dir", state_dir_};
  std::array<char*, words.size() + 1> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i)
    arguments.at(i) = words.at(i).data();
  std::array<int, 2> orders{-1, -1};
  std::array<int, 2> answers{-1, -1};
  if (pipe2(orders.data(), O_CLOEXEC) != 0) return false;
  if (pipe2(answers.data(), O_CLOEXEC) != 0) {
    close(orders[0]);
    close(orders[1]);
    return false;
  }
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ == 0) become_tool(tool_.c_str(), arguments.data(), orders[0], answers[1], parent);
  close(orders[0]);
  close(answers[1]);
  orders_ = orders[1];
  answers_ = answers[0];
  heard_.clear();
  if (child_ < 0) {
    child_ = 0;
    close_end(orders_);
    close_end(answers_);
    return false;
  }
  // Ours never wait for it; its own ends do.
  return fcntl(orders_, F_SETFL, O_NONBLOCK) == 0 && fcntl(answers_, F_SETFL, O_NONBLOCK) == 0;
}

bool Errands::tell(const std::string& words) {
  const std::string line = words + '\n';
  return write(orders_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

/// The first one is told to the child; to a new one if the old one has gone while it stood by.
bool Errands::begin() {
  const std::string words = waiting_.front().words;
  if (child_ != 0) {
    hear();
    heard_.clear();
    if (answers_ >= 0 && tell(words)) return true;
    end_child();
  }
  // A new one that ended before it could be told has said why: advance() reads that.
  return start_child() && (tell(words) || errno == EPIPE);
}

void Errands::hear() {
  std::array<char, 512> buffer;
  while (answers_ >= 0) {
    const ssize_t length = read(answers_, buffer.data(), buffer.size());
    if (length < 0) return;
    if (length == 0) {
      close_end(answers_);  // it has ended
      return;
    }
    heard_.append(buffer.data(), static_cast<std::size_t>(length));
    if (heard_.size() > kWordsMost) heard_.erase(0, heard_.size() - kWordsMost);
  }
}

/// What the child has answered, if it has: everything else that it says does not count.
std::optional<std::string> Errands::answer() const {
  const auto end = heard_.rfind('\n');
  if (end == std::string::npos) return std::nullopt;
  for (const std::string& line : lines_of(heard_.substr(0, end))) {
    if (line == kErrandDone) return std::string();
    if (line.starts_with(kErrandFailed)) return line.substr(kErrandFailed.size());
  }
  return std::nullopt;
}

Errands::Ended Errands::end_first(std::string problem) {
  Ended ended{.what = waiting_.front().what, .ok = problem.empty(), .problem = std::move(problem)};
  waiting_.pop_front();
  under_way_ = false;
  heard_.clear();
  return ended;
}

std::optional<Errands::Ended> Errands::advance() {
  std::erase_if(ended_, [](pid_t each) { return waitpid(each, nullptr, WNOHANG) != 0; });
  if (waiting_.empty()) return std::nullopt;
  if (!under_way_) {
    under_way_ = begin();
    if (under_way_) return std::nullopt;
    std::string why = std::string("cannot start a process: ") + std::strerror(errno);
    end_child();
    return end_first(std::move(why));
  }
  hear();
  if (auto said = answer()) return end_first(std::move(*said));
  if (answers_ >= 0) return std::nullopt;
  const auto words = lines_of(heard_);
  end_child();
  return end_first(words.empty() ? "it ended without a word" : words.back());
}

void Errands::end_child() {
  if (child_ != 0) {
    kill(child_, SIGKILL);
    ended_.push_back(std::exchange(child_, 0));
  }
  close_end(orders_);
  close_end(answers_);
}

void Errands::drop(const std::string& what) {
  if (under_way_ && waiting_.front().what == what) {
    end_child();
    waiting_.pop_front();
    under_way_ = false;
    stand_by();
  }
  // What is with the child and something else stays: it is the first.
  std::erase_if(waiting_, [&](const Errand& each) { return each.what == what; });
}

void Errands::abandon() {
  end_child();
  waiting_.clear();
  under_way_ = false;
}

}  // namespace ppvmm::root::daemon
