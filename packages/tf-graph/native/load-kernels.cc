// Loads libgraft_kernels.so, which lies beside TensorFlow's libraries; kernel-ops/kernel-ops.cc is its source.
#include <dlfcn.h>

#include "values.h"

/** loadKernels(): string, the instruction set that they use here. Fails with the reason where there are none. */
void LoadKernels(napi_env env, napi_callback_info, napi_value* result) {
  Dl_info tensorflow;
  if (dladdr(reinterpret_cast<void*>(&TF_Version), &tensorflow) == 0) throw Failure{"TensorFlow's own library is not found"};
  const std::string library = tensorflow.dli_fname;
  const std::string path = library.substr(0, library.rfind('/') + 1) + "libgraft_kernels.so";
  Owned<TF_Status> status(TF_NewStatus());
  // Never unloaded: TensorFlow keeps what it registers.
  TF_LoadLibrary(path.c_str(), status.get());
  Check(status);
  void* loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  const auto name = loaded == nullptr ? nullptr : reinterpret_cast<const char* (*)()>(dlsym(loaded, "graft_kernels_name"));
  if (name == nullptr) throw Failure{path + " does not tell its instruction set"};
  Check(napi_create_string_utf8(env, name(), NAPI_AUTO_LENGTH, result), "result");
}
