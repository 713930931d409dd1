// Sessions whose graph can grow while they hold their variables. tfjs-node's addon runs saved models only, whose graph is
// fixed: with it, a function added to a program would cost loading every weight again. compile-addon.mjs renames tfjs-node's
// entry point, so that this one can call it and add these functions to what it exports:
//
//   createSession(): Session
//   extendSession(session, graphDef: Uint8Array, outside: string[])   outside: inputs ("node:0", "^node") of earlier nodes
//   createFeed(dtype, shape: number[], data: TypedArray): Feed        a tensor with a copy of the data
//   deleteFeed(feed)                                                  at once, not when it is collected
//   runSession(session, names: string[], feeds: Feed[], fetches: string[]): { dtype, shape, data: ArrayBuffer }[]
//   closeSession(session)                                             frees the variables
//
// Names are "node:output", dtypes TensorFlow's numbers. Everything runs on the calling thread.
#include <node_api.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"

#undef napi_register_module_v1
extern "C" napi_value tfjs_register_module(napi_env env, napi_value exports);

namespace {

struct Session {
  TF_Graph* graph;
  TF_Session* session;  // null once closed
};

struct Deleter {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
  void operator()(TF_SessionOptions* options) const { TF_DeleteSessionOptions(options); }
  void operator()(TF_ImportGraphDefOptions* options) const { TF_DeleteImportGraphDefOptions(options); }
  void operator()(TF_Buffer* buffer) const { TF_DeleteBuffer(buffer); }
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;

struct Failure {
  std::string message;
};

void Check(napi_status status, const char* what) {
  if (status != napi_ok) throw Failure{std::string("the native session was given a wrong ") + what};
}

void Check(const Owned<TF_Status>& status) {
  if (TF_GetCode(status.get()) != TF_OK) throw Failure{TF_Message(status.get())};
}

std::string StringOf(napi_env env, napi_value value) {
  size_t length = 0;
  Check(napi_get_value_string_utf8(env, value, nullptr, 0, &length), "string");
  std::string text(length, '\0');
  Check(napi_get_value_string_utf8(env, value, &text[0], length + 1, &length), "string");
  return text;
}

napi_value ElementOf(napi_env env, napi_value list, uint32_t i) {
  napi_value element;
  Check(napi_get_element(env, list, i, &element), "list");
  return element;
}

uint32_t LengthOf(napi_env env, napi_value list) {
  uint32_t length = 0;
  Check(napi_get_array_length(env, list, &length), "list");
  return length;
}

struct Bytes {
  void* data;
  size_t size;
};

Bytes BytesOf(napi_env env, napi_value array) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  Check(napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr), "typed array");
  size_t width = 1;
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array:
      width = 2;
      break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      width = 4;
      break;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      width = 8;
      break;
    default:
      break;
  }
  return {data, length * width};
}

Session& SessionOf(napi_env env, napi_value value) {
  void* held = nullptr;
  Check(napi_get_value_external(env, value, &held), "session");
  auto& session = *static_cast<Session*>(held);
  if (session.session == nullptr) throw Failure{"the session is closed"};
  return session;
}

/** "node:1" as an output of the graph. */
TF_Output OutputOf(const Session& session, const std::string& name) {
  const size_t colon = name.rfind(':');
  if (colon == std::string::npos) throw Failure{"\"" + name + "\" names no output"};
  TF_Operation* operation = TF_GraphOperationByName(session.graph, name.substr(0, colon).c_str());
  if (operation == nullptr) throw Failure{"the graph has no node \"" + name + "\""};
  return {operation, std::stoi(name.substr(colon + 1))};
}

template <size_t count>
std::vector<napi_value> ArgumentsOf(napi_env env, napi_callback_info info) {
  size_t given = count;
  std::vector<napi_value> values(count);
  Check(napi_get_cb_info(env, info, &given, values.data(), nullptr, nullptr), "call");
  if (given != count) throw Failure{"the native session was given a wrong number of arguments"};
  return values;
}

void Create(napi_env env, napi_callback_info, napi_value* result) {
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_SessionOptions> options(TF_NewSessionOptions());
  TF_Graph* graph = TF_NewGraph();
  TF_Session* session = TF_NewSession(graph, options.get(), status.get());
  if (session == nullptr) TF_DeleteGraph(graph);
  Check(status);
  // A session that nobody closed lives as long as the process.
  auto finalize = [](napi_env, void* data, void*) {
    auto* held = static_cast<Session*>(data);
    if (held->session == nullptr) delete held;
  };
  Check(napi_create_external(env, new Session{graph, session}, finalize, nullptr, result), "session");
}

void Extend(napi_env env, napi_callback_info info, napi_value*) {
  const auto arguments = ArgumentsOf<3>(env, info);
  Session& session = SessionOf(env, arguments[0]);
  const Bytes bytes = BytesOf(env, arguments[1]);
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_ImportGraphDefOptions> options(TF_NewImportGraphDefOptions());
  for (uint32_t i = 0; i < LengthOf(env, arguments[2]); i++) {
    const std::string name = StringOf(env, ElementOf(env, arguments[2], i));
    if (name[0] == '^') {
      const TF_Output control = OutputOf(session, name.substr(1) + ":0");
      TF_ImportGraphDefOptionsRemapControlDependency(options.get(), name.c_str() + 1, control.oper);
    } else {
      const TF_Output output = OutputOf(session, name);
      TF_ImportGraphDefOptionsAddInputMapping(
          options.get(), name.substr(0, name.rfind(':')).c_str(), output.index, output);
    }
  }
  Owned<TF_Buffer> buffer(TF_NewBuffer());
  buffer->data = bytes.data;
  buffer->length = bytes.size;
  TF_GraphImportGraphDef(session.graph, buffer.get(), options.get(), status.get());
  Check(status);
}

