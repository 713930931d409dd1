#pragma once
#include "op.h"

namespace graft {

REGISTER_OP("GraftCrossEntropy")
    .Attr("T: {float, bfloat16}")
    .Attr("with_gradient: bool")
    .Input("logits: T")
    .Input("labels: int32")
    .Input("scales: float")
    .Output("losses: float")
    .Output("correct: float")
    .Output("gradient: T")
    .SetShapeFn([](InferenceContext* c) {
      bool withGradient;
      TF_RETURN_IF_ERROR(c->GetAttr("with_gradient", &withGradient));
      ShapeHandle logits;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &logits));
      for (int i = 0; i < 2; i++) c->set_output(i, c->Vector(c->Dim(logits, 0)));
      c->set_output(2, withGradient ? logits : c->Matrix(0, c->Dim(logits, 1)));
      return tensorflow::OkStatus();
    });

template <typename T>
class CrossEntropyOp : public OpKernel {
 public:
  explicit CrossEntropyOp(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("with_gradient", &withGradient_));
  }
  void Compute(OpKernelContext* c) override {
    const Tensor &logits = c->input(0), &labels = c->input(1), &scales = c->input(2);
    OP_REQUIRES(c, areMatrices(logits) && logits.dim_size(1) > 0, InvalidArgument("logits are a matrix with a column for each class"));
    const int64_t rows = logits.dim_size(0), classes = logits.dim_size(1);
    OP_REQUIRES(c, labels.NumElements() == rows && scales.NumElements() == rows,
                InvalidArgument("there are not as many labels and scales as rows of logits"));
    Tensor *losses = nullptr, *correct = nullptr, *gradient = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows}), &losses));
    OP_REQUIRES_OK(c, c->allocate_output(1, TensorShape({rows}), &correct));
    if (withGradient_)
      OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 2, logits.shape(), &gradient));
    else
      OP_REQUIRES_OK(c, c->allocate_output(2, TensorShape({0, classes}), &gradient));
    const CrossEntropy<Stored<T>> arguments{classes,
                                            dataOf<T>(logits),
                                            labels.flat<tensorflow::int32>().data(),
                                            dataOf<float>(scales),
                                            dataOf<float>(losses),
                                            dataOf<float>(correct),
                                            withGradient_ ? dataOf<T>(gradient) : nullptr};
    share(c, rows, classes * 8, kernelsFor<T>().crossEntropy, arguments);
  }

 private:
  bool withGradient_;
};
GRAFT_KERNEL("GraftCrossEntropy", CrossEntropyOp);

REGISTER_OP("GraftScatterRows")
    .Input("values: float")
    .Input("index: int32")
    .Input("like: float")
    .Output("out: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle values, like;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &values));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 2, &like));
      c->set_output(0, c->Matrix(c->Dim(like, 0), c->Dim(values, 1)));
      return tensorflow::OkStatus();
    });

/** The output has as many rows as `like`. */
class ScatterRowsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    const Tensor &values = c->input(0), &index = c->input(1);
    OP_REQUIRES(c, areMatrices(values, c->input(2)), InvalidArgument("rows are scattered from a matrix into a matrix"));
    const int64_t count = values.dim_size(0), width = values.dim_size(1), rows = c->input(2).dim_size(0);
    const int32_t* at = index.flat<tensorflow::int32>().data();
    OP_REQUIRES(c, index.NumElements() == count, InvalidArgument("there are not as many indices as rows"));
    for (int64_t k = 0; k < count; k++)
      OP_REQUIRES(c, at[k] >= 0 && at[k] < rows, InvalidArgument("index ", at[k], " is not below ", rows));
    Tensor* out = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({rows, width}), &out));
    const ScatterRows arguments{count, rows, width, dataOf<float>(values), at, dataOf<float>(out)};
    share(c, width, count + rows, kernels().scatterRows, arguments);
  }
};
REGISTER_KERNEL_BUILDER(Name("GraftScatterRows").Device(tensorflow::DEVICE_CPU), ScatterRowsOp);

}  // namespace graft
