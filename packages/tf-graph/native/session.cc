// Sessions whose graph can grow while they hold their variables. tfjs-node's addon only runs saved models, whose graph is fixed: with it,
// adding a function to a program would require loading every weight again. compile-addon.mjs renames tfjs-node's entry point, so that
// this one can call it and add these functions to its exports:
//
//   createSession(): Session
//   addNode(session, op, name, inputs: (string | string[])[], attributes): { dtype, shape }[]
//                                                                     types and shapes that TensorFlow infers for the outputs
//   opDefinition(op): Uint8Array                                      an OpDef (op_def.proto)
//   createFeed(dtype, shape: number[], data: TypedArray): Feed        a tensor with a copy of the data
//   openFeed(dtype, shape): { feed, memory: ArrayBuffer }              a tensor of zeros, and its memory, which takes none of the
//                                                                     machine's until it is written
//   sealFeed(memory)                                                  detaches the memory; before the feed is passed to a run or deleted
//   deleteFeed(feed)                                                  immediately, without waiting for garbage collection
//   runSession(session, names: string[], feeds: Feed[], fetches: string[], inCaller: boolean, into: ArrayBufferView | null):
//     { dtype, shape, data: ArrayBuffer }[]
//                                                                     inCaller: nodes run one by one in the calling thread, whose ops
//                                                                     may still share their work
//                                                                     into: receives the data of the only result, which then has none
//   traceSession(session, names, feeds, fetches, options: Uint8Array): ArrayBuffer
//                                                                     a run with RunOptions; returns its RunMetadata
//   prepareSession(session, names, feeds, fetches): Promise<void>      a run in another thread, which lets TensorFlow prepare it.
//                                                                     Never rejects; takes ownership of the feeds
//   closeSession(session)                                             frees the variables; not while prepareSession is running
//   loadKernels(): string, useKernels(set)                            load-kernels.cc
//   releaseMemory()                                                   release-memory.cc
//   roundToBfloat16(values: Float32Array, out: Uint16Array)           round-values.cc
//
// Names are "node:output", dtypes are TensorFlow's numbers. In a shape, -1 is an unknown size; the shape is null if even its rank is
// unknown. Everything except prepareSession runs on the calling thread.
#include <cstdlib>
#include <cstring>

#include "fill-with-zeros.h"
#include "flush-denormals.h"
#include "values.h"

#undef napi_register_module_v1
extern "C" napi_value tfjs_register_module(napi_env env, napi_value exports);

// graph-nodes.cc
void AddNode(napi_env env, napi_callback_info info, napi_value* result);
void OpDefinition(napi_env env, napi_callback_info info, napi_value* result);
// while-loading.cc
extern "C" void TensorFlowIsLoaded();
// load-kernels.cc
void LoadKernels(napi_env env, napi_callback_info info, napi_value* result);
void UseKernels(napi_env env, napi_callback_info info, napi_value* result);
// round-values.cc
void RoundToBfloat16(napi_env env, napi_callback_info info, napi_value* result);
// release-memory.cc
void ReleaseMemory(napi_env env, napi_callback_info info, napi_value* result);

