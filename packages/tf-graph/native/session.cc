// Sessions whose graph can grow while they hold their variables. tfjs-node's addon runs saved models only, whose graph is
// fixed: with it, a function added to a program would cost loading every weight again. compile-addon.mjs renames tfjs-node's
// entry point, so that this one can call it and add these functions to what it exports:
//
//   createSession(): Session
//   addNode(session, op, name, inputs: (string | string[])[], attributes): { dtype, shape }[]
//                                                                     what TensorFlow infers of the node's outputs
//   opDefinition(op): Uint8Array                                      an OpDef (op_def.proto)
//   createFeed(dtype, shape: number[], data: TypedArray): Feed        a tensor with a copy of the data
//   deleteFeed(feed)                                                  at once, not when it is collected
//   runSession(session, names: string[], feeds: Feed[], fetches: string[]): { dtype, shape, data: ArrayBuffer }[]
//   closeSession(session)                                             frees the variables
//
// Names are "node:output", dtypes TensorFlow's numbers. Of a shape, -1 is an unknown size; the shape is null when not even its
// rank is known. Everything runs on the calling thread.
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
  void operator()(TF_Buffer* buffer) const { TF_DeleteBuffer(buffer); }
  void operator()(TF_Graph* graph) const { TF_DeleteGraph(graph); }
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

napi_value PropertyOf(napi_env env, napi_value object, const char* name) {
  napi_value value;
  Check(napi_get_named_property(env, object, name, &value), name);
  return value;
}

std::vector<int64_t> IntegersOf(napi_env env, napi_value list) {
  std::vector<int64_t> values(LengthOf(env, list));
  for (uint32_t i = 0; i < values.size(); i++)
    Check(napi_get_value_int64(env, ElementOf(env, list, i), &values[i]), "list of integers");
  return values;
}

int64_t IntegerOf(napi_env env, napi_value value) {
  int64_t integer = 0;
  Check(napi_get_value_int64(env, value, &integer), "integer");
  return integer;
}

bool IsList(napi_env env, napi_value value) {
  bool list = false;
  Check(napi_is_array(env, value, &list), "value");
  return list;
}

/** `{ dtype, shape, content: Uint8Array }` */
Owned<TF_Tensor> ConstantOf(napi_env env, napi_value value) {
  const auto shape = IntegersOf(env, PropertyOf(env, value, "shape"));
  const auto dtype = static_cast<TF_DataType>(IntegerOf(env, PropertyOf(env, value, "dtype")));
  const Bytes bytes = BytesOf(env, PropertyOf(env, value, "content"));
  Owned<TF_Tensor> tensor(TF_AllocateTensor(dtype, shape.data(), shape.size(), bytes.size));
  if (bytes.size > 0) std::memcpy(TF_TensorData(tensor.get()), bytes.data, bytes.size);
  return tensor;
}

/** `{ name, tensor }`, or `{ name, type, value }` with a TF_AttrType and a value or a list of values. */
void SetAttribute(napi_env env, TF_OperationDescription* node, napi_value attribute) {
  const std::string text = StringOf(env, PropertyOf(env, attribute, "name"));
  const char* name = text.c_str();
  bool constant = false;
  Check(napi_has_named_property(env, attribute, "tensor", &constant), "attribute");
  if (constant) {
    Owned<TF_Status> status(TF_NewStatus());
    TF_SetAttrTensor(node, name, ConstantOf(env, PropertyOf(env, attribute, "tensor")).get(), status.get());
    return Check(status);
  }
  const napi_value value = PropertyOf(env, attribute, "value");
  switch (IntegerOf(env, PropertyOf(env, attribute, "type"))) {
    case TF_ATTR_STRING: {
      const std::string string = StringOf(env, value);
      return TF_SetAttrString(node, name, string.data(), string.size());
    }
    case TF_ATTR_INT: {
      if (!IsList(env, value)) return TF_SetAttrInt(node, name, IntegerOf(env, value));
      const auto list = IntegersOf(env, value);
      return TF_SetAttrIntList(node, name, list.data(), list.size());
    }
    case TF_ATTR_FLOAT: {
      double number = 0;
      Check(napi_get_value_double(env, value, &number), "number");
      return TF_SetAttrFloat(node, name, number);
    }
    case TF_ATTR_BOOL: {
      bool flag = false;
      Check(napi_get_value_bool(env, value, &flag), "flag");
      return TF_SetAttrBool(node, name, flag);
    }
    case TF_ATTR_TYPE:
      return TF_SetAttrType(node, name, static_cast<TF_DataType>(IntegerOf(env, value)));
    case TF_ATTR_SHAPE: {
      const auto shape = IntegersOf(env, value);
      return TF_SetAttrShape(node, name, shape.data(), shape.size());
    }
    default:
      throw Failure{"the attribute " + text + " is of an unknown type"};
  }
}

