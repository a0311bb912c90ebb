// Layers of a stack of nets, for float32 on the CPU: member k's slice by member k's weights, one slice after the other.
//
// A slice stays in a core's own cache for all that a layer does with it. Matrix products are oneDNN's, through ATen: its
// small kernels use all of a CPU's vectors, of whatever maker.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/utils/pybind.h>

#ifdef CPUBLAS_BRGEMM_F32F32F32
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
typedef std::optional<Tensor> Maybe;

const float* numbers(const Tensor& t) { return t.const_data_ptr<float>(); }

// For reading slices: dense, or nothing.
Tensor dense(const Maybe& t) { return t && t->defined() ? t->contiguous() : Tensor(); }
const float* numbers_or_null(const Tensor& t) { return t.defined() ? numbers(t) : nullptr; }

// b (columns, rows) becomes the transpose of a (rows, columns), four by four numbers at a time.
void transpose(const float* a, float* b, int64_t rows, int64_t columns) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  const int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (int64_t i = 0; i < whole_rows; i += 4) {
    for (int64_t j = 0; j < whole_columns; j += 4) {
      const float* from = a + i * columns + j;
      const Four p = *(const Four*)from, q = *(const Four*)(from + columns), r = *(const Four*)(from + 2 * columns),
                 s = *(const Four*)(from + 3 * columns);
      const Four pq = __builtin_shufflevector(p, q, 0, 4, 1, 5), rs = __builtin_shufflevector(r, s, 0, 4, 1, 5);
      const Four PQ = __builtin_shufflevector(p, q, 2, 6, 3, 7), RS = __builtin_shufflevector(r, s, 2, 6, 3, 7);
      float* to = b + j * rows + i;
      *(Four*)to = __builtin_shufflevector(pq, rs, 0, 1, 4, 5);
      *(Four*)(to + rows) = __builtin_shufflevector(pq, rs, 2, 3, 6, 7);
      *(Four*)(to + 2 * rows) = __builtin_shufflevector(PQ, RS, 0, 1, 4, 5);
      *(Four*)(to + 3 * rows) = __builtin_shufflevector(PQ, RS, 2, 3, 6, 7);
    }
    for (int64_t j = whole_columns; j < columns; j++)
      for (int64_t k = i; k < i + 4; k++) b[j * rows + k] = a[k * columns + j];
  }
  for (int64_t i = whole_rows; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) b[j * rows + i] = a[i * columns + j];
}

// c (m, n) = a (m, k) b (k, n), added to what is in c where that is wanted.
void product(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c, bool add = false) {
  at::native::cpublas::brgemm(m, n, k, k, n, n, add, a, b, c);
}

// total (n) += each row of a (rows, n)
void add_rows(const float* a, float* total, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < n; j++) total[j] += a[i * n + j];
}

void no_second_derivatives() { TORCH_CHECK(!at::GradMode::is_enabled(), "a stack of layers has no second derivatives"); }

// (K, rows, in), (K, out, in) and, or not, (K, out) -> (K, rows, out)
struct Linear : torch::autograd::Function<Linear> {
  static Tensor forward(AutogradContext* ctx, const Tensor& given, const Tensor& weight, const Maybe& bias) {
    const Tensor x = given.contiguous(), w = weight.contiguous(), b = dense(bias);
    ctx->save_for_backward({x, w});
    ctx->saved_data["bias"] = b.defined();
    const int64_t rows = x.size(1), in = x.size(2), out = w.size(1);
    const Tensor y = at::empty({x.size(0), rows, out}, x.options());
    const float *px = numbers(x), *pw = numbers(w), *pb = numbers_or_null(b);
    float* py = y.data_ptr<float>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t from, int64_t to) {
      std::vector<float> columns(in * out);
      for (int64_t k = from; k < to; k++) {
        float* slice = py + k * rows * out;
        transpose(pw + k * in * out, columns.data(), out, in);
        for (int64_t i = 0; pb && i < rows; i++) std::copy_n(pb + k * out, out, slice + i * out);
        product(rows, out, in, px + k * rows * in, columns.data(), slice, pb != nullptr);
      }
    });
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    no_second_derivatives();
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1], g = grads[0].contiguous();
    const int64_t rows = x.size(1), in = x.size(2), out = w.size(1);
    const bool wants_x = ctx->needs_input_grad(0), has_bias = ctx->saved_data["bias"].toBool();
    const Tensor gx = wants_x ? at::empty_like(x) : Tensor(), gw = at::empty_like(w);
    const Tensor gb = has_bias ? at::zeros({x.size(0), out}, x.options()) : Tensor();
    const float *px = numbers(x), *pw = numbers(w), *pg = numbers(g);
    float *pgx = wants_x ? gx.data_ptr<float>() : nullptr, *pgw = gw.data_ptr<float>();
    float* pgb = has_bias ? gb.data_ptr<float>() : nullptr;
    at::parallel_for(0, x.size(0), 1, [&](int64_t from, int64_t to) {
      std::vector<float> turned(rows * out);
      for (int64_t k = from; k < to; k++) {
        const float* slice = pg + k * rows * out;
        transpose(slice, turned.data(), rows, out);
        product(out, in, rows, turned.data(), px + k * rows * in, pgw + k * in * out);
        if (pgx) product(rows, in, out, slice, pw + k * in * out, pgx + k * rows * in);
        if (pgb) add_rows(slice, pgb + k * out, rows, out);
      }
    });
    return {gx, gw, gb};
  }
};

