// The torch op that runs C kernels in eager autograd: it takes function pointers, so one build serves every kernel.
//
// Forward saves the input and the parameters, nothing else; backward recomputes. Work is split over torch's threads in
// blocks that depend on the shape alone, so that sums do not depend on the number of threads.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/utils/pybind.h>

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

constexpr int64_t kGrain = 32768;   // elements that are worth a thread, as ATen has it
constexpr int64_t kBlock = 4096;    // elements of one block of sums; a multiple of 64, and the same in c_op.py
constexpr int64_t kGroups = 64;     // groups of rows of one tensor of sums

typedef void (*Value)(const void*, void*, const void* const*, int64_t);
typedef void (*Slopes)(const void*, const void*, void*, const void* const*, double*, int64_t);
typedef void (*ValueChannel)(const void*, void*, const void* const*, int64_t, int64_t, int64_t);
typedef void (*SlopesChannel)(const void*, const void*, void*, const void* const*, double*, double*, int64_t, int64_t,
                              int64_t);

// What a kernel library holds for one program and one type; made once and never freed, as the library is.
struct Kernel {
  int64_t value, slopes, value_channel, slopes_channel;
  PyObject* second;  // called with (x, gradient, *parameters) when the backward is to be differentiated
};

// How a dense tensor is read: (outer, channels, inner); channels is 0 when no parameter has a value a channel.
struct Layout {
  int64_t outer = 1, channels = 0, inner = 1;
};

const char* at_item(const Tensor& t, int64_t i) { return (const char*)t.const_data_ptr() + i * t.element_size(); }
char* at_item_mutable(const Tensor& t, int64_t i) { return (char*)t.data_ptr() + i * t.element_size(); }

// The dimension along which the parameters vary; -1 for none, -2 when a kernel does not serve the shapes.
int64_t channel_dim(const Tensor& x, const variable_list& parameters) {
  int64_t found = -1;
  for (const Tensor& p : parameters) {
    if (p.numel() == 1) continue;
    for (int64_t i = 0; i < p.dim(); i++) {
      if (p.size(i) == 1) continue;
      const int64_t d = x.dim() - p.dim() + i;
      if (p.size(i) == 0 || d < 0 || p.size(i) != x.size(d) || (found >= 0 && found != d)) return -2;
      found = d;
    }
  }
  return found;
}

Layout layout_of(const Tensor& x, int64_t dim) {
  Layout layout;
  if (dim < 0) return layout;
  layout.channels = x.size(dim);
  if (x.is_contiguous()) {
    for (int64_t i = 0; i < x.dim(); i++) (i < dim ? layout.outer : layout.inner) *= i == dim ? 1 : x.size(i);
  } else {  // channels last
    layout.outer = layout.channels ? x.numel() / layout.channels : 0;
  }
  return layout;
}

// Whether the memory of x can be read straight through, given the dimension of channels.
bool readable(const Tensor& x, int64_t dim) {
  if (x.is_contiguous()) return true;
  if (dim < 0) return x.is_non_overlapping_and_dense();
  return x.is_non_overlapping_and_dense() && x.stride(dim) == 1;
}

variable_list as_arrays(const Tensor& x, const variable_list& parameters, const Layout& layout) {
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  variable_list arrays;
  for (const Tensor& p : parameters) {
    Tensor array = p.detach().to(type).reshape({-1});
    arrays.push_back(layout.channels && p.numel() == 1 ? array.expand({layout.channels}).contiguous() : array.contiguous());
  }
  return arrays;
}

std::vector<const void*> pointers(const variable_list& arrays) {
  std::vector<const void*> result;
  for (const Tensor& array : arrays) result.push_back(array.const_data_ptr());
  return result;
}

Tensor value(const Kernel& kernel, const Tensor& x, const variable_list& parameters, const Layout& layout) {
  Tensor y = at::empty_like(x);
  const variable_list arrays = as_arrays(x, parameters, layout);
  const auto p = pointers(arrays);
  if (!layout.channels) {
    const auto run = (Value)kernel.value;
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t from, int64_t to) {
      run(at_item(x, from), at_item_mutable(y, from), p.data(), to - from);
    });
  } else {
    const auto run = (ValueChannel)kernel.value_channel;
    const int64_t row = layout.channels * layout.inner;
    at::parallel_for(0, layout.outer, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row)), [&](int64_t from, int64_t to) {
      run(at_item(x, from * row), at_item_mutable(y, from * row), p.data(), to - from, layout.channels, layout.inner);
    });
  }
  return y;
}

// Sum over the first dimension in its order, compensated (Neumaier).
Tensor summed(const Tensor& parts) {
  const int64_t n = parts.size(0), width = parts.size(1);
  Tensor total = at::zeros({width}, parts.options());
  const double* part = parts.const_data_ptr<double>();
  double* sum = total.data_ptr<double>();
  std::vector<double> rest(width, 0.0);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < width; j++) {
      const double v = part[i * width + j], s = sum[j] + v;
      if (std::isfinite(s)) rest[j] += std::abs(sum[j]) >= std::abs(v) ? (sum[j] - s) + v : (v - s) + sum[j];
      sum[j] = s;
    }
  for (int64_t j = 0; j < width; j++) sum[j] += rest[j];
  return total;
}

