// What the kernels' ops share: TensorFlow's side of them.
#pragma once

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

/** The kernels' own type for how TensorFlow stores T. */
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

/** Splits [0, count) over TensorFlow's own threads; `cost` is about how many cycles one takes. */
template <typename Arguments>
void share(OpKernelContext* context, int64_t count, int64_t cost, Kernel<Arguments> kernel, const Arguments& arguments) {
  const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(threads.num_threads, threads.workers, count, cost,
                    [&](int64_t begin, int64_t end) { kernel(arguments, begin, end); });
}

/** Each thread takes the next task when it has done one: for tasks of very different sizes. */
template <typename Body>
void eachTask(OpKernelContext* context, int64_t count, const Body& body) {
  const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
  std::atomic<int64_t> next{0};
  const int64_t runners = std::min<int64_t>(threads.num_threads, count);
  tensorflow::Shard(threads.num_threads, threads.workers, runners, 100'000'000, [&](int64_t begin, int64_t end) {
    for (int64_t runner = begin; runner < end; runner++)
      for (int64_t task = next++; task < count; task = next++) body(task);
  });
}

/** Registers `Op` as the implementation of `name` for both ways of storing. */
#define GRAFT_KERNEL(name, Op)                                                                                        \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"), Op<float>);            \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU).TypeConstraint<tensorflow::bfloat16>("T"),         \
                          Op<tensorflow::bfloat16>)

}  // namespace graft
