#pragma once
#include "op.h"

namespace graft {

/** Gate and up as two matrices, or as the halves of one's columns. */
template <typename T>
struct GateAndUp {
  int64_t rows, width, stride;
  const Stored<T>* gate;
  const Stored<T>* up;
  explicit GateAndUp(const OpInputList& parts) {
    const bool stacked = parts.size() == 1;
    rows = parts[0].dim_size(0);
    stride = parts[0].dim_size(1);
    width = stacked ? stride / 2 : stride;
    gate = dataOf<T>(parts[0]);
    up = stacked ? gate + width : dataOf<T>(parts[1]);
  }
};

inline bool areGateAndUp(const OpInputList& parts) {
  return parts.size() == 1 ? parts[0].dim_size(1) % 2 == 0 : parts.size() == 2 && parts[0].shape() == parts[1].shape();
}

REGISTER_OP("GraftGatedSilu")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Input("parts: count * T")
    .Output("y: T")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &x));
      DimensionHandle width = c->Dim(x, 1);
      if (c->num_inputs() == 1) TF_RETURN_IF_ERROR(c->Divide(width, 2, true, &width));
      c->set_output(0, c->Matrix(c->Dim(x, 0), width));
      return tensorflow::OkStatus();
    });

template <typename T>
class GatedSiluOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    OpInputList parts;
    OP_REQUIRES_OK(c, c->input_list("parts", &parts));
    OP_REQUIRES(c, areGateAndUp(parts), InvalidArgument("gate and up must be two like matrices or one of even width"));
    const GateAndUp<T> in(parts);
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({in.rows, in.width}), &y));
    const GatedSilu<Stored<T>> arguments{in.width, in.stride, in.gate, in.up, dataOf<T>(y)};
    share(c, in.rows, in.width * 4, kernelsFor<T>().gatedSilu, arguments);
  }
};
GRAFT_KERNEL("GraftGatedSilu", GatedSiluOp);

REGISTER_OP("GraftGatedSiluGradient")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Input("dy: T")
    .Input("parts: count * T")
    .Output("gradients: count * T")
    .SetShapeFn([](InferenceContext* c) {
      for (int i = 1; i < c->num_inputs(); i++) c->set_output(i - 1, c->input(i));
      return tensorflow::OkStatus();
    });

template <typename T>
class GatedSiluGradientOp : public OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* c) override {
    OpInputList parts;
    OpOutputList gradients;
    OP_REQUIRES_OK(c, c->input_list("parts", &parts));
    OP_REQUIRES_OK(c, c->output_list("gradients", &gradients));
    OP_REQUIRES(c, areGateAndUp(parts), InvalidArgument("gate and up must be two like matrices or one of even width"));
    const GateAndUp<T> in(parts);
    const Tensor& dy = c->input(0);
    OP_REQUIRES(c, dy.NumElements() == in.rows * in.width, InvalidArgument("dy has another shape than the result"));
    std::vector<Tensor*> out(parts.size());
    for (int i = 0; i < parts.size(); i++) OP_REQUIRES_OK(c, gradients.allocate(i, parts[i].shape(), &out[i]));
    Stored<T>* dGate = dataOf<T>(out[0]);
    const GatedSiluGradient<Stored<T>> arguments{
        in.width, in.stride, dataOf<T>(dy), in.gate, in.up, dGate, out.size() == 1 ? dGate + in.width : dataOf<T>(out[1])};
    share(c, in.rows, in.width * 6, kernelsFor<T>().gatedSiluGradient, arguments);
  }
};
GRAFT_KERNEL("GraftGatedSiluGradient", GatedSiluGradientOp);

}  // namespace graft
