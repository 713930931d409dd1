// Activation functions, alone and as the gate of a product.
#pragma once
#include "vector.h"

namespace graft {
namespace {

// Each has its value and its slope at x. The value of a NaN is a NaN.

struct Relu {
  static Vec value(Vec x) { return x < Vec{} ? Vec{} : x; }
  static Vec slope(Vec x) { return x > Vec{} ? all(1) : Vec{}; }
};

struct LeakyRelu {
  static Vec value(Vec x) { return x < Vec{} ? x * 0.01f : x; }
  static Vec slope(Vec x) { return x > Vec{} ? all(1) : all(0.01f); }
};

/** x · Φ(x). Source: Hendrycks and Gimpel 2016, arXiv:1606.08415. */
struct Gelu {
  static Vec value(Vec x) { return x * normalShare(x, density(x)); }
  static Vec slope(Vec x) {
    const Vec d = density(x);
    return normalShare(x, d) + x * d * 0.398942280f;
  }

 private:
  /** Density of the normal distribution, without its factor of 1/√(2π). */
  static Vec density(Vec x) { return exponential(x * x * -0.5f); }
  /** Φ(x) to 1e-7. Source: Abramowitz and Stegun 1964, 7.1.26, whose erf is 1 − polynomial(t) · density. */
  static Vec normalShare(Vec x, Vec density) {
    const Vec t = 1.0f / (1.0f + magnitude(x) * (0.3275911f * 0.707106781f));
    Vec p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const Vec tail = p * t * density * 0.5f;
    return x < Vec{} ? tail : 1.0f - tail;
  }
};

/** x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2, which equals x · σ of twice the argument of tanh. */
struct GeluTanh {
  static Vec value(Vec x) { return x * sigmoid(inner(x)); }
  static Vec slope(Vec x) {
    const Vec s = sigmoid(inner(x));
    // If s(1 − s) is 0, the other factors may be infinite.
    const Vec bend = s * (1.0f - s);
    return s + (bend > Vec{} ? x * bend * (kTwiceRoot + x * x * (3 * kTwiceRoot * kCube)) : Vec{});
  }

 private:
  static constexpr float kTwiceRoot = 1.59576912f, kCube = 0.044715f;
  static Vec inner(Vec x) { return x * (kTwiceRoot + x * x * (kTwiceRoot * kCube)); }
};

/** x · σ(factor · x), with the factor in thousandths. */
template <int Factor>
struct Silu {
  static Vec value(Vec x) { return x * sigmoid(x * kFactor); }
  static Vec slope(Vec x) {
    const Vec s = sigmoid(x * kFactor);
    return s + x * kFactor * s * (1.0f - s);
  }

 private:
  static constexpr float kFactor = Factor / 1000.0f;
};

struct Tanh {
  static Vec value(Vec x) { return hyperbolicTangent(x); }
  static Vec slope(Vec x) {
    const Vec t = hyperbolicTangent(x);
    return 1.0f - t * t;
  }
};

struct Sigmoid {
  static Vec value(Vec x) { return sigmoid(x); }
  static Vec slope(Vec x) {
    const Vec s = sigmoid(x);
    return s * (1.0f - s);
  }
};

/** Calls body with the type of the curve. */
template <typename Body>
inline void withCurve(Curve curve, Body body) {
  switch (curve) {
    case Curve::relu: return body(Relu{});
    case Curve::leakyRelu: return body(LeakyRelu{});
    case Curve::gelu: return body(Gelu{});
    case Curve::geluTanh: return body(GeluTanh{});
    case Curve::quickGelu: return body(Silu<1702>{});
    case Curve::silu: return body(Silu<1000>{});
    case Curve::tanh: return body(Tanh{});
    case Curve::sigmoid: return body(Sigmoid{});
  }
}

/** Elements [begin, end). */
template <typename T>
void activation(const Activation<T>& a, int64_t begin, int64_t end) {
  withCurve(a.curve, [&](auto curve) {
    byVectors(end - begin, [&](int64_t i, int64_t count) {
      store(a.y + begin + i, curve.value(load(a.x + begin + i, count)), count);
    });
  });
}

template <typename T>
void activationGradient(const ActivationGradient<T>& a, int64_t begin, int64_t end) {
  withCurve(a.curve, [&](auto curve) {
    byVectors(end - begin, [&](int64_t i, int64_t count) {
      const int64_t at = begin + i;
      store(a.dx + at, load(a.dy + at, count) * curve.slope(load(a.x + at, count)), count);
    });
  });
}

/** Rows [begin, end). */
template <typename T>
void gatedProduct(const GatedProduct<T>& a, int64_t begin, int64_t end) {
  withCurve(a.curve, [&](auto curve) {
    for (int64_t n = begin; n < end; n++) {
      const int64_t row = n * a.stride;
      T* y = a.y + n * a.width;
      byVectors(a.width, [&](int64_t i, int64_t count) {
        store(y + i, curve.value(load(a.gate + row + i, count)) * load(a.up + row + i, count), count);
      });
    }
  });
}

template <typename T>
void gatedProductGradient(const GatedProductGradient<T>& a, int64_t begin, int64_t end) {
  withCurve(a.curve, [&](auto curve) {
    for (int64_t n = begin; n < end; n++) {
      const int64_t row = n * a.stride;
      const T* dy = a.dy + n * a.width;
      byVectors(a.width, [&](int64_t i, int64_t count) {
        const Vec gate = load(a.gate + row + i, count), d = load(dy + i, count);
        store(a.dGate + row + i, d * load(a.up + row + i, count) * curve.slope(gate), count);
        store(a.dUp + row + i, d * curve.value(gate), count);
      });
    }
  });
}

}  // namespace
}  // namespace graft
