// Ops of gated DeltaNet layers.
#pragma once
#include "op.h"

namespace graft {

/** Runs of positions of one segment in rows of `tokens` positions; segment 0 is padding. */
struct Run {
  int64_t row, begin, end;
};
inline std::vector<Run> runsOf(const Tensor& segments, int64_t rows) {
  const int32_t* numbers = segments.flat<tensorflow::int32>().data();
  const int64_t tokens = rows > 0 ? segments.NumElements() / rows : 0;
  std::vector<Run> runs;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t at = row * tokens; at < (row + 1) * tokens;) {
      const int64_t begin = at;
      while (at < (row + 1) * tokens && numbers[at] == numbers[begin]) at++;
      if (numbers[begin] != 0) runs.push_back({row, begin, at});
    }
  return runs;
}

/** Attributes, and sizes read from the inputs. */
template <typename T>
class DeltaRuleBase : public OpKernel {
 public:
  explicit DeltaRuleBase(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("rows", &rows_));
    OP_REQUIRES_OK(c, c->GetAttr("key_heads", &keyHeads_));
    OP_REQUIRES_OK(c, c->GetAttr("value_heads", &valueHeads_));
    OP_REQUIRES(c, rows_ > 0 && keyHeads_ > 0 && valueHeads_ > 0 && valueHeads_ % keyHeads_ == 0,
                InvalidArgument("a delta rule of ", rows_, " rows, ", keyHeads_, " key heads and ", valueHeads_, " value heads"));
  }

 protected:
  /** Reads what forward and backward pass share; `at` is the index of the queries among the inputs. */
  tensorflow::Status read(OpKernelContext* c, int at, DeltaRule<Stored<T>>* a) {
    const Tensor &q = c->input(at), &k = c->input(at + 1), &v = c->input(at + 2), &decay = c->input(at + 3), &rate = c->input(at + 4);
    const Tensor& segments = c->input(at + 5);
    if (!areMatrices(q, k, v, decay, rate) || segments.dims() != 1)
      return InvalidArgument("a delta rule takes matrices, and the segment of each position");
    const int64_t N = q.dim_size(0), width = q.dim_size(1), values = v.dim_size(1);
    const TensorShape gates({N, valueHeads_});
    if (width == 0 || values == 0 || width % keyHeads_ != 0 || values % valueHeads_ != 0 || k.shape() != q.shape() ||
        v.dim_size(0) != N || decay.shape() != gates || rate.shape() != gates || segments.dim_size(0) != N || N % rows_ != 0)
      return InvalidArgument("queries ", q.shape().DebugString(), ", keys ", k.shape().DebugString(), " and values ",
                             v.shape().DebugString(), " do not fit ", keyHeads_, " key heads and ", valueHeads_, " value heads");
    a->keyHeads = keyHeads_;
    a->valueHeads = valueHeads_;
    a->keySize = width / keyHeads_;
    a->valueSize = values / valueHeads_;
    a->q = dataOf<T>(q);
    a->k = dataOf<T>(k);
    a->v = dataOf<T>(v);
    a->decay = dataOf<float>(decay);
    a->rate = dataOf<float>(rate);
    return tensorflow::OkStatus();
  }
  /** Calls body(task, memory) for each run and key head, the longest runs first. */
  template <typename Body>
  tensorflow::Status eachHead(OpKernelContext* c, const DeltaRule<Stored<T>>& a, std::vector<Run> runs, bool gradient,
                              const Body& body) {
    std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.end - a.begin > b.end - b.begin; });
    const int64_t longest = runs.empty() ? 0 : runs[0].end - runs[0].begin;
    const int64_t scratch = kernels().deltaScratch(longest, a.keySize, a.valueSize, a.group(), gradient);
    return eachTask(c, runs.size() * keyHeads_, scratch, [&](int64_t task, float* memory) {
      const Run& run = runs[task / keyHeads_];
      body(DeltaTask{run.begin, run.end, run.row, task % keyHeads_}, memory);
    });
  }

  int64_t rows_, keyHeads_, valueHeads_;
};

REGISTER_OP("GraftDeltaRule")
    .Attr("T: {float, bfloat16}")
    .Attr("rows: int")
    .Attr("key_heads: int")
    .Attr("value_heads: int")
    .Input("q: T")
    .Input("k: T")
    .Input("v: T")
    .Input("decay: float")
    .Input("rate: float")
    .Input("segments: int32")
    .Input("first: float")
    .Output("y: T")
    .Output("last: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(2));
      c->set_output(1, c->input(6));
      return tensorflow::OkStatus();
    });

