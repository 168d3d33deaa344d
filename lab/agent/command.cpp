#include "command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "protocol.hpp"

namespace ppvmm::lab {

std::optional<Command> Command::start(std::int64_t id, const std::string& text,
                                      std::int64_t timeout_ms) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0) {
    return std::nullopt;
  }
  Fd out_read(out[0]);
  const Fd out_write(out[1]);
  if (pipe2(err.data(), O_CLOEXEC) != 0) {
    return std::nullopt;
  }
  Fd err_read(err[0]);
  const Fd err_write(err[1]);

  const pid_t pid = fork();
  if (pid < 0) {
    return std::nullopt;
  }
  if (pid == 0) {
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(out_write.get(), 1);
    dup2(err_write.get(), 2);
    execl("/bin/sh", "sh", "-c", text.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  setpgid(pid, pid);  // here too: a time-out may come before the child gets there

  Command command;
  command.id_ = id;
  command.pid_ = pid;
  command.started_ns_ = now_ns();
  command.deadline_ns_ = timeout_ms > 0 ? command.started_ns_ + timeout_ms * 1'000'000 : 0;
  command.out_[0] = std::move(out_read);
  command.out_[1] = std::move(err_read);
  for (const Fd& fd : command.out_) {
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  }
  return command;
}

void Command::drain(std::size_t which, const Send& send) {
  std::array<char, 16384> buffer{};
  while (out_[which].valid()) {
    const ssize_t got = read(out_[which].get(), buffer.data(), buffer.size());
    if (got > 0) {
      send({{"k", "output"},
            {"id", id_},
            {"stream", which == 0 ? "out" : "err"},
            {"d", std::string(buffer.data(), static_cast<std::size_t>(got))}});
    } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else {
      out_[which].reset();
    }
  }
}

void Command::expire() {
  expired_ = true;
  deadline_ns_ = 0;
  kill(-pid_, SIGKILL);
}

void Command::finish(int status, const Send& send) {
  drain(0, send);
  drain(1, send);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  send({{"k", "exit"},
        {"id", id_},
        {"code", code},
        {"timed_out", expired_},
        {"began_ns", started_ns_},
        {"t", now_ns()}});
}

}  // namespace ppvmm::lab
