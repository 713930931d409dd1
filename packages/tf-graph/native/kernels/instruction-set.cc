// The kernels for one instruction set. Compiled once for each set with its flags; GRAFT_SET is its name.
#include "activation.h"
#include "attention-gradient.h"
#include "bfloat16-rate.h"
#include "cached-attention.h"
#include "causal-convolution.h"
#include "columns.h"
#include "cross-entropy.h"
#include "delta-rule-gradient.h"
#include "random.h"
#include "experts/experts.h"
#include "integers/integer-products.h"
#include "low-rank.h"
#include "norm.h"
#include "row-products.h"
#include "unpack.h"

namespace graft {
namespace {

template <typename T>
constexpr KernelsOf<T> table() {
  return {
      rmsNorm<T>,      rmsNormGradient<T>,      layerNorm<T>,            layerNormGradient<T>,     residualAdd<T>,
      activation<T>,   activationGradient<T>,   gatedProduct<T>,         gatedProductGradient<T>,  biasAdd<T>,
      scaleColumns<T>, scaleColumnsGradient<T>, dropout<T>,              attention<T>,             attentionGradient<T>,
      attentionKeyGradient<T>,                  attentionBiasGradient<T>,                          lowRankAdd<T>,
      lowRankDown<T>,  updatedNorms<T>,         crossEntropy<T>,         unpackNf4<T>,             unpackInt8<T>,
      expertSizes<T>,  expertProduct<T>,        expertGradient<T>,       deltaRule<T>,            deltaRuleGradient<T>,
      causalConvolution<T>,                     causalConvolutionGradient<T>,
  };
}

}  // namespace

#define GRAFT_JOIN(a, b) a##b
#define GRAFT_NAME(set) GRAFT_JOIN(kernels_, set)
#define GRAFT_TEXT(set) #set
#define GRAFT_STRING(set) GRAFT_TEXT(set)

extern const Kernels GRAFT_NAME(GRAFT_SET);
const Kernels GRAFT_NAME(GRAFT_SET) = {
    GRAFT_STRING(GRAFT_SET), table<float>(),   table<Bfloat16>(),  scatterRows,
    attentionScratch,        keyGradientWidth, biasGradientWidth, deltaScratch,
    bfloat16IsFast,
    {rowProduct, rowUpdates, cacheKeysAndValues, cachedAttention, cachedAttentionScratch, kBlock},
    {storedProduct<Bfloat16Matrix>, storedProduct<UnpackInt8<float>>, storedProduct<UnpackNf4<float>>, storedProductScratch},
    {roundRows, integerProduct<UnpackInt8<float>>, integerProduct<UnpackNf4<float>>, integerProductScratch},
};

}  // namespace graft
