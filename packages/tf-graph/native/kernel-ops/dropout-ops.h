#pragma once
#include "op.h"

namespace graft {

/** Checks `seed`: two numbers for each of `masks` masks; with probability 0 there is no seed. */
inline bool isSeed(const Tensor& seed, float probability, int64_t masks = 1) {
  return probability == 0 || (probability > 0 && probability < 1 && seed.NumElements() == 2 * masks);
}
inline Dropout dropoutOf(const Tensor& seed, float probability, int64_t mask = 0) {
  if (probability == 0) return {};
  return {probability, seed.flat<tensorflow::int32>().data() + 2 * mask};
}

REGISTER_OP("GraftDropout")
    .Attr("T: {float, bfloat16}")
    .Attr("probability: float")
    .Input("x: T")
    .Input("seed: int32")
    .Output("y: T")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return tensorflow::OkStatus();
    });

template <typename T>
class DropoutOp : public OpKernel {
 public:
  explicit DropoutOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("probability", &probability_)); }
  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &seed = c->input(1);
    OP_REQUIRES(c, isSeed(seed, probability_), InvalidArgument("a dropout takes a probability below 1, and a seed of two numbers"));
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({0}, 0, x.shape(), &y));
    const DropoutOf<Stored<T>> arguments{dropoutOf(seed, probability_), dataOf<T>(x), dataOf<T>(y)};
    share(c, x.NumElements(), 4, kernelsFor<T>().dropout, arguments);
  }

 private:
  float probability_;
};
GRAFT_KERNEL("GraftDropout", DropoutOp);

}  // namespace graft