variable_list slopes(const Kernel& kernel, const Tensor& x, const Tensor& g, const variable_list& parameters,
                     const Layout& layout) {
  Tensor gx = at::empty_like(x);
  const variable_list arrays = as_arrays(x, parameters, layout);
  const auto p = pointers(arrays);
  const int64_t n = (int64_t)parameters.size();
  if (!n) {
    const auto run = (Slopes)kernel.slopes;
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t from, int64_t to) {
      run(at_item(x, from), at_item(g, from), at_item_mutable(gx, from), p.data(), nullptr, to - from);
    });
    return {gx};
  }
  const int64_t width = layout.channels ? layout.channels : 1;
  Tensor total;
  if (!layout.channels) {
    const auto run = (Slopes)kernel.slopes;
    const int64_t blocks = (x.numel() + kBlock - 1) / kBlock;
    Tensor parts = at::zeros({blocks, n}, at::kDouble);
    double* sums = parts.data_ptr<double>();
    at::parallel_for(0, blocks, kGrain / kBlock, [&](int64_t from, int64_t to) {
      for (int64_t b = from; b < to; b++) {
        const int64_t first = b * kBlock, count = std::min(kBlock, x.numel() - first);
        run(at_item(x, first), at_item(g, first), at_item_mutable(gx, first), p.data(), sums + b * n, count);
      }
    });
    total = summed(parts);
  } else {
    const auto run = (SlopesChannel)kernel.slopes_channel;
    const int64_t row = layout.channels * layout.inner, size = (layout.outer + kGroups - 1) / kGroups;
    const int64_t groups = size ? (layout.outer + size - 1) / size : 0;
    Tensor parts = at::zeros({groups, n * width}, at::kDouble), rests = at::zeros_like(parts);
    double *sums = parts.data_ptr<double>(), *rest = rests.data_ptr<double>();
    at::parallel_for(0, groups, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row * size)), [&](int64_t from, int64_t to) {
      for (int64_t b = from; b < to; b++) {
        const int64_t first = b * size, count = std::min(size, layout.outer - first);
        run(at_item(x, first * row), at_item(g, first * row), at_item_mutable(gx, first * row), p.data(),
            sums + b * n * width, rest + b * n * width, count, layout.channels, layout.inner);
      }
    });
    total = summed(parts.sub_(rests));
  }
  total = total.view({n, width});
  variable_list result{gx};
  for (int64_t j = 0; j < n; j++) {
    Tensor one = total[j];
    if (parameters[j].numel() == 1 && width > 1) one = summed(one.reshape({width, 1}));
    result.push_back(one.to(parameters[j].scalar_type()).view(parameters[j].sizes()));
  }
  return result;
}

variable_list second(const Kernel& kernel, const Tensor& x, const Tensor& g, const variable_list& parameters) {
  pybind11::gil_scoped_acquire gil;
  pybind11::list arguments;
  arguments.append(x);
  arguments.append(g);
  for (const Tensor& p : parameters) arguments.append(p);
  auto grads = pybind11::reinterpret_borrow<pybind11::object>(kernel.second)(*pybind11::tuple(arguments));
  return grads.cast<variable_list>();
}

struct Run : torch::autograd::Function<Run> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, at::TensorList list, int64_t kernel, int64_t dim) {
    const variable_list parameters = list.vec();
    variable_list saved{x};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["kernel"] = kernel;
    ctx->saved_data["dim"] = dim;
    const Tensor read = readable(x, dim) ? x : x.contiguous();
    return value(*(const Kernel*)kernel, read, parameters, layout_of(read, dim));
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const variable_list parameters(saved.begin() + 1, saved.end());
    const Kernel& kernel = *(const Kernel*)ctx->saved_data["kernel"].toInt();
    const int64_t dim = ctx->saved_data["dim"].toInt();
    variable_list result;
    // a batch of gradients at once (is_grads_batched) and zeros have no memory to read, others are of the other sign
    const bool memory = grads[0].has_storage() && !grads[0].is_neg() && !grads[0]._is_zerotensor();
    if (at::GradMode::is_enabled() || !memory) {
      result = second(kernel, x, grads[0], parameters);
    } else {
      const Tensor read = readable(x, dim) ? x : x.contiguous();
      Tensor g = grads[0].to(x.scalar_type());
      if (g.strides() != read.strides()) g = at::empty_like(read).copy_(g);
      result = slopes(kernel, read, g, parameters, layout_of(read, dim));
    }
    result.push_back(Tensor());
    result.push_back(Tensor());
    return result;
  }
};

int64_t make_kernel(int64_t value, int64_t slopes, int64_t value_channel, int64_t slopes_channel, pybind11::object second) {
  return (int64_t) new Kernel{value, slopes, value_channel, slopes_channel, second.release().ptr()};
}

// The function at x; None when no kernel serves these shapes.
pybind11::object run(const Tensor& x, const variable_list& parameters, int64_t kernel) {
  const int64_t dim = channel_dim(x, parameters);
  if (dim == -2) return pybind11::none();
  Tensor y;
  {
    pybind11::gil_scoped_release release;
    y = Run::apply(x, at::TensorList(parameters), kernel, dim);
  }
  return pybind11::cast(y);
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("make_kernel", &make_kernel);
  m.def("run", &run);
}
