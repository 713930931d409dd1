// An addon without TensorFlow that loads TensorFlow's libraries while JavaScript continues: src/load-beside.ts.
#include <dlfcn.h>
#include <node_api.h>

#include <string>
#include <system_error>
#include <thread>

namespace {

// On the heap: a process may end without JavaScript's `exit` event, and would abort because of an unjoined static thread.
std::thread* loading = nullptr;

/** loadBeside(path: string): undefined. If loading fails, requiring the addon later fails with the reason. */
napi_value LoadBeside(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value argument;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, argument, nullptr, 0, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "loadBeside takes a path");
    return nullptr;
  }
  std::string path(length, '\0');
  napi_get_value_string_utf8(env, argument, &path[0], length + 1, &length);
  try {
    if (loading == nullptr) loading = new std::thread([path] { dlopen(path.c_str(), RTLD_LAZY); });
  } catch (const std::system_error&) {
    // No thread is available: the libraries are loaded when they are required.
  }
  return nullptr;
}

/** waitLoaded(): undefined. Without it, a process that ends while another thread initializes libraries may wait for it forever. */
napi_value WaitLoaded(napi_env, napi_callback_info) {
  if (loading != nullptr && loading->joinable()) loading->join();
  return nullptr;
}

void Export(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok)
    napi_set_named_property(env, exports, name, function);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  Export(env, exports, "loadBeside", LoadBeside);
  Export(env, exports, "waitLoaded", WaitLoaded);
  return exports;
}
