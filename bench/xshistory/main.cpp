// ppvmm-xshistory: clients that write down all that a XenStore told them, and the judge of it.
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "checker.hpp"
#include "served_file.hpp"
#include "verdict_json.hpp"
#include "worker.hpp"

namespace {

using namespace ppvmm;
using namespace ppvmm::xshistory;

std::atomic<bool> stop_asked{false};

void on_signal(int) {
  stop_asked = true;
}

constexpr std::chrono::milliseconds kLook{20};
constexpr std::uint64_t kSecond = 1'000'000'000;

/// Writes the history and says so. True: not all clients were answered.
bool conclude(const std::vector<std::unique_ptr<Worker>>& workers, const std::string& out) {
  // Under its name there is never half a history.
  const std::string fresh = out + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  std::size_t count = 0;
  bool silent = false;
  for (const auto& worker : workers) {
    const History history = worker->history();
    write_history(file, history);
    count += history.size();
    silent = silent || std::ranges::any_of(history, [](const Op& op) { return op.answered == 0; });
  }
  const std::uint64_t now = now_ns();
  write_history(
      file, {{.kind = Kind::event, .invoked = now, .answered = now, .key = std::string(kEndKey)}});
  file.close();
  if (!file || std::rename(fresh.c_str(), out.c_str()) != 0) {
    throw xsload::Failure(out + " cannot be written");
  }
  std::cout << count << " entries of " << workers.size() << " clients in " << out
            << (silent ? "; not all were answered" : "") << "\n"
            << std::flush;
  return silent;
}

/// What is measured shall be the store's delay, not that of whoever else wants to run here.
void run_first() {
  constexpr int kPriority = 10;
  const sched_param priority{.sched_priority = kPriority};
  if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
    throw xsload::Failure("real-time priority is refused");
  }
}

int run(const Plan& plan, const std::string& out, const std::string& status_path, bool realtime) {
  if (realtime) run_first();
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  const auto status = bench::ServedFile::create(status_path, plan.clients);
  if (!status) throw xsload::Failure(status_path + " cannot be made");
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    workers.push_back(std::make_unique<Worker>(plan, i));
    if (!status->seats().empty()) workers.back()->publish_at(&status->seats()[i]);
  }
  workers.front()->prepare();

  std::atomic<bool> stop{false};
  std::atomic<std::uint32_t> running{plan.clients};
  std::vector<std::thread> threads;
  threads.reserve(workers.size());
  for (const auto& worker : workers) {
    threads.emplace_back([&, each = worker.get()] {
      each->run(stop);
      --running;
    });
  }
  const std::uint64_t end = now_ns() + plan.seconds * kSecond;
  while (!stop_asked && now_ns() < end)
    std::this_thread::sleep_for(kLook);
  // Who waits for an answer now gets a while; who gets none then, never will.
  const std::uint64_t deadline = now_ns() + plan.grace_seconds * kSecond;
  for (const auto& worker : workers)
    worker->give_up_at(deadline);
  stop = true;
  while (running != 0 && now_ns() < deadline + kSecond)
    std::this_thread::sleep_for(kLook);
  if (running != 0) {
    // Stuck in the kernel, which waits for the store: such a thread cannot be ended.
    conclude(workers, out);
    _exit(0);
  }
  for (auto& thread : threads)
    thread.join();
  for (const auto& worker : workers) {
    worker->give_up_at(now_ns() + plan.grace_seconds * kSecond);
    worker->settle(worker == workers.front());
  }
  // A connection that still waits for an answer may not be closed in order: the process ends.
  if (conclude(workers, out)) _exit(0);
  return 0;
}

