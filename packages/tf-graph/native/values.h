// Conversions of arguments and results between JavaScript and the addon's functions, and their errors.
#pragma once
#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"

struct Session {
  TF_Graph* graph;
  TF_Session* session;  // null once closed
  int preparing;        // runs of it in other threads
};

struct Deleter {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
  void operator()(TF_SessionOptions* options) const { TF_DeleteSessionOptions(options); }
  void operator()(TF_Buffer* buffer) const { TF_DeleteBuffer(buffer); }
  void operator()(TF_Graph* graph) const { TF_DeleteGraph(graph); }
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;

struct Failure {
  std::string message;
  /** The `code` of the JavaScript error: TensorFlow's status; null if the error is not from TensorFlow. */
  const char* code = nullptr;
};

/** TensorFlow's names of its status codes (absl::StatusCode). */
inline const char* NameOf(TF_Code code) {
  switch (code) {
    case TF_CANCELLED: return "CANCELLED";
    case TF_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case TF_DEADLINE_EXCEEDED: return "DEADLINE_EXCEEDED";
    case TF_NOT_FOUND: return "NOT_FOUND";
    case TF_ALREADY_EXISTS: return "ALREADY_EXISTS";
    case TF_PERMISSION_DENIED: return "PERMISSION_DENIED";
    case TF_UNAUTHENTICATED: return "UNAUTHENTICATED";
    case TF_RESOURCE_EXHAUSTED: return "RESOURCE_EXHAUSTED";
    case TF_FAILED_PRECONDITION: return "FAILED_PRECONDITION";
    case TF_ABORTED: return "ABORTED";
    case TF_OUT_OF_RANGE: return "OUT_OF_RANGE";
    case TF_UNIMPLEMENTED: return "UNIMPLEMENTED";
    case TF_INTERNAL: return "INTERNAL";
    case TF_UNAVAILABLE: return "UNAVAILABLE";
    case TF_DATA_LOSS: return "DATA_LOSS";
    default: return "UNKNOWN";
  }
}

inline void Check(napi_status status, const char* what) {
  if (status != napi_ok) throw Failure{std::string("the native session was given a wrong ") + what};
}

inline void Check(const Owned<TF_Status>& status) {
  const TF_Code code = TF_GetCode(status.get());
  if (code != TF_OK) throw Failure{TF_Message(status.get()), NameOf(code)};
}

inline std::string StringOf(napi_env env, napi_value value) {
  size_t length = 0;
  Check(napi_get_value_string_utf8(env, value, nullptr, 0, &length), "string");
  std::string text(length, '\0');
  Check(napi_get_value_string_utf8(env, value, &text[0], length + 1, &length), "string");
  return text;
}

inline napi_value ElementOf(napi_env env, napi_value list, uint32_t i) {
  napi_value element;
  Check(napi_get_element(env, list, i, &element), "list");
  return element;
}

inline uint32_t LengthOf(napi_env env, napi_value list) {
  uint32_t length = 0;
  Check(napi_get_array_length(env, list, &length), "list");
  return length;
}

struct Bytes {
  void* data;
  size_t size;
};

inline Bytes BytesOf(napi_env env, napi_value array) {
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

inline Session& SessionOf(napi_env env, napi_value value) {
  void* held = nullptr;
  Check(napi_get_value_external(env, value, &held), "session");
  auto& session = *static_cast<Session*>(held);
  if (session.session == nullptr) throw Failure{"the session is closed"};
  return session;
}

/** Returns "node:1" as an output of the graph. */
inline TF_Output OutputOf(const Session& session, const std::string& name) {
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

inline napi_value PropertyOf(napi_env env, napi_value object, const char* name) {
  napi_value value;
  Check(napi_get_named_property(env, object, name, &value), name);
  return value;
}

inline std::vector<int64_t> IntegersOf(napi_env env, napi_value list) {
  std::vector<int64_t> values(LengthOf(env, list));
  for (uint32_t i = 0; i < values.size(); i++)
    Check(napi_get_value_int64(env, ElementOf(env, list, i), &values[i]), "list of integers");
  return values;
}

inline int64_t IntegerOf(napi_env env, napi_value value) {
  int64_t integer = 0;
  Check(napi_get_value_int64(env, value, &integer), "integer");
  return integer;
}

inline bool IsList(napi_env env, napi_value value) {
  bool list = false;
  Check(napi_is_array(env, value, &list), "value");
  return list;
}