/**
 * `first` (rows, valueHeads · keySize · valueSize): the states before the first positions; without rows: zeros. Positions of one segment
 * are neighbours. With states a row has one segment, which carries on from its state.
 */
template <typename T>
class DeltaRuleOp : public DeltaRuleBase<T> {
 public:
  using DeltaRuleBase<T>::DeltaRuleBase;
  void Compute(OpKernelContext* c) override {
    DeltaRule<Stored<T>> a{};
    OP_REQUIRES_OK(c, this->read(c, 0, &a));
    const Tensor& first = c->input(6);
    const std::vector<Run> runs = runsOf(c->input(5), this->rows_);
    Tensor *y = nullptr, *last = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(2).shape(), &y));
    OP_REQUIRES_OK(c, c->allocate_output(1, first.shape(), &last));
    a.y = dataOf<T>(y);
    if (first.NumElements() > 0) {
      const TensorShape states({this->rows_, a.valueHeads * a.keySize * a.valueSize});
      OP_REQUIRES(c, first.shape() == states,
                  InvalidArgument("states are ", states.DebugString(), ", not ", first.shape().DebugString()));
      for (size_t i = 1; i < runs.size(); i++)
        OP_REQUIRES(c, runs[i].row != runs[i - 1].row, InvalidArgument("row ", runs[i].row, " has a state and several segments"));
      a.first = dataOf<float>(first);
      a.last = dataOf<float>(last);
      // Rows without positions keep their states.
      if (static_cast<int64_t>(runs.size()) < this->rows_) std::memcpy(a.last, a.first, first.TotalBytes());
    }
    std::memset(a.y, 0, y->TotalBytes());
    OP_REQUIRES_OK(c, this->eachHead(c, a, runs, false, [&](const DeltaTask& task, float* memory) {
                     kernelsFor<T>().deltaRule(a, task, memory);
                   }));
  }
};
GRAFT_KERNEL("GraftDeltaRule", DeltaRuleOp);

REGISTER_OP("GraftDeltaRuleGradient")
    .Attr("T: {float, bfloat16}")
    .Attr("rows: int")
    .Attr("key_heads: int")
    .Attr("value_heads: int")
    .Input("dy: T")
    .Input("q: T")
    .Input("k: T")
    .Input("v: T")
    .Input("decay: float")
    .Input("rate: float")
    .Input("segments: int32")
    .Output("dq: T")
    .Output("dk: T")
    .Output("dv: T")
    .Output("d_decay: float")
    .Output("d_rate: float")
    .SetShapeFn([](InferenceContext* c) {
      for (int i = 0; i < 5; i++) c->set_output(i, c->input(i + 1));
      return tensorflow::OkStatus();
    });

template <typename T>
class DeltaRuleGradientOp : public DeltaRuleBase<T> {
 public:
  using DeltaRuleBase<T>::DeltaRuleBase;
  void Compute(OpKernelContext* c) override {
    DeltaRuleGradient<Stored<T>> g{};
    OP_REQUIRES_OK(c, this->read(c, 1, &g.forward));
    OP_REQUIRES(c, c->input(0).shape() == c->input(3).shape(), InvalidArgument("dy and the values differ in shape"));
    Tensor* d[5];
    for (int i = 0; i < 5; i++) {
      OP_REQUIRES_OK(c, c->allocate_output(i, c->input(i + 1).shape(), &d[i]));
      std::memset(const_cast<char*>(d[i]->tensor_data().data()), 0, d[i]->TotalBytes());
    }
    g.dy = dataOf<T>(c->input(0));
    g.dq = dataOf<T>(d[0]);
    g.dk = dataOf<T>(d[1]);
    g.dv = dataOf<T>(d[2]);
    g.dDecay = dataOf<float>(d[3]);
    g.dRate = dataOf<float>(d[4]);
    const std::vector<Run> runs = runsOf(c->input(6), this->rows_);
    OP_REQUIRES_OK(c, this->eachHead(c, g.forward, runs, true, [&](const DeltaTask& task, float* memory) {
                     kernelsFor<T>().deltaRuleGradient(g, task, memory);
                   }));
  }
};
GRAFT_KERNEL("GraftDeltaRuleGradient", DeltaRuleGradientOp);