int judge(const std::vector<std::string>& files, double gap_ms, const std::string& json) {
  constexpr double kNsPerMs = 1e6;
  History history;
  for (const std::string& name : files) {
    std::ifstream file(name);
    if (!file || !read_history(file, history)) throw xsload::Failure(name + " is no history");
  }
  if (history.empty()) throw xsload::Failure("an empty history shows nothing");
  const Verdict verdict = check(history, static_cast<std::uint64_t>(gap_ms * kNsPerMs));
  const std::string text = to_json(verdict);
  if (json == "-") {
    std::cout << text;
  } else if (!json.empty()) {
    std::ofstream file(json, std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw xsload::Failure(json + " cannot be written");
  }
  if (json != "-") {
    double outage = 0;
    for (const auto& [client, gap] : verdict.longest)
      outage = std::max(outage, static_cast<double>(gap.end - gap.begin) / kNsPerMs);
    std::cout << verdict.operations << " operations, " << verdict.commits << " commits, "
              << verdict.events << " events: " << verdict.violations.size() << " violations, "
              << verdict.errors.size() << " errors shown, " << verdict.unanswered.size()
              << " unanswered, longest wait " << outage << " ms\n";
    for (const Violation& each : verdict.violations) {
      std::cout << "VIOLATION " << each.rule << ": " << each.key << " (client " << each.client
                << "): " << each.text << '\n';
    }
  }
  return verdict.violations.empty() ? 0 : 1;
}

int wait(const std::string& status_path, std::uint64_t after, std::uint64_t limit_ms) {
  const auto status = bench::ServedFile::open(status_path);
  if (!status) throw xsload::Failure(status_path + " is no status file");
  const std::uint64_t from = after != 0 ? after : now_ns();
  const std::uint64_t end = now_ns() + limit_ms * (kSecond / 1000);
  while (!status->all_since(from)) {
    if (now_ns() >= end) return 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Clients that write down all that a XenStore told them, and the judge of it.\n"
      "Exit code: 0 done (check: no violation; wait: served), 1 not so, over 100 usage."};
  app.require_subcommand(1);

  Plan plan;
  std::string out;
  std::string status;
  bool realtime = false;
  auto* load = app.add_subcommand("run", "Ask, for a time or until SIGTERM, and write it down");
  load->add_option("--connect", plan.server, "Socket or device")->capture_default_str();
  load->add_option("--base", plan.base, "Folder for all nodes (removed first)")
      ->capture_default_str();
  load->add_option("--clients", plan.clients)->capture_default_str();
  load->add_option("--seed", plan.seed)->capture_default_str();
  load->add_option("--seconds", plan.seconds)->capture_default_str();
  load->add_option("--grace", plan.grace_seconds, "Seconds that the last answers may take")
      ->capture_default_str();
  load->add_option("--pause-us", plan.pause_us, "Between requests")->capture_default_str();
  load->add_option("--largest", plan.largest, "Bytes of the largest values")
      ->check(CLI::Range(1001, 3900))
      ->capture_default_str();
  load->add_option("--out", out, "File for the history")->required();
  load->add_flag("--realtime", realtime, "Run before everything else that has no such priority");
  load->add_option("--status", status, "File that shows how far each client is served");

  std::vector<std::string> files;
  double gap_ms = 5;
  std::string json;
  auto* checking = app.add_subcommand("check", "Judge histories of clients of one domain");
  checking->add_option("files", files)->required();
  checking->add_option("--gap-ms", gap_ms, "List requests that took this long")
      ->capture_default_str();
  checking->add_option("--json", json, "Write the verdict there (-: standard output)");

  std::uint64_t after = 0;
  std::uint64_t limit_ms = 10'000;
  auto* waiting = app.add_subcommand("wait", "Until all clients of a running load are served");
  waiting->add_option("--status", status)->required();
  waiting->add_option("--after", after, "Asked after this time (ns, monotonic); default: now");
  waiting->add_option("--limit-ms", limit_ms)->capture_default_str();

  CLI11_PARSE(app, argc, argv);
  try {
    if (load->parsed()) return run(plan, out, status, realtime);
    if (checking->parsed()) return judge(files, gap_ms, json);
    return wait(status, after, limit_ms);
  } catch (const std::exception& failure) {
    std::cerr << "ppvmm-xshistory: " << failure.what() << '\n';
    return 1;
  }
}