namespace {

/**
 * A ConfigProto: graph_options (10) { rewrite_options (10) { meta_optimizer_iterations (12): ONE } }. By default TensorFlow
 * optimizes a graph twice. The second pass took a third of the time of functions' first runs (2 s of CPU for a training step of
 * SmolLM2-135M), and did not change losses, the time of later steps or peak memory.
 *
 * Without a GPU also graph_options { place_pruned_graph (6): true }: places only the nodes of a function instead of all nodes of the
 * session, which takes half the time. With a GPU a variable might then be placed by its write, on a device where a later reader cannot be.
 */
#ifdef GRAFT_GPU
constexpr unsigned char kConfig[] = {0x52, 4, 0x52, 2, 0x60, 1};
#else
constexpr unsigned char kConfig[] = {0x52, 6, 0x30, 1, 0x52, 2, 0x60, 1};
#endif

void Create(napi_env env, napi_callback_info, napi_value* result) {
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_SessionOptions> options(TF_NewSessionOptions());
  TF_SetConfig(options.get(), kConfig, sizeof(kConfig), status.get());
  Check(status);
  TF_Graph* graph = TF_NewGraph();
  TF_Session* session = TF_NewSession(graph, options.get(), status.get());
  if (session == nullptr) TF_DeleteGraph(graph);
  Check(status);
  // A session that was never closed lives as long as the process.
  auto finalize = [](napi_env, void* data, void*) {
    auto* held = static_cast<Session*>(data);
    if (held->session == nullptr) delete held;
  };
  Check(napi_create_external(env, new Session{graph, session, 0}, finalize, nullptr, result), "session");
}

/** A tensor that JavaScript holds; null once deleted. */
using Feed = Owned<TF_Tensor>;

Feed& FeedOf(napi_env env, napi_value value) {
  void* held = nullptr;
  Check(napi_get_value_external(env, value, &held), "feed");
  return *static_cast<Feed*>(held);
}

/** A feed of the type and shape that the first two arguments name, with undefined content. */
Feed AllocateFeed(napi_env env, napi_value dtype, napi_value shape) {
  const auto type = static_cast<TF_DataType>(IntegerOf(env, dtype));
  const auto lengths = IntegersOf(env, shape);
  size_t size = TF_DataTypeSize(type);
  for (const int64_t length : lengths) size *= length;
  return Feed(TF_AllocateTensor(type, lengths.data(), lengths.size(), size));
}

napi_value ExternalOf(napi_env env, Feed feed) {
  napi_value result;
  auto finalize = [](napi_env, void* data, void*) { delete static_cast<Feed*>(data); };
  Check(napi_create_external(env, new Feed(std::move(feed)), finalize, nullptr, &result), "feed");
  return result;
}

void CreateFeed(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<3>(env, info);
  Feed tensor = AllocateFeed(env, arguments[0], arguments[1]);
  const Bytes bytes = BytesOf(env, arguments[2]);
  const size_t size = TF_TensorByteSize(tensor.get());
  if (bytes.size != size) throw Failure{"a fed array has another size than its shape"};
  if (size > 0) std::memcpy(TF_TensorData(tensor.get()), bytes.data, size);
  *result = ExternalOf(env, std::move(tensor));
}

void OpenFeed(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<2>(env, info);
  Feed tensor = AllocateFeed(env, arguments[0], arguments[1]);
  void* data = TF_TensorData(tensor.get());
  const size_t size = TF_TensorByteSize(tensor.get());
  fillWithZeros(data, size);
  napi_value memory;
  Check(napi_create_object(env, result), "feed");
  Check(napi_create_external_arraybuffer(env, data, size, [](napi_env, void*, void*) {}, nullptr, &memory), "feed");
  Check(napi_set_named_property(env, *result, "memory", memory), "feed");
  Check(napi_set_named_property(env, *result, "feed", ExternalOf(env, std::move(tensor))), "feed");
}

void SealFeed(napi_env env, napi_callback_info info, napi_value*) {
  Check(napi_detach_arraybuffer(env, ArgumentsOf<1>(env, info)[0]), "memory");
}

void DeleteFeed(napi_env env, napi_callback_info info, napi_value*) {
  FeedOf(env, ArgumentsOf<1>(env, info)[0]).reset();
}

/** `into`: receives the data; if null, a new array does. */
napi_value ResultOf(napi_env env, const TF_Tensor* tensor, const Bytes* into = nullptr) {
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
  if (into != nullptr && (into->size < size || TF_TensorType(tensor) != TF_FLOAT))
    throw Failure{"a result does not fit into its array"};
  Check(napi_create_arraybuffer(env, into == nullptr ? size : 0, &copy, &data), "result");
  if (size > 0) std::memcpy(into == nullptr ? copy : into->data, TF_TensorData(tensor), size);
  Check(napi_set_named_property(env, result, "dtype", dtype), "result");
  Check(napi_set_named_property(env, result, "shape", shape), "result");
  Check(napi_set_named_property(env, result, "data", data), "result");
  return result;
}

/** A run of a session, with its inputs and results. */
struct OneRun {
  std::vector<TF_Output> inputs, outputs;
  std::vector<TF_Tensor*> given;
  std::vector<Owned<TF_Tensor>> fetched;
  Owned<TF_Status> status{TF_NewStatus()};

