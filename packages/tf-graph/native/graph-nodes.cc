// The graph of a session grows node by node; TensorFlow infers the shapes of each node when it is added.
#include <cstring>

#include "values.h"

namespace {

/** Creates a constant from `{ dtype, shape, content: Uint8Array }`. */
Owned<TF_Tensor> ConstantOf(napi_env env, napi_value value) {
  const auto shape = IntegersOf(env, PropertyOf(env, value, "shape"));
  const auto dtype = static_cast<TF_DataType>(IntegerOf(env, PropertyOf(env, value, "dtype")));
  const Bytes bytes = BytesOf(env, PropertyOf(env, value, "content"));
  Owned<TF_Tensor> tensor(TF_AllocateTensor(dtype, shape.data(), shape.size(), bytes.size));
  if (bytes.size > 0) std::memcpy(TF_TensorData(tensor.get()), bytes.data, bytes.size);
  return tensor;
}

/** Sets an attribute: `{ name, tensor }`, or `{ name, type, value }` with a TF_AttrType and a value or a list of values. */
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
      // To TensorFlow the device of a node is not an attribute.
      if (text == "_device") return TF_SetDevice(node, string.c_str());
      return TF_SetAttrString(node, name, string.data(), string.size());
    }
    case TF_ATTR_INT: {
      if (!IsList(env, value)) return TF_SetAttrInt(node, name, IntegerOf(env, value));
      const auto list = IntegersOf(env, value);
      return TF_SetAttrIntList(node, name, list.data(), list.size());
    }
    case TF_ATTR_FLOAT: {
      const auto numberOf = [env](napi_value value) {
        double number = 0;
        Check(napi_get_value_double(env, value, &number), "number");
        return static_cast<float>(number);
      };
      if (!IsList(env, value)) return TF_SetAttrFloat(node, name, numberOf(value));
      std::vector<float> list(LengthOf(env, value));
      for (size_t i = 0; i < list.size(); i++) list[i] = numberOf(ElementOf(env, value, i));
      return TF_SetAttrFloatList(node, name, list.data(), list.size());
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

/** Returns the type and shape that TensorFlow infers for an output. */
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

}  // namespace

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
