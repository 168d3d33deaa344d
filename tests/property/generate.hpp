/// What the properties are tried on: operations on a small tree, so that they often meet.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <vector>

#include "support/machine_client.hpp"
#include "support/model.hpp"

namespace ppvmm::property {

inline rc::Gen<std::string> any_path() {
  return rc::gen::map(
      rc::gen::resize(3, rc::gen::container<std::vector<std::string>>(
                             rc::gen::element<std::string>("a", "b", "a-b", "long_name"))),
      [](const std::vector<std::string>& names) {
        std::string path = "/t";
        for (const auto& name : names)
          path += '/' + name;
        return path;
      });
}

inline rc::Gen<model::Operation> any_operation() {
  using Kind = model::Operation::Kind;
  return rc::gen::build<model::Operation>(
      rc::gen::set(&model::Operation::kind,
                   rc::gen::element(Kind::read, Kind::directory, Kind::get_permissions, Kind::write,
                                    Kind::write, Kind::mkdir, Kind::remove)),
      rc::gen::set(&model::Operation::path, any_path()),
      rc::gen::set(&model::Operation::value, rc::gen::arbitrary<std::string>()));
}

inline std::vector<model::Operation> operations() {
  return *rc::gen::container<std::vector<model::Operation>>(any_operation());
}

/// Does an operation through a client and gives the answer as the model would.
inline model::Answer ask(test::MachineClient& client, const model::Operation& operation,
                         std::uint32_t transaction = 0) {
  using Kind = model::Operation::Kind;
  using store::MessageType;
  MessageType type = MessageType::read;
  std::string payload = test::strings({operation.path});
  switch (operation.kind) {
    case Kind::read:
      break;
    case Kind::directory:
      type = MessageType::directory;
      break;
    case Kind::get_permissions:
      type = MessageType::get_perms;
      break;
    case Kind::write:
      type = MessageType::write;
      payload += operation.value;
      break;
    case Kind::mkdir:
      type = MessageType::mkdir;
      break;
    case Kind::remove:
      type = MessageType::rm;
      break;
    case Kind::set_permissions:
      type = MessageType::set_perms;
      payload += model::permission_text(operation.permissions);
      break;
  }
  const test::Result result = client.call(type, payload, transaction);
  if (result) return {{}, *result};
  for (int error = 0; error <= static_cast<int>(store::Error::perm); ++error) {
    if (store::error_text(static_cast<store::Error>(error)) == *result) {
      return {static_cast<store::Error>(error), {}};
    }
  }
  RC_FAIL("no answer of the protocol: " + *result);
}

/// Whether the server's tree below /t is the model's.
inline bool same_tree(test::MachineClient& client, const model::Tree& tree) {
  for (const auto& [path, node] : tree) {
    if (!path.starts_with("/t")) continue;
    if (client.read(path) != test::Result{node.value}) return false;
    if (ask(client, {model::Operation::Kind::directory, path}).payload !=
        model::listing(tree, path)) {
      return false;
    }
  }
  return true;
}

}  // namespace ppvmm::property
