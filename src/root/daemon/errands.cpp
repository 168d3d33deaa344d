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
#include <utility>

namespace ppvmm::root::daemon {
namespace {

constexpr const char* kTool = "ppvmm";
/// A line of the tool is shorter; what is longer is cut.
constexpr std::size_t kWordsMost = 1000;

/// In the child: nothing but what may be done between fork and exec of a program with threads.
[[noreturn]] void become_tool(const char* path, char* const* arguments, int words, pid_t parent) {
  // It must not go on for a root that is gone: the next one begins anew.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
      dup2(words, STDERR_FILENO) < 0) {
    _exit(1);
  }
  execvp(path, arguments);
  constexpr std::array kNotRun{'c', 'a', 'n', 'n', 'o', 't', ' ', 'b', 'e', ' ', 'r', 'u', 'n'};
  static_cast<void>(!write(STDERR_FILENO, kNotRun.data(), kNotRun.size()));
  _exit(1);
}

}  // namespace

std::string tool_path() {
  std::error_code code;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code) return kTool;
  const auto beside = own.parent_path() / kTool;
  return std::filesystem::exists(beside, code) ? beside.string() : kTool;
}

bool Errands::begin(const Errand& errand) {
  static const std::string tool = tool_path();
  std::vector<std::string> words{tool};
  words.insert(words.end(), errand.words.begin(), errand.words.end());
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return false;
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ == 0) become_tool(tool.c_str(), arguments.data(), ends[1], parent);
  close(ends[1]);
  words_ = ends[0];
  if (child_ > 0) return true;
  child_ = 0;
  close_pipe();
  return false;
}

std::optional<Errands::Ended> Errands::advance() {
  std::erase_if(ended_, [](pid_t each) { return waitpid(each, nullptr, WNOHANG) != 0; });
  if (child_ == 0) {
    if (waiting_.empty()) return std::nullopt;
    if (begin(waiting_.front())) return std::nullopt;
    Ended ended{.what = waiting_.front().what,
                .ok = false,
                .problem = std::string("cannot start a process: ") + std::strerror(errno)};
    waiting_.pop_front();
    return ended;
  }
  int status = 0;
  if (waitpid(child_, &status, WNOHANG) != child_) return std::nullopt;
  child_ = 0;
  Ended ended{.what = waiting_.front().what, .ok = WIFEXITED(status) && WEXITSTATUS(status) == 0};
  if (!ended.ok) ended.problem = last_words();
  close_pipe();
  waiting_.pop_front();
  return ended;
}

std::string Errands::last_words() {
  std::string text(kWordsMost, '\0');
  const ssize_t length = read(words_, text.data(), text.size());
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text.empty() ? "it ended without a word" : text;
}

void Errands::close_pipe() {
  if (words_ >= 0) close(words_);
  words_ = -1;
}

void Errands::end_child() {
  if (child_ == 0) return;
  kill(child_, SIGKILL);
  ended_.push_back(std::exchange(child_, 0));
  close_pipe();
  waiting_.pop_front();
}

void Errands::drop(const std::string& what) {
  if (!waiting_.empty() && waiting_.front().what == what) end_child();
  std::erase_if(waiting_, [&](const Errand& each) { return each.what == what; });
}

void Errands::abandon() {
  end_child();
  waiting_.clear();
}

}  // namespace ppvmm::root::daemon