std::vector<TF_Output> OutputsOf(napi_env env, const Session& session, napi_value list) {
  std::vector<TF_Output> outputs;
  for (uint32_t i = 0; i < LengthOf(env, list); i++)
    outputs.push_back(OutputOf(session, StringOf(env, ElementOf(env, list, i))));
  return outputs;
}

/** What TensorFlow infers of an output. */
napi_value InferredOf(napi_env env, TF_Graph* graph, TF_Output output) {
  Owned<TF_Status> status(TF_NewStatus());
  const int rank = TF_GraphGetTensorNumDims(graph, output, status.get());
  Check(status);
  napi_value result, dtype, shape;
  Check(napi_create_object(env, &result), "result");
  Check(napi_create_int32(env, TF_OperationOutputType(output), &dtype), "result");
  if (rank < 0) {
    Check(napi_get_null(env, &shape), "result");
  } else {
    std::vector<int64_t> sizes(rank);
    TF_GraphGetTensorShape(graph, output, sizes.data(), rank, status.get());
    Check(status);
    Check(napi_create_array_with_length(env, rank, &shape), "result");
    for (int i = 0; i < rank; i++) {
      napi_value size;
      Check(napi_create_int64(env, sizes[i], &size), "result");
      Check(napi_set_element(env, shape, i, size), "result");
    }
  }
  Check(napi_set_named_property(env, result, "dtype", dtype), "result");
  Check(napi_set_named_property(env, result, "shape", shape), "result");
  return result;
}

void AddNode(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<5>(env, info);
  const Session& session = SessionOf(env, arguments[0]);
  const std::string op = StringOf(env, arguments[1]);
  const std::string name = StringOf(env, arguments[2]);
  TF_OperationDescription* node = TF_NewOperation(session.graph, op.c_str(), name.c_str());
  for (uint32_t i = 0; i < LengthOf(env, arguments[3]); i++) {
    const napi_value input = ElementOf(env, arguments[3], i);
    if (IsList(env, input)) {
      const auto outputs = OutputsOf(env, session, input);
      TF_AddInputList(node, outputs.data(), outputs.size());
      continue;
    }
    const std::string reference = StringOf(env, input);
    if (reference[0] == '^')
      TF_AddControlInput(node, OutputOf(session, reference.substr(1) + ":0").oper);
    else
      TF_AddInput(node, OutputOf(session, reference));
  }
  for (uint32_t i = 0; i < LengthOf(env, arguments[4]); i++) SetAttribute(env, node, ElementOf(env, arguments[4], i));
  Owned<TF_Status> status(TF_NewStatus());
  TF_Operation* operation = TF_FinishOperation(node, status.get());
  Check(status);
  const int count = TF_OperationNumOutputs(operation);
  Check(napi_create_array_with_length(env, count, result), "result");
  for (int i = 0; i < count; i++)
    Check(napi_set_element(env, *result, i, InferredOf(env, session.graph, {operation, i})), "result");
}

void OpDefinition(napi_env env, napi_callback_info info, napi_value* result) {
  const std::string op = StringOf(env, ArgumentsOf<1>(env, info)[0]);
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_Graph> graph(TF_NewGraph());
  Owned<TF_Buffer> buffer(TF_NewBuffer());
  TF_GraphGetOpDef(graph.get(), op.c_str(), buffer.get(), status.get());
  Check(status);
  void* copy = nullptr;
  napi_value bytes;
  Check(napi_create_arraybuffer(env, buffer->length, &copy, &bytes), "result");
  std::memcpy(copy, buffer->data, buffer->length);
  Check(napi_create_typedarray(env, napi_uint8_array, buffer->length, bytes, 0, result), "result");
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
  const auto dtype = static_cast<TF_DataType>(IntegerOf(env, arguments[0]));
  const auto shape = IntegersOf(env, arguments[1]);
  size_t size = TF_DataTypeSize(dtype);
  for (const int64_t length : shape) size *= length;
  const Bytes bytes = BytesOf(env, arguments[2]);
  if (bytes.size != size) throw Failure{"a fed array has another size than its shape"};
  Feed tensor(TF_AllocateTensor(dtype, shape.data(), shape.size(), size));
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
  Export(env, exports, "addNode", Call<AddNode>);
  Export(env, exports, "opDefinition", Call<OpDefinition>);
  Export(env, exports, "createFeed", Call<CreateFeed>);
  Export(env, exports, "deleteFeed", Call<DeleteFeed>);
  Export(env, exports, "runSession", Call<Run>);
  Export(env, exports, "closeSession", Call<Close>);
  return exports;
}