  /** Reads the arguments (session, names, feeds, fetches). */
  OneRun(napi_env env, const Session& session, const std::vector<napi_value>& arguments) {
    for (uint32_t i = 0; i < LengthOf(env, arguments[1]); i++) {
      inputs.push_back(OutputOf(session, StringOf(env, ElementOf(env, arguments[1], i))));
      given.push_back(FeedOf(env, ElementOf(env, arguments[2], i)).get());
      if (given.back() == nullptr) throw Failure{"a feed was deleted"};
    }
    for (uint32_t i = 0; i < LengthOf(env, arguments[3]); i++)
      outputs.push_back(OutputOf(session, StringOf(env, ElementOf(env, arguments[3], i))));
  }

  void in(TF_Session* session, const TF_Buffer* options = nullptr, TF_Buffer* metadata = nullptr) {
    std::vector<TF_Tensor*> taken(outputs.size(), nullptr);
    TF_SessionRun(session, options, inputs.data(), given.data(), inputs.size(), outputs.data(), taken.data(),
                  outputs.size(), nullptr, 0, metadata, status.get());
    for (TF_Tensor* tensor : taken)
      if (tensor != nullptr) fetched.emplace_back(tensor);
  }
};

/** RunOptions: inter_op_thread_pool (3): -1, no pool. */
constexpr unsigned char kInCaller[] = {0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};

void Run(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<6>(env, info);
  const Session& session = SessionOf(env, arguments[0]);
  bool inCaller = false;
  Check(napi_get_value_bool(env, arguments[4], &inCaller), "boolean");
  OneRun run(env, session, arguments);
  if (inCaller) {
    const graft::FlushDenormals flush;
    Owned<TF_Buffer> options(TF_NewBufferFromString(kInCaller, sizeof(kInCaller)));
    run.in(session.session, options.get());
  } else {
    run.in(session.session);
  }
  auto& fetched = run.fetched;
  Check(run.status);
  napi_valuetype given;
  Check(napi_typeof(env, arguments[5], &given), "result");
  Bytes into;
  const bool isGiven = given == napi_object;
  if (isGiven) into = BytesOf(env, arguments[5]);
  if (isGiven && fetched.size() != 1) throw Failure{"only a single result goes into an array"};
  Check(napi_create_array_with_length(env, fetched.size(), result), "result");
  for (uint32_t i = 0; i < fetched.size(); i++) {
    Check(napi_set_element(env, *result, i, ResultOf(env, fetched[i].get(), isGiven ? &into : nullptr)), "result");
    fetched[i].reset();
  }
}

void Trace(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<5>(env, info);
  const Session& session = SessionOf(env, arguments[0]);
  OneRun run(env, session, arguments);
  const Bytes wanted = BytesOf(env, arguments[4]);
  Owned<TF_Buffer> options(TF_NewBufferFromString(wanted.data, wanted.size));
  Owned<TF_Buffer> metadata(TF_NewBuffer());
  run.in(session.session, options.get(), metadata.get());
  Check(run.status);
  void* copy = nullptr;
  Check(napi_create_arraybuffer(env, metadata->length, &copy, result), "result");
  if (metadata->length > 0) std::memcpy(copy, metadata->data, metadata->length);
}

struct Preparation {
  Session& session;
  OneRun run;
  std::vector<Feed> feeds;
  napi_async_work work;
  napi_deferred promise;
};

void Prepare(napi_env env, napi_callback_info info, napi_value* result) {
  const auto arguments = ArgumentsOf<4>(env, info);
  Session& session = SessionOf(env, arguments[0]);
  auto preparation =
      std::unique_ptr<Preparation>(new Preparation{session, OneRun(env, session, arguments), {}, nullptr, nullptr});
  for (uint32_t i = 0; i < preparation->run.given.size(); i++)
    preparation->feeds.push_back(std::move(FeedOf(env, ElementOf(env, arguments[2], i))));
  auto execute = [](napi_env, void* data) {
    auto& own = *static_cast<Preparation*>(data);
    own.run.in(own.session.session);
  };
  auto complete = [](napi_env env, napi_status, void* data) {
    std::unique_ptr<Preparation> own(static_cast<Preparation*>(data));
    own->session.preparing--;
    napi_value nothing = nullptr;
    napi_get_undefined(env, &nothing);
    napi_resolve_deferred(env, own->promise, nothing);
    napi_delete_async_work(env, own->work);
  };
  napi_value name;
  Check(napi_create_string_utf8(env, "prepareSession", NAPI_AUTO_LENGTH, &name), "name");
  Check(napi_create_promise(env, &preparation->promise, result), "promise");
  Check(napi_create_async_work(env, nullptr, name, execute, complete, preparation.get(), &preparation->work), "work");
  Check(napi_queue_async_work(env, preparation->work), "work");
  session.preparing++;
  preparation.release();
}

void Close(napi_env env, napi_callback_info info, napi_value*) {
  Session& session = SessionOf(env, ArgumentsOf<1>(env, info)[0]);
  if (session.preparing > 0) throw Failure{"the session is being prepared"};
  Owned<TF_Status> status(TF_NewStatus());
  TF_DeleteSession(session.session, status.get());
  TF_DeleteGraph(session.graph);
  session = {nullptr, nullptr, 0};
  Check(status);
}

/**
 * TensorFlow has one allocator per GPU and process, created with the first session or context, which determines its limit. This first
 * session, which is closed at once, gives it the share of the GPU's memory that this process may use: GRAFT_GPU_MEMORY_BYTES of
 * GRAFT_GPU_TOTAL_BYTES. A ConfigProto: gpu_options (6) { per_process_gpu_memory_fraction (1): double, allow_growth (4): true }. Has no
 * effect without a GPU.
 */
void LimitGpuMemory() {
  const char* limit = std::getenv("GRAFT_GPU_MEMORY_BYTES");
  const char* total = std::getenv("GRAFT_GPU_TOTAL_BYTES");
  if (limit == nullptr || total == nullptr || *limit == '\0' || *total == '\0') return;
  const double fraction = std::atof(limit) / std::atof(total);
  // Above 1 TensorFlow would use memory of the host as GPU memory.
  if (!(fraction > 0 && fraction <= 1))
    throw Failure{"GRAFT_GPU_MEMORY_BYTES must be above 0 and at most GRAFT_GPU_TOTAL_BYTES"};
  unsigned char config[13] = {0x32, 11, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 1};
  std::memcpy(config + 3, &fraction, sizeof fraction);
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_SessionOptions> options(TF_NewSessionOptions());
  TF_SetConfig(options.get(), config, sizeof config, status.get());
  Check(status);
  Owned<TF_Graph> graph(TF_NewGraph());
  TF_Session* session = TF_NewSession(graph.get(), options.get(), status.get());
  Check(status);
  TF_DeleteSession(session, status.get());
  Check(status);
}

/** Converts failures to JavaScript errors; those of TensorFlow have its status as `code`, such as "RESOURCE_EXHAUSTED". */
template <void (*body)(napi_env, napi_callback_info, napi_value*)>
napi_value Call(napi_env env, napi_callback_info info) {
  napi_value result = nullptr;
  try {
    body(env, info, &result);
  } catch (const Failure& failure) {
    napi_throw_error(env, failure.code, failure.message.c_str());
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
  TensorFlowIsLoaded();
  try {
    LimitGpuMemory();
  } catch (const Failure& failure) {
    napi_throw_error(env, failure.code, failure.message.c_str());
    return exports;
  }
  exports = tfjs_register_module(env, exports);
  Export(env, exports, "createSession", Call<Create>);
  Export(env, exports, "addNode", Call<AddNode>);
  Export(env, exports, "opDefinition", Call<OpDefinition>);
  Export(env, exports, "createFeed", Call<CreateFeed>);
  Export(env, exports, "openFeed", Call<OpenFeed>);
  Export(env, exports, "sealFeed", Call<SealFeed>);
  Export(env, exports, "deleteFeed", Call<DeleteFeed>);
  Export(env, exports, "runSession", Call<Run>);
  Export(env, exports, "traceSession", Call<Trace>);
  Export(env, exports, "prepareSession", Call<Prepare>);
  Export(env, exports, "closeSession", Call<Close>);
  Export(env, exports, "loadKernels", Call<LoadKernels>);
  Export(env, exports, "useKernels", Call<UseKernels>);
  Export(env, exports, "releaseMemory", Call<ReleaseMemory>);
  Export(env, exports, "roundToBfloat16", Call<RoundToBfloat16>);
  return exports;
}
