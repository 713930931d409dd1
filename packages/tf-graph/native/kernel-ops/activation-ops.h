#pragma once
#include <string>
#include <utility>

#include "op.h"

namespace graft {

/** Reads the attribute `curve`; sets an error for an unknown name. */
inline Curve curveOf(OpKernelConstruction* c) {
  static constexpr std::pair<const char*, Curve> curves[] = {
      {"relu", Curve::relu},           {"leaky_relu", Curve::leakyRelu}, {"gelu", Curve::gelu}, {"gelu_tanh", Curve::geluTanh},
      {"quick_gelu", Curve::quickGelu}, {"silu", Curve::silu},            {"tanh", Curve::tanh}, {"sigmoid", Curve::sigmoid}};
  std::string name;
  const auto status = c->GetAttr("curve", &name);
  if (!status.ok()) return c->CtxFailure(status), Curve::relu;
  for (const auto& [known, curve] : curves)
    if (name == known) return curve;
  c->CtxFailure(InvalidArgument("there is no curve called ", name));
  return Curve::relu;
}

REGISTER_OP("GraftActivation")
    .Attr("T: {float, bfloat16}")
    .Attr("curve: string")
    .Input("x: T")
    .Output("y: T")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape);

template <typename T>
class ActivationOp : public OpKernel {
 public:
  explicit ActivationOp(OpKernelConstruction* c) : OpKernel(c), curve_(curveOf(c)) {}
  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &y));
    const Activation<Stored<T>> arguments{curve_, dataOf<T>(x), dataOf<T>(y)};
    share(c, x.NumElements(), 4, kernelsFor<T>().activation, arguments);
  }

 private:
  Curve curve_;
};
GRAFT_KERNEL("GraftActivation", ActivationOp);

REGISTER_OP("GraftActivationGradient")
    .Attr("T: {float, bfloat16}")
    .Attr("curve: string")
    .Input("dy: T")
    .Input("x: T")
    .Output("dx: T")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape);

template <typename T>
class ActivationGradientOp : public OpKernel {
 public:
  explicit ActivationGradientOp(OpKernelConstruction* c) : OpKernel(c), curve_(curveOf(c)) {}
  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &x = c->input(1);
    OP_REQUIRES(c, dy.shape() == x.shape(), InvalidArgument("the shapes differ"));
    Tensor* dx = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, x.shape(), &dx));
    const ActivationGradient<Stored<T>> arguments{curve_, dataOf<T>(dy), dataOf<T>(x), dataOf<T>(dx)};
    share(c, x.NumElements(), 6, kernelsFor<T>().activationGradient, arguments);
  }

 private:
  Curve curve_;
};
GRAFT_KERNEL("GraftActivationGradient", ActivationGradientOp);

/** Gate and up as two matrices, or as the halves of a matrix's columns. */
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
  if (!areMatrices(parts)) return false;
  return parts.size() == 1 ? parts[0].dim_size(1) % 2 == 0 : parts.size() == 2 && parts[0].shape() == parts[1].shape();
}

REGISTER_OP("GraftGatedProduct")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Attr("curve: string")
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
class GatedProductOp : public OpKernel {
 public:
  explicit GatedProductOp(OpKernelConstruction* c) : OpKernel(c), curve_(curveOf(c)) {}
  void Compute(OpKernelContext* c) override {
    OpInputList parts;
    OP_REQUIRES_OK(c, c->input_list("parts", &parts));
    OP_REQUIRES(c, areGateAndUp(parts), InvalidArgument("gate and up must be two like matrices or one of even width"));
    const GateAndUp<T> in(parts);
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, TensorShape({in.rows, in.width}), &y));
    const GatedProduct<Stored<T>> arguments{curve_, in.width, in.stride, in.gate, in.up, dataOf<T>(y)};
    share(c, in.rows, in.width * 4, kernelsFor<T>().gatedProduct, arguments);
  }

 private:
  Curve curve_;
};
GRAFT_KERNEL("GraftGatedProduct", GatedProductOp);

REGISTER_OP("GraftGatedProductGradient")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int")
    .Attr("curve: string")
    .Input("dy: T")
    .Input("parts: count * T")
    .Output("gradients: count * T")
    .SetShapeFn([](InferenceContext* c) {
      for (int i = 1; i < c->num_inputs(); i++) c->set_output(i - 1, c->input(i));
      return tensorflow::OkStatus();
    });

template <typename T>
class GatedProductGradientOp : public OpKernel {
 public:
  explicit GatedProductGradientOp(OpKernelConstruction* c) : OpKernel(c), curve_(curveOf(c)) {}
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
    const GatedProductGradient<Stored<T>> arguments{
        curve_, in.width, in.stride, dataOf<T>(dy), in.gate, in.up, dGate, out.size() == 1 ? dGate + in.width : dataOf<T>(out[1])};
    share(c, in.rows, in.width * 6, kernelsFor<T>().gatedProductGradient, arguments);
  }

 private:
  Curve curve_;
};
GRAFT_KERNEL("GraftGatedProductGradient", GatedProductGradientOp);

}  // namespace graft
