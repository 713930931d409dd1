#pragma once
#include "op.h"

namespace graft {

/** Shape function of ops with x (N, W) and a vector (W). */
inline tensorflow::Status sameMatrix(InferenceContext* c) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
  c->set_output(0, x);
  return tensorflow::OkStatus();
}

REGISTER_OP("GraftBiasAdd")
    .Attr("T: {float, bfloat16}")
    .Input("x: T")
    .Input("bias: float")
    .Output("y: T")
    .SetShapeFn(sameMatrix);

template <typename T>
class BiasAddOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &bias = c->input(1);
    OP_REQUIRES(c, areMatrices(x), InvalidArgument("a bias is added to a matrix"));
    const int64_t width = x.dim_size(1);
    OP_REQUIRES(c, bias.NumElements() == width, InvalidArgument("a bias of ", bias.NumElements(), " for ", width, " columns"));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    const BiasAdd<Stored<T>> arguments{width, dataOf<float>(bias), dataOf<T>(x), dataOf<T>(y)};
    share(c, x.dim_size(0), width, kernelsFor<T>().biasAdd, arguments);
  }
};
GRAFT_KERNEL("GraftBiasAdd", BiasAddOp);

REGISTER_OP("GraftScaleColumns")
    .Attr("T: {float, bfloat16}")
    .Input("x: T")
    .Input("factors: float")
    .Output("y: T")
    .SetShapeFn(sameMatrix);

template <typename T>
class ScaleColumnsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &factors = c->input(1);
    OP_REQUIRES(c, areMatrices(x), InvalidArgument("columns are scaled of a matrix"));
    const int64_t width = x.dim_size(1);
    OP_REQUIRES(c, factors.NumElements() == width, InvalidArgument(factors.NumElements(), " factors for ", width, " columns"));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &y));
    const ScaleColumns<Stored<T>> arguments{width, dataOf<float>(factors), dataOf<T>(x), dataOf<T>(y)};
    share(c, x.dim_size(0), width, kernelsFor<T>().scaleColumns, arguments);
  }
};
GRAFT_KERNEL("GraftScaleColumns", ScaleColumnsOp);

REGISTER_OP("GraftScaleColumnsGradient")
    .Attr("T: {float, bfloat16}")
    .Input("dy: T")
    .Input("x: T")
    .Input("factors: float")
    .Output("dx: T")
    .Output("d_factors: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      c->set_output(1, c->input(2));
      return tensorflow::OkStatus();
    });

template <typename T>
class ScaleColumnsGradientOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &x = c->input(1), &factors = c->input(2);
    OP_REQUIRES(c, areMatrices(x), InvalidArgument("columns are scaled of a matrix"));
    const int64_t rows = x.dim_size(0), width = x.dim_size(1);
    OP_REQUIRES(c, dy.shape() == x.shape() && factors.NumElements() == width,
                InvalidArgument("the gradient of scaled columns has other shapes than they"));
    Tensor *dx = nullptr, *dFactors = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &dx));
    OP_REQUIRES_OK(c, c->allocate_output(1, factors.shape(), &dFactors));
    const ScaleColumnsGradient<Stored<T>> arguments{rows,           width,        dataOf<T>(dy), dataOf<T>(x),
                                                    dataOf<float>(factors), dataOf<T>(dx), dataOf<float>(dFactors)};
    share(c, width, rows * 2, kernelsFor<T>().scaleColumnsGradient, arguments);
  }
};
GRAFT_KERNEL("GraftScaleColumnsGradient", ScaleColumnsGradientOp);

}  // namespace graft
