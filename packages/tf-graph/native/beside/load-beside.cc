// An addon that knows nothing of TensorFlow, to have its libraries loaded while JavaScript goes on: src/load-beside.ts.
#include <dlfcn.h>
#include <node_api.h>

#include <string>
#include <system_error>
#include <thread>

namespace {

/** loadBeside(path: string): undefined. What cannot be loaded fails again, with its reason, where it is required. */
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
    std::thread([path] { dlopen(path.c_str(), RTLD_LAZY); }).detach();
  } catch (const std::system_error&) {
    // No thread to be had: it is loaded when it is required.
  }
  return nullptr;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  if (napi_create_function(env, "loadBeside", NAPI_AUTO_LENGTH, LoadBeside, nullptr, &function) == napi_ok)
    napi_set_named_property(env, exports, "loadBeside", function);
  return exports;
}
