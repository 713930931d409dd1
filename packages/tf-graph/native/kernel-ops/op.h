// TensorFlow helpers that the ops of the kernels share.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "../kernels/kernels.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace graft {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::OpOutputList;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

/** Maps T to the kernels' own type for its storage. */
template <typename T>
struct StoredAs {
  using type = T;
};
template <>
struct StoredAs<tensorflow::bfloat16> {
  using type = Bfloat16;
};
template <typename T>
using Stored = typename StoredAs<T>::type;

template <typename T>
const Stored<T>* dataOf(const Tensor& tensor) {
  return reinterpret_cast<const Stored<T>*>(tensor.flat<T>().data());
}
template <typename T>
Stored<T>* dataOf(Tensor* tensor) {
  return reinterpret_cast<Stored<T>*>(tensor->flat<T>().data());
}

template <typename T>
const KernelsOf<Stored<T>>& kernelsFor();
template <>
inline const KernelsOf<float>& kernelsFor<float>() {
  return kernels().fp32;
}
template <>
inline const KernelsOf<Bfloat16>& kernelsFor<tensorflow::bfloat16>() {
  return kernels().bf16;
}

/** Checked first, because requesting the second dimension of a tensor with fewer dimensions aborts the process. */
template <typename... Tensors>
bool areMatrices(const Tensors&... tensors) {
  return ((tensors.dims() == 2) && ...);
}
inline bool areMatrices(const OpInputList& tensors) {
  for (int i = 0; i < tensors.size(); i++)
    if (tensors[i].dims() != 2) return false;
  return true;
}

/** Whether `sinks` has a number for each of an attention's heads, or none. */
inline bool areSinks(const Tensor& sinks, int64_t heads) {
  return sinks.dims() == 1 && (sinks.NumElements() == 0 || sinks.NumElements() == heads);
}

/**
 * Allocates `count` floats for the lifetime of `memory`. If memory is exhausted, the step fails with an error; `new` would end the process.
 */
inline tensorflow::Status temporary(OpKernelContext* context, int64_t count, Tensor* memory) {
  return context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({count}), memory);
}

/** Splits [0, count) over TensorFlow's own threads; `cost` is the estimated number of CPU cycles per item. */
template <typename Arguments>
void share(OpKernelContext* context, int64_t count, int64_t cost, Kernel<Arguments> kernel, const Arguments& arguments) {
  const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(threads.num_threads, threads.workers, count, cost,
                    [&](int64_t begin, int64_t end) { kernel(arguments, begin, end); });
}

/**
 * Calls body(task, memory) for each of `count` tasks, with separate memory of `scratch` floats per thread. Each thread takes the next task
 * when it finishes one: for tasks with very different sizes.
 */
template <typename Body>
tensorflow::Status eachTask(OpKernelContext* context, int64_t count, int64_t scratch, const Body& body) {
  const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
  const int64_t runners = std::min<int64_t>(threads.num_threads, count);
  // Avoids false sharing: no two threads write to one cache line.
  const int64_t stride = (scratch + 15) / 16 * 16;
  Tensor memory;
  TF_RETURN_IF_ERROR(temporary(context, runners * stride, &memory));
  float* floats = dataOf<float>(&memory);
  std::atomic<int64_t> next{0};
  tensorflow::Shard(threads.num_threads, threads.workers, runners, 100'000'000, [&](int64_t begin, int64_t end) {
    for (int64_t runner = begin; runner < end; runner++)
      for (int64_t task = next++; task < count; task = next++) body(task, floats + runner * stride);
  });
  return tensorflow::OkStatus();
}

/** Registers `Op` as the implementation of `name` for both storage types. */
#define GRAFT_KERNEL(name, Op)                                                                                        \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), Op<float>);            \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<tensorflow::bfloat16>("T"),         \
                          Op<tensorflow::bfloat16>)

}  // namespace graft
