/// pcifront: the devices that the tool stack assigned to this domain, through Xen's PCI back-end.
///
/// One channel (page, grant, port) serves all devices; operations are done one after the other.
/// What was learned of the devices is kept over microreboots with the channel itself, so that the
/// next life has its devices without asking anybody: nothing in XenStore changes, and the back-end
/// notices nothing.
///
/// A back-end is expected to answer within kAnswerLimit; one that does not is given up for that
/// operation (`timeout`), not for good.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "kernel/start.hpp"
#include "kernel/task.hpp"
#include "kernel/timers.hpp"
#include "pci/channel.hpp"
#include "pci/device.hpp"
#include "xenbus/device.hpp"
#include "xenbus/store.hpp"

namespace ppvmm::pci {

class Frontend {
 public:
  /// Whom it tells of what the back-end does on its own.
  class Listener {
   public:
    /// PCI Express reported an error of the device. The answer goes back.
    virtual Recovery error(const Notice& notice) = 0;
    /// The device is about to go (`xl pci-detach`), or gone; it must not be touched any more.
    virtual void removed(const Device& device) = 0;
    /// A device came (`xl pci-attach`).
    virtual void added(const Device& device) = 0;

   protected:
    ~Listener() = default;
  };

  static constexpr kernel::Nanoseconds kAnswerLimit = 10'000'000'000;

  /// Takes the channel over from the last life, or connects. `path` is the front-end's directory.
  /// `closed` if the tool stack assigned nothing to us.
  [[nodiscard]] static kernel::task::Task<std::expected<std::unique_ptr<Frontend>, Error>> connect(
      xenbus::Store& store, std::string path = "device/pci/0");
  ~Frontend();
  Frontend(const Frontend&) = delete;
  Frontend& operator=(const Frontend&) = delete;

  /// The devices there are now. A device keeps its place; a removed one has vendor 0xFFFF.
  [[nodiscard]] std::span<const Device> devices() const;
  /// Taken over from an earlier life: the devices may be in the middle of anything.
  [[nodiscard]] bool adopted() const { return adopted_; }

  /// Its interrupts were switched on, in this life or an earlier one: it decodes its memory and may
  /// do DMA already.
  [[nodiscard]] bool in_use(Address address) const;

  /// Follows the back-end and tells `listener`, for ever: a front-end that the tool stack takes
  /// away and makes again is connected again. To be run as a task.
  [[nodiscard]] kernel::task::Task<> follow(Listener& listener);

  /// Finds out where base address registers lie: bit n of `wanted` is register n. Each costs a few
  /// operations, so only what a driver needs is asked for. The device as it is known then.
  [[nodiscard]] kernel::task::Task<std::expected<Device, Error>> learn_bars(Address address,
                                                                            std::uint8_t wanted);
  /// Reads the vendor capabilities.
  [[nodiscard]] kernel::task::Task<std::expected<Device, Error>> learn_vendor_capabilities(
      Address address);

  /// Lets the device decode its memory and, if `master`, do DMA; never raise INTx.
  [[nodiscard]] kernel::task::Task<std::expected<void, Error>> enable(Address address,
                                                                      bool master = true);
  /// Up to `wanted` MSI-X vectors, table entries 0 upwards, or one MSI when the device has none
  /// (or `wanted` is 0). What an earlier life switched on is given again as it was.
  [[nodiscard]] kernel::task::Task<std::expected<Interrupts, Error>> enable_interrupts(
      Address address, std::uint32_t wanted);
  [[nodiscard]] kernel::task::Task<std::expected<void, Error>> disable_interrupts(Address address);

  /// `size` is 1, 2 or 4; the offset a multiple of it below 4096.
  [[nodiscard]] kernel::task::Task<std::expected<std::uint32_t, Error>> read(Address address,
                                                                             std::uint16_t offset,
                                                                             std::uint8_t size);
  [[nodiscard]] kernel::task::Task<std::expected<void, Error>> write(Address address,
                                                                     std::uint16_t offset,
                                                                     std::uint8_t size,
                                                                     std::uint32_t value);
  /// Offset of the first capability of that kind from `after` on (0: from the beginning); 0 if
  /// there is none. A chain that runs in a circle ends.
  [[nodiscard]] kernel::task::Task<std::expected<std::uint16_t, Error>> find_capability(
      Address address, std::uint8_t id, std::uint16_t after = 0);

 private:
  Frontend(xenbus::Store& store, std::string path);

  [[nodiscard]] std::expected<void, Error> open_channel();
  [[nodiscard]] kernel::task::Task<std::expected<void, Error>> handshake();
  [[nodiscard]] kernel::task::Task<std::expected<void, Error>> publish();
  [[nodiscard]] kernel::task::Task<> follow_backend(Listener& listener);
  [[nodiscard]] kernel::task::Task<> reopen(Listener& listener);
  [[nodiscard]] kernel::task::Task<std::expected<void, Error>> find_devices(Listener* listener);
  [[nodiscard]] kernel::task::Task<void> remove_closing(Listener& listener);
  [[nodiscard]] kernel::task::Task<std::expected<Device, Error>> probe(Address address);
  [[nodiscard]] kernel::task::Task<std::expected<Bar, Error>> probe_bar(Address address,
                                                                        std::size_t number);
  [[nodiscard]] kernel::task::Task<std::expected<xen_pci_op, Error>> operate(xen_pci_op operation);
  void keep();
  void answer_notice();
  static void on_event(void* self, std::uint32_t port);
  static void on_deadline(void* self);

  xenbus::Store* store_;
  std::string path_;
  std::string backend_;
  std::uint16_t backend_id_{};
  std::byte* pages_{};  ///< The shared page, and behind it what we keep.
  std::uint32_t port_{};
  std::uint32_t grant_{};
  bool adopted_{};
  bool operating_{};
  bool late_{};
  kernel::task::Signal changed_;  ///< An event came, an operation ended, or time is over.
  kernel::Timer deadline_;
  Listener* listener_{};
};

}  // namespace ppvmm::pci