/** Reads the inputs of a convolution; `at` is the index of x among the inputs. */
template <typename T>
tensorflow::Status readConvolution(OpKernelContext* c, int at, int64_t rows, CausalConvolution<Stored<T>>* a) {
  const Tensor &x = c->input(at), &w = c->input(at + 1), &segments = c->input(at + 2);
  if (!areMatrices(x, w) || segments.dims() != 1) return InvalidArgument("a convolution takes matrices, and the segment of each position");
  if (rows <= 0 || x.dim_size(0) % rows != 0 || segments.dim_size(0) != x.dim_size(0) || w.dim_size(0) != x.dim_size(1) ||
      w.dim_size(1) < 1 || w.dim_size(1) > kConvolutionReach)
    return InvalidArgument("inputs ", x.shape().DebugString(), ", weights ", w.shape().DebugString(), " and ", rows,
                           " rows do not fit together; a convolution reads at most ", kConvolutionReach, " positions");
  a->rows = rows;
  a->tokens = x.dim_size(0) / rows;
  a->width = x.dim_size(1);
  a->reach = w.dim_size(1);
  a->x = dataOf<T>(x);
  a->w = dataOf<float>(w);
  a->segments = segments.flat<tensorflow::int32>().data();
  return tensorflow::OkStatus();
}
/** Number of blocks of channels, and the estimated cycles for each. */
template <typename T>
int64_t blocksOf(const CausalConvolution<T>& a) { return (a.width + kConvolutionColumns - 1) / kConvolutionColumns; }
template <typename T>
int64_t costOf(const CausalConvolution<T>& a) { return a.rows * a.tokens * kConvolutionColumns * (a.reach + 4); }

REGISTER_OP("GraftCausalConvolution")
    .Attr("T: {float, bfloat16}")
    .Attr("rows: int")
    .Input("x: T")
    .Input("w: float")
    .Input("segments: int32")
    .Input("before: float")
    .Output("y: T")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return tensorflow::OkStatus();
    });

/** `before` (rows, (reach − 1) · W): the inputs before each row; without rows: none. */
template <typename T>
class CausalConvolutionOp : public OpKernel {
 public:
  explicit CausalConvolutionOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("rows", &rows_)); }
  void Compute(OpKernelContext* c) override {
    CausalConvolution<Stored<T>> a{};
    OP_REQUIRES_OK(c, readConvolution<T>(c, 0, rows_, &a));
    const Tensor& before = c->input(3);
    if (before.NumElements() > 0) {
      const TensorShape shape({rows_, (a.reach - 1) * a.width});
      OP_REQUIRES(c, before.shape() == shape,
                  InvalidArgument("earlier inputs are ", shape.DebugString(), ", not ", before.shape().DebugString()));
      a.before = dataOf<float>(before);
    }
    Tensor* y = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(0).shape(), &y));
    a.y = dataOf<T>(y);
    share(c, blocksOf(a), costOf(a), kernelsFor<T>().causalConvolution, a);
  }

 private:
  int64_t rows_;
};
GRAFT_KERNEL("GraftCausalConvolution", CausalConvolutionOp);

REGISTER_OP("GraftCausalConvolutionGradient")
    .Attr("T: {float, bfloat16}")
    .Attr("rows: int")
    .Input("dy: T")
    .Input("x: T")
    .Input("w: float")
    .Input("segments: int32")
    .Output("dx: T")
    .Output("dw: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      c->set_output(1, c->input(2));
      return tensorflow::OkStatus();
    });

template <typename T>
class CausalConvolutionGradientOp : public OpKernel {
 public:
  explicit CausalConvolutionGradientOp(OpKernelConstruction* c) : OpKernel(c) { OP_REQUIRES_OK(c, c->GetAttr("rows", &rows_)); }
  void Compute(OpKernelContext* c) override {
    CausalConvolutionGradient<Stored<T>> g{};
    OP_REQUIRES_OK(c, readConvolution<T>(c, 1, rows_, &g.forward));
    OP_REQUIRES(c, c->input(0).shape() == c->input(1).shape(), InvalidArgument("dy and x differ in shape"));
    Tensor *dx = nullptr, *dw = nullptr;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(1).shape(), &dx));
    OP_REQUIRES_OK(c, c->allocate_output(1, c->input(2).shape(), &dw));
    g.dy = dataOf<T>(c->input(0));
    g.dx = dataOf<T>(dx);
    g.dw = dataOf<float>(dw);
    share(c, blocksOf(g.forward), 3 * costOf(g.forward), kernelsFor<T>().causalConvolutionGradient, g);
  }

 private:
  int64_t rows_;
};
GRAFT_KERNEL("GraftCausalConvolutionGradient", CausalConvolutionGradientOp);

}  // namespace graft
