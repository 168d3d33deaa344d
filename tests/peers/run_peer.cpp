// run-peer: one of the two existing XenStore servers, natively, on a Unix socket.
#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <iostream>

#include "peers/fake_host.hpp"
#include "peers/peer.hpp"

namespace {

using ppvmm::peers::PeerKind;

/// Until the daemon ends (its exit is ours) or we are told to stop.
int supervise(ppvmm::peers::Peer& peer, const sigset_t& signals) {
  for (;;) {
    siginfo_t info{};
    if (sigwaitinfo(&signals, &info) < 0) continue;
    if (info.si_signo != SIGCHLD) return 0;
    if (const auto how = peer.ended()) {
      std::cerr << "run-peer: the daemon ended: " << *how << '\n' << peer.output();
      return 1;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs Debian's own xenstored or oxenstored on a machine without Xen"};
  PeerKind kind{};
  std::filesystem::path socket;
  ppvmm::peers::PeerFiles files;
  app.add_option("daemon", kind, "xenstored or oxenstored")
      ->required()
      ->transform(CLI::CheckedTransformer(std::map<std::string, PeerKind>{
          {"xenstored", PeerKind::xenstored}, {"oxenstored", PeerKind::oxenstored}}));
  app.add_option("--socket", socket, "path of the Unix socket it listens on")->required();
  app.add_option("--root", files.root,
                 "directory with the extracted packages (default: the installed ones)")
      ->envname("PPVMM_XEN_ROOT");
  app.footer(
      "Prints 'ready <pid>' when clients can connect. Stop it with SIGTERM or SIGINT.\n"
      "Exit status: 0 stopped, 1 the daemon ended or did not start, else usage.");
  CLI11_PARSE(app, argc, argv);

  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD})
    sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  try {
    const ppvmm::peers::FakeHost host;
    ppvmm::peers::Peer peer{kind, host, socket, {}, files};
    std::cout << "ready " << peer.pid() << std::endl;
    return supervise(peer, signals);
  } catch (const std::exception& error) {
    std::cerr << "run-peer: " << error.what() << '\n';
    return 1;
  }
}
