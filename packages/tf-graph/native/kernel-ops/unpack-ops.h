#pragma once
#include "op.h"

namespace graft {

REGISTER_OP("GraftUnpackNf4")
    .Attr("T: {float, bfloat16}")
    .Attr("shape: shape")
    .Input("packed: uint8")
    .Input("map: float")
    .Output("y: T")
    .SetShapeFn(tensorflow::shape_inference::ExplicitShape);

/**
 * The parts of `size` packed weights; y stays null. Packed layout, in this order: a number for each group, one for all, a byte for each
 * block, padded to whole groups, and the codes.
 */
template <typename T>
tensorflow::Status nf4Of(const Tensor& packed, const Tensor& map, int64_t size, UnpackNf4<T>* parts) {
  const int64_t blocks = (size + 63) / 64, groups = (blocks + 255) / 256;
  const int64_t absmax = 4 * (groups + 1), codes = absmax + 256 * groups;
  if (packed.NumElements() != codes + 32 * blocks || map.NumElements() != 256)
    return InvalidArgument("these are not the bytes of ", size, " weights");
  const uint8_t* bytes = packed.flat<tensorflow::uint8>().data();
  const float* numbers = reinterpret_cast<const float*>(bytes);
  *parts = {size, bytes + codes, bytes + absmax, numbers, dataOf<float>(map), numbers[groups], nullptr};
  return tensorflow::OkStatus();
}

template <typename T>
class UnpackNf4Op : public OpKernel {
 public:
  explicit UnpackNf4Op(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("shape", &shape_)); }
  void Compute(OpKernelContext* c) override {
    UnpackNf4<Stored<T>> arguments;
    OP_REQUIRES_OK(c, nf4Of(c->input(0), c->input(1), shape_.num_elements(), &arguments));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, shape_, &y));
    arguments.y = dataOf<T>(y);
    share(c, (arguments.size + 63) / 64, 64, kernelsFor<T>().unpackNf4, arguments);
  }

 private:
  TensorShape shape_;
};
GRAFT_KERNEL("GraftUnpackNf4", UnpackNf4Op);

REGISTER_OP("GraftUnpackInt8")
    .Attr("T: {float, bfloat16}")
    .Input("codes: int8")
    .Input("scales: float")
    .Output("y: T")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape);

/** Scales are for rows (N, 1) or for columns (1, H). */
template <typename T>
class UnpackInt8Op : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &codes = c->input(0), &scales = c->input(1);
    OP_REQUIRES(c, areMatrices(codes, scales), InvalidArgument("codes and their scales are matrices"));
    const int64_t rows = codes.dim_size(0), width = codes.dim_size(1);
    const bool ofRows = scales.dim_size(1) == 1 && scales.dim_size(0) == rows;
    OP_REQUIRES(c, ofRows || (scales.dim_size(0) == 1 && scales.dim_size(1) == width),
                InvalidArgument("there is no scale for each row or column"));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, codes.shape(), &y));
    const UnpackInt8<Stored<T>> arguments{width, ofRows, codes.flat<tensorflow::int8>().data(), dataOf<float>(scales),
                                          dataOf<T>(y)};
    share(c, rows, width, kernelsFor<T>().unpackInt8, arguments);
  }
};
GRAFT_KERNEL("GraftUnpackInt8", UnpackInt8Op);

}  // namespace graft