/** A tensor that JavaScript holds; null once deleted. */
using Feed = Owned<TF_Tensor>;

Feed& FeedOf(napi_env env, napi_value value) {
  void* held = nullptr;
  Check(napi_get_value_external(env, value, &held), "feed");
  return *static_cast<Feed*>(held);
}

void CreateFeed(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<3>(env, info);
  int32_t dtype = 0;
  Check(napi_get_value_int32(env, arguments[0], &dtype), "dtype");
  std::vector<int64_t> shape(LengthOf(env, arguments[1]));
  size_t size = TF_DataTypeSize(static_cast<TF_DataType>(dtype));
  for (uint32_t i = 0; i < shape.size(); i++) {
    Check(napi_get_value_int64(env, ElementOf(env, arguments[1], i), &shape[i]), "shape");
    size *= shape[i];
  }
  const Bytes bytes = BytesOf(env, arguments[2]);
  if (bytes.size != size) throw Failure{"a fed array has another size than its shape"};
  Feed tensor(TF_AllocateTensor(static_cast<TF_DataType>(dtype), shape.data(), shape.size(), size));
  if (size > 0) std::memcpy(TF_TensorData(tensor.get()), bytes.data, size);
  auto finalize = [](napi_env, void* data, void*) { delete static_cast<Feed*>(data); };
  Check(napi_create_external(env, new Feed(std::move(tensor)), finalize, nullptr, result), "feed");
}

void DeleteFeed(napi_env env, napi_callback_info info, napi_value*) {
  FeedOf(env, ArgumentsOf<1>(env, info)[0]).reset();
}

napi_value ResultOf(napi_env env, const TF_Tensor* tensor) {
  napi_value result, dtype, shape, data;
  void* copy = nullptr;
  const size_t size = TF_TensorByteSize(tensor);
  Check(napi_create_object(env, &result), "result");
  Check(napi_create_int32(env, TF_TensorType(tensor), &dtype), "result");
  Check(napi_create_array_with_length(env, TF_NumDims(tensor), &shape), "result");
  for (int i = 0; i < TF_NumDims(tensor); i++) {
    napi_value dimension;
    Check(napi_create_int64(env, TF_Dim(tensor, i), &dimension), "result");
    Check(napi_set_element(env, shape, i, dimension), "result");
  }
  Check(napi_create_arraybuffer(env, size, &copy, &data), "result");
  if (size > 0) std::memcpy(copy, TF_TensorData(tensor), size);
  Check(napi_set_named_property(env, result, "dtype", dtype), "result");
  Check(napi_set_named_property(env, result, "shape", shape), "result");
  Check(napi_set_named_property(env, result, "data", data), "result");
  return result;
}

void Run(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<4>(env, info);
  const Session& session = SessionOf(env, arguments[0]);
  std::vector<TF_Output> inputs, outputs;
  std::vector<TF_Tensor*> given;
  for (uint32_t i = 0; i < LengthOf(env, arguments[1]); i++) {
    inputs.push_back(OutputOf(session, StringOf(env, ElementOf(env, arguments[1], i))));
    given.push_back(FeedOf(env, ElementOf(env, arguments[2], i)).get());
    if (given.back() == nullptr) throw Failure{"a feed was deleted"};
  }
  for (uint32_t i = 0; i < LengthOf(env, arguments[3]); i++)
    outputs.push_back(OutputOf(session, StringOf(env, ElementOf(env, arguments[3], i))));

  std::vector<TF_Tensor*> taken(outputs.size(), nullptr);
  std::vector<Owned<TF_Tensor>> fetched;
  Owned<TF_Status> status(TF_NewStatus());
  TF_SessionRun(session.session, nullptr, inputs.data(), given.data(), inputs.size(), outputs.data(), taken.data(),
                outputs.size(), nullptr, 0, nullptr, status.get());
  for (TF_Tensor* tensor : taken)
    if (tensor != nullptr) fetched.emplace_back(tensor);
  Check(status);
  Check(napi_create_array_with_length(env, fetched.size(), result), "result");
  for (uint32_t i = 0; i < fetched.size(); i++) {
    Check(napi_set_element(env, *result, i, ResultOf(env, fetched[i].get())), "result");
    fetched[i].reset();
  }
}

void Close(napi_env env, napi_callback_info info, napi_value*) {
  Session& session = SessionOf(env, ArgumentsOf<1>(env, info)[0]);
  Owned<TF_Status> status(TF_NewStatus());
  TF_DeleteSession(session.session, status.get());
  TF_DeleteGraph(session.graph);
  session = {nullptr, nullptr};
  Check(status);
}

/** Failures become JavaScript errors. */
template <void (*body)(napi_env, napi_callback_info, napi_value*)>
napi_value Call(napi_env env, napi_callback_info info) {
  napi_value result = nullptr;
  try {
    body(env, info, &result);
  } catch (const Failure& failure) {
    napi_throw_error(env, nullptr, failure.message.c_str());
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return result;
}

void Export(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  napi_set_named_property(env, exports, name, value);
}

}  // namespace

extern "C" NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  exports = tfjs_register_module(env, exports);
  Export(env, exports, "createSession", Call<Create>);
  Export(env, exports, "extendSession", Call<Extend>);
  Export(env, exports, "createFeed", Call<CreateFeed>);
  Export(env, exports, "deleteFeed", Call<DeleteFeed>);
  Export(env, exports, "runSession", Call<Run>);
  Export(env, exports, "closeSession", Call<Close>);
  return exports;
}
