// Loads libgraft_kernels.so from the folder of TensorFlow's libraries; its source is kernel-ops/kernel-ops.cc.
#include <dlfcn.h>

#include "values.h"

namespace {

/** Returns a function of the library, which stays loaded, because TensorFlow refers to what it registers. */
template <typename Function>
Function* FunctionOf(const std::string& path, const char* name) {
  void* loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  auto* function = loaded == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(loaded, name));
  if (function == nullptr) throw Failure{path + " has no " + name};
  return function;
}

std::string LibraryPath() {
  Dl_info tensorflow;
  if (dladdr(reinterpret_cast<void*>(&TF_Version), &tensorflow) == 0) throw Failure{"TensorFlow's own library is not found"};
  const std::string library = tensorflow.dli_fname;
  return library.substr(0, library.rfind('/') + 1) + "libgraft_kernels.so";
}

}  // namespace

/**
 * loadKernels(): string, the comma-separated instruction sets that can be used here, best first. Throws with the reason if there are none.
 */
void LoadKernels(napi_env env, napi_callback_info, napi_value* result) {
  const std::string path = LibraryPath();
  Owned<TF_Status> status(TF_NewStatus());
  TF_LoadLibrary(path.c_str(), status.get());
  Check(status);
  const char* sets = FunctionOf<const char*()>(path, "graft_kernel_sets")();
  Check(napi_create_string_utf8(env, sets, NAPI_AUTO_LENGTH, result), "result");
}

/** useKernels(set): undefined. Selects a set returned by loadKernels; not while a session runs. */
void UseKernels(napi_env env, napi_callback_info info, napi_value*) {
  const std::string name = StringOf(env, ArgumentsOf<1>(env, info)[0]);
  if (!FunctionOf<bool(const char*)>(LibraryPath(), "graft_use_kernels")(name.c_str()))
    throw Failure{"there are no kernels called " + name};
}
