#pragma once
#include "op.h"

namespace graft {

/** Excludes matrices without columns, whose mean is undefined. */
inline bool isNormable(const Tensor& x) { return areMatrices(x) && x.dim_size(1) > 0; }
inline tensorflow::Status notNormable() { return InvalidArgument("a norm is of the rows of a matrix that has columns"); }

REGISTER_OP("GraftRmsNorm")
    .Attr("T: {float, bfloat16}")
    .Attr("epsilon: float")
    .Input("x: float")
    .Input("w: float")
    .Output("y: T")
    .Output("inverse: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
      c->set_output(0, x);
      c->set_output(1, c->Vector(c->Dim(x, 0)));
      return tensorflow::OkStatus();
    });

template <typename T>
class RmsNormOp : public OpKernel {
 public:
  explicit RmsNormOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("epsilon", &epsilon_)); }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &w = c->input(1);
    OP_REQUIRES(c, isNormable(x), notNormable());
    const int64_t rows = x.dim_size(0), width = x.dim_size(1);
    OP_REQUIRES(c, w.NumElements() == width, InvalidArgument("w has ", w.NumElements(), " numbers, a row of x ", width));
    Tensor *y = nullptr, *inverse = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(c, c->allocate_output(1, TensorShape({rows}), &inverse));
    const RmsNorm<Stored<T>> arguments{width,           epsilon_,       dataOf<float>(x), dataOf<float>(w),
                                       dataOf<T>(y), dataOf<float>(inverse)};
    share(c, rows, width * 2, kernelsFor<T>().rmsNorm, arguments);
  }

 private:
  float epsilon_;
};
GRAFT_KERNEL("GraftRmsNorm", RmsNormOp);

REGISTER_OP("GraftRmsNormGradient")
    .Attr("T: {float, bfloat16}")
    .Input("dy: T")
    .Input("x: float")
    .Input("w: float")
    .Input("inverse: float")
    .Output("dx: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      return tensorflow::OkStatus();
    });

template <typename T>
class RmsNormGradientOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &x = c->input(1), &w = c->input(2), &inverse = c->input(3);
    OP_REQUIRES(c, isNormable(x), notNormable());
    OP_REQUIRES(c, dy.shape() == x.shape() && inverse.NumElements() == x.dim_size(0) && w.NumElements() == x.dim_size(1),
                InvalidArgument("the gradient of a norm has other shapes than the norm"));
    Tensor* dx = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &dx));
    const RmsNormGradient<Stored<T>> arguments{x.dim_size(1),    dataOf<T>(dy),         dataOf<float>(x),
                                               dataOf<float>(w), dataOf<float>(inverse), dataOf<float>(dx)};
    share(c, x.dim_size(0), x.dim_size(1) * 3, kernelsFor<T>().rmsNormGradient, arguments);
  }
};
GRAFT_KERNEL("GraftRmsNormGradient", RmsNormGradientOp);

REGISTER_OP("GraftLayerNorm")
    .Attr("T: {float, bfloat16}")
    .Attr("epsilon: float")
    .Input("x: float")
    .Input("w: float")
    .Input("b: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("inverse: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
      c->set_output(0, x);
      for (int i = 1; i < 3; i++) c->set_output(i, c->Vector(c->Dim(x, 0)));
      return tensorflow::OkStatus();
    });

template <typename T>
class LayerNormOp : public OpKernel {
 public:
  explicit LayerNormOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("epsilon", &epsilon_)); }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &w = c->input(1), &b = c->input(2);
    OP_REQUIRES(c, isNormable(x), notNormable());
    const int64_t rows = x.dim_size(0), width = x.dim_size(1);
    OP_REQUIRES(c, w.NumElements() == width && b.NumElements() == width,
                InvalidArgument("w and b have ", w.NumElements(), " and ", b.NumElements(), " numbers, a row of x ", width));
    Tensor *y = nullptr, *mean = nullptr, *inverse = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(c, c->allocate_output(1, TensorShape({rows}), &mean));
    OP_REQUIRES_OK(c, c->allocate_output(2, TensorShape({rows}), &inverse));
    const LayerNorm<Stored<T>> arguments{width,         epsilon_,           dataOf<float>(x),      dataOf<float>(w), dataOf<float>(b),
                                         dataOf<T>(y), dataOf<float>(mean), dataOf<float>(inverse)};
    share(c, rows, width * 3, kernelsFor<T>().layerNorm, arguments);
  }

 private:
  float epsilon_;
};
GRAFT_KERNEL("GraftLayerNorm", LayerNormOp);

REGISTER_OP("GraftLayerNormGradient")
    .Attr("T: {float, bfloat16}")
    .Input("dy: T")
    .Input("x: float")
    .Input("w: float")
    .Input("mean: float")
    .Input("inverse: float")
    .Output("dx: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      return tensorflow::OkStatus();
    });

template <typename T>
class LayerNormGradientOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &x = c->input(1), &w = c->input(2), &mean = c->input(3), &inverse = c->input(4);
    OP_REQUIRES(c, isNormable(x), notNormable());
    OP_REQUIRES(c, dy.shape() == x.shape() && inverse.NumElements() == x.dim_size(0) && mean.shape() == inverse.shape() &&
                       w.NumElements() == x.dim_size(1),
                InvalidArgument("the gradient of a norm has other shapes than the norm"));
    Tensor* dx = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &dx));
    const LayerNormGradient<Stored<T>> arguments{x.dim_size(1),       dataOf<T>(dy),          dataOf<float>(x), dataOf<float>(w),
                                                 dataOf<float>(mean), dataOf<float>(inverse), dataOf<float>(dx)};
    share(c, x.dim_size(0), x.dim_size(1) * 4, kernelsFor<T>().layerNormGradient, arguments);
  }
};
GRAFT_KERNEL("GraftLayerNormGradient", LayerNormGradientOp);

REGISTER_OP("GraftResidualAdd")
    .Attr("T: {float, bfloat16}")
    .Input("stream: float")
    .Input("output: T")
    .Output("sum: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return tensorflow::OkStatus();
    });

template <typename T>
class ResidualAddOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &stream = c->input(0), &output = c->input(1);
    OP_REQUIRES(c, stream.shape() == output.shape(), InvalidArgument("the shapes differ"));
    Tensor* sum = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, stream.shape(), &sum));
    const ResidualAdd<Stored<T>> arguments{dataOf<float>(stream), dataOf<T>(output), dataOf<float>(sum)};
    share(c, stream.NumElements(), 1, kernelsFor<T>().residualAdd, arguments);
  }
};
GRAFT_KERNEL("GraftResidualAdd", ResidualAddOp);

}  // namespace graft