// (K, rows, n), (K, n) and, or not, (K, n) -> (K, rows, n): each row to mean 0 and deviation 1, then scaled and shifted.
struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& given, const Tensor& weight, const Maybe& bias, double eps) {
    const Tensor x = given.contiguous(), w = weight.contiguous(), b = dense(bias);
    const int64_t rows = x.size(1), n = x.size(2);
    const Tensor y = at::empty_like(x), stats = at::empty({x.size(0), rows, 2}, x.options());
    ctx->save_for_backward({x, w, stats});
    ctx->saved_data["bias"] = b.defined();
    const float *px = numbers(x), *pw = numbers(w), *pb = numbers_or_null(b);
    float *py = y.data_ptr<float>(), *ps = stats.data_ptr<float>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t from, int64_t to) {
      for (int64_t row = from * rows; row < to * rows; row++) {
        const float *r = px + row * n, *scale = pw + row / rows * n, *shift = pb ? pb + row / rows * n : nullptr;
        float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < n; j++) sum += r[j];
        const float mean = sum / n;
#pragma omp simd reduction(+ : squares)
        for (int64_t j = 0; j < n; j++) squares += (r[j] - mean) * (r[j] - mean);
        const float factor = 1 / std::sqrt(squares / n + (float)eps);
        float* to_row = py + row * n;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) to_row[j] = (r[j] - mean) * factor * scale[j] + (shift ? shift[j] : 0);
        ps[2 * row] = mean, ps[2 * row + 1] = factor;
      }
    });
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    no_second_derivatives();
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1], &stats = saved[2], g = grads[0].contiguous();
    const int64_t rows = x.size(1), n = x.size(2);
    const bool has_bias = ctx->saved_data["bias"].toBool();
    const Tensor gx = at::empty_like(x), gw = at::zeros_like(w), gb = has_bias ? at::zeros_like(w) : Tensor();
    const float *px = numbers(x), *pw = numbers(w), *ps = numbers(stats), *pg = numbers(g);
    float *pgx = gx.data_ptr<float>(), *pgw = gw.data_ptr<float>(), *pgb = has_bias ? gb.data_ptr<float>() : nullptr;
    at::parallel_for(0, x.size(0), 1, [&](int64_t from, int64_t to) {
      for (int64_t row = from * rows; row < to * rows; row++) {
        const int64_t k = row / rows;
        const float *r = px + row * n, *up = pg + row * n, *scale = pw + k * n, mean = ps[2 * row],
                    factor = ps[2 * row + 1];
        float *of_scale = pgw + k * n, *into = pgx + row * n, sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
        for (int64_t j = 0; j < n; j++) {
          const float normal = (r[j] - mean) * factor, part = up[j] * scale[j];
          sum += part, along += part * normal;
          of_scale[j] += up[j] * normal;
        }
        sum /= n, along /= n;
#pragma omp simd
        for (int64_t j = 0; j < n; j++) into[j] = factor * (up[j] * scale[j] - sum - (r[j] - mean) * factor * along);
      }
      for (int64_t k = from; pgb && k < to; k++) add_rows(pg + k * rows * n, pgb + k * n, rows, n);
    });
    return {gx, gw, gb, Tensor()};
  }
};

Tensor linear(const Tensor& x, const Tensor& weight, const Maybe& bias) {
  pybind11::gil_scoped_release release;
  return Linear::apply(x, weight, bias);
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Maybe& bias, double eps) {
  pybind11::gil_scoped_release release;
  return LayerNorm::apply(x, weight, bias, eps);
}

}  // namespace
#endif
