// The torch op that runs C kernels in eager autograd: it takes function pointers, so one build serves every kernel.
//
// Forward saves the input and the parameters, nothing else; backward recomputes. Work is split over torch's threads in
// blocks that depend on the shape alone, so that sums do not depend on the number of threads.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

constexpr int64_t kGrain = 32768;   // elements that are worth a thread, as ATen has it
constexpr int64_t kBlock = 4096;    // elements of one block of sums; a multiple of 64, and the same in c_op.py
constexpr int64_t kGroups = 64;     // groups of rows of one tensor of sums, at most
constexpr int64_t kRows = 4;        // rows of a group, at least

typedef void (*Value)(const void*, void*, const void* const*, int64_t);
typedef void (*Slopes)(const void*, const void*, void*, const void* const*, double*, int64_t);
typedef void (*ValueChannel)(const void*, void*, const void* const*, int64_t, int64_t, int64_t);
typedef void (*SlopesChannel)(const void*, const void*, void*, const void* const*, double*, double*, int64_t, int64_t,
                              int64_t);

// Addresses of the loops for one type; 0 where they have not been built.
struct Loops {
  int64_t value = 0, slopes = 0;
};

// What runs one program; made once and never freed, as libraries are.
struct Kernel {
  Loops loops[3][2];  // by slot; for parameters of one number each, and of a number a channel
  size_t n_parameters;
  PyObject* second;   // called with (x, gradient, *parameters) when the backward is to be differentiated
};

int slot(at::ScalarType type) {
  return type == at::kFloat ? 0 : type == at::kDouble ? 1 : type == at::kBFloat16 ? 2 : -1;
}

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
    if (p.dim() > x.dim()) return -2;
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

Tensor empty_as(const Tensor& x) { return at::detail::empty_strided_cpu(x.sizes(), x.strides(), x.scalar_type()); }

variable_list as_arrays(const Tensor& x, const variable_list& parameters, const Layout& layout) {
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  variable_list arrays;
  arrays.reserve(parameters.size());
  for (const Tensor& p : parameters) {
    const bool repeated = layout.channels && p.numel() == 1;
    if (p.scalar_type() == type && p.is_contiguous() && !repeated) {
      arrays.push_back(p);
    } else {
      Tensor array = p.detach().to(type).reshape({-1});
      arrays.push_back(repeated ? array.expand({layout.channels}).contiguous() : array.contiguous());
    }
  }
  return arrays;
}

std::vector<const void*> pointers(const variable_list& arrays) {
  std::vector<const void*> result;
  for (const Tensor& array : arrays) result.push_back(array.const_data_ptr());
  return result;
}

void value(const Loops& loops, const Tensor& x, const Tensor& y, const variable_list& parameters, const Layout& layout) {
  const variable_list arrays = as_arrays(x, parameters, layout);
  const auto p = pointers(arrays);
  if (!layout.channels) {
    const auto run = (Value)loops.value;
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t from, int64_t to) {
      run(at_item(x, from), at_item_mutable(y, from), p.data(), to - from);
    });
  } else {
    const auto run = (ValueChannel)loops.value;
    const int64_t row = layout.channels * layout.inner;
    at::parallel_for(0, layout.outer, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row)), [&](int64_t from, int64_t to) {
      run(at_item(x, from * row), at_item_mutable(y, from * row), p.data(), to - from, layout.channels, layout.inner);
    });
  }
}

// Sums of the columns of n rows, in the rows' order, compensated (Neumaier).
std::vector<double> summed(std::vector<double> parts, int64_t width) {
  if ((int64_t)parts.size() == width) return parts;
  std::vector<double> sum(width, 0.0), rest(width, 0.0);
  for (auto row = parts.begin(); row != parts.end(); row += width) {
    for (int64_t j = 0; j < width; j++) {
      const double v = row[j], s = sum[j] + v;
      if (std::isfinite(s)) rest[j] += std::abs(sum[j]) >= std::abs(v) ? (sum[j] - s) + v : (v - s) + sum[j];
      sum[j] = s;
    }
  }
  for (int64_t j = 0; j < width; j++) sum[j] += rest[j];
  return sum;
}

// The numbers from the first on, as a tensor like p.
Tensor gradient_of(const Tensor& p, const double* first) {
  if (p.scalar_type() == at::kFloat) {
    Tensor result = at::detail::empty_cpu(p.sizes(), at::kFloat);
    std::copy(first, first + p.numel(), result.data_ptr<float>());
    return result;
  }
  Tensor result = at::detail::empty_cpu(p.sizes(), at::kDouble);
  std::copy(first, first + p.numel(), result.data_ptr<double>());
  return result.to(p.scalar_type());
}

// Rows of a group, which a kernel adds up by itself: enough of them to be worth a thread and looking up parameters.
int64_t rows_of_group(int64_t outer, int64_t row) {
  const int64_t worth = row ? (kGrain + row - 1) / row : 1;
  return std::max({(outer + kGroups - 1) / kGroups, worth, std::min<int64_t>(outer, kRows)});
}

// Writes the gradient in x into gx, and returns those of the parameters.
variable_list slopes(const Loops& loops, const Tensor& x, const Tensor& g, const Tensor& gx,
                     const variable_list& parameters, const Layout& layout) {
  const variable_list arrays = as_arrays(x, parameters, layout);
  const auto p = pointers(arrays);
  const int64_t n = (int64_t)parameters.size();
  if (!n) {
    const auto run = (Slopes)loops.slopes;
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t from, int64_t to) {
      run(at_item(x, from), at_item(g, from), at_item_mutable(gx, from), p.data(), nullptr, to - from);
    });
    return {};
  }
  const int64_t width = layout.channels ? layout.channels : 1;
  std::vector<double> parts;
  if (!layout.channels) {
    const auto run = (Slopes)loops.slopes;
    const int64_t blocks = (x.numel() + kBlock - 1) / kBlock;
    parts.resize(blocks * n);
    at::parallel_for(0, blocks, kGrain / kBlock, [&](int64_t from, int64_t to) {
      for (int64_t b = from; b < to; b++) {
        const int64_t first = b * kBlock, count = std::min(kBlock, x.numel() - first);
        run(at_item(x, first), at_item(g, first), at_item_mutable(gx, first), p.data(), parts.data() + b * n, count);
      }
    });
  } else {
    const auto run = (SlopesChannel)loops.slopes;
    const int64_t row = layout.channels * layout.inner, size = rows_of_group(layout.outer, row);
    const int64_t groups = size ? (layout.outer + size - 1) / size : 0;
    parts.resize(groups * n * width);
    // what compensation keeps, for float64 alone: memory is dear where every element is a channel
    std::vector<double> rests(x.scalar_type() == at::kDouble ? parts.size() : 0);
    at::parallel_for(0, groups, 1, [&](int64_t from, int64_t to) {
      for (int64_t b = from; b < to; b++) {
        const int64_t first = b * size, count = std::min(size, layout.outer - first);
        run(at_item(x, first * row), at_item(g, first * row), at_item_mutable(gx, first * row), p.data(),
            parts.data() + b * n * width, rests.empty() ? nullptr : rests.data() + b * n * width, count,
            layout.channels, layout.inner);
      }
    });
    for (size_t i = 0; i < rests.size(); i++) parts[i] -= rests[i];
  }
  const std::vector<double> total = summed(std::move(parts), n * width);
  variable_list result;
  for (int64_t j = 0; j < n; j++) {
    const double* first = total.data() + j * width;
    const bool whole = parameters[j].numel() == 1 && width > 1;
    result.push_back(gradient_of(parameters[j], whole ? summed({first, first + width}, 1).data() : first));
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

// The gradient with the type and the memory of x.
Tensor like(const Tensor& x, const Tensor& gradient) {
  const Tensor g = gradient.to(x.scalar_type());
  // what is negative, or zero, by a mark has other numbers in its memory, or no memory
  const bool marked = g.is_neg() || g._is_zerotensor();
  return marked || g.strides() != x.strides() ? at::empty_like(x).copy_(g) : g;
}

struct Run : torch::autograd::Function<Run> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, at::TensorList list, int64_t kernel, int64_t dim) {
    const variable_list parameters = list.vec();
    variable_list saved{x};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["kernel"] = kernel;
    ctx->saved_data["dim"] = dim;
    return direct(*(const Kernel*)kernel, x, parameters, dim);
  }

  static Tensor direct(const Kernel& kernel, const Tensor& x, const variable_list& parameters, int64_t dim) {
    const Tensor read = readable(x, dim) ? x : x.contiguous();
    Tensor y = empty_as(read);
    value(kernel.loops[slot(x.scalar_type())][dim >= 0], read, y, parameters, layout_of(read, dim));
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const variable_list parameters(saved.begin() + 1, saved.end());
    const Kernel& kernel = *(const Kernel*)ctx->saved_data["kernel"].toInt();
    const int64_t dim = ctx->saved_data["dim"].toInt();
    variable_list result;
    // a batch of gradients at once (is_grads_batched) has no memory of its own to read
    const bool batched = !grads[0].has_storage();
    if (at::GradMode::is_enabled() || batched) {
      result = second(kernel, x, grads[0], parameters);
    } else {
      const Tensor read = readable(x, dim) ? x : x.contiguous();
      const Tensor gx = empty_as(read);
      result = slopes(kernel.loops[slot(x.scalar_type())][dim >= 0], read, like(read, grads[0]), gx, parameters,
                      layout_of(read, dim));
      result.insert(result.begin(), gx);
    }
    result.push_back(Tensor());
    result.push_back(Tensor());
    return result;
  }
};

// Many kernels at once: each has a slice of one stack, whose first dimension counts slices. The others are zero.
struct RunSlices : torch::autograd::Function<RunSlices> {
  typedef std::vector<int64_t> Numbers;

  // For the slice numbers[i] serves kernels[i], with the next counts[i] of the parameters.
  static Tensor forward(AutogradContext* ctx, const Tensor& stack, at::TensorList list, const Numbers& numbers,
                        const Numbers& kernels, const Numbers& counts) {
    const Tensor x = stack.contiguous();
    variable_list saved{x};
    saved.insert(saved.end(), list.begin(), list.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["numbers"] = numbers;
    ctx->saved_data["kernels"] = kernels;
    ctx->saved_data["counts"] = counts;
    Tensor y = empty_as(x);
    each(x, y, list.begin(), numbers, kernels, counts,
         [&](const Loops& loops, const Tensor& part, const Tensor& into, const variable_list& own, const Layout& layout,
             int64_t) { value(loops, part, into, own, layout); });
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a stack of activations has no second derivatives");
    const variable_list saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor g = like(x, grads[0]), gx = empty_as(x);
    variable_list result{gx};
    each(x, gx, saved.data() + 1, ctx->saved_data["numbers"].toIntVector(), ctx->saved_data["kernels"].toIntVector(),
         ctx->saved_data["counts"].toIntVector(),
         [&](const Loops& loops, const Tensor& part, const Tensor& into, const variable_list& own, const Layout& layout,
             int64_t number) {
           for (Tensor& found : slopes(loops, part, g.select(0, number), into, own, layout))
             result.push_back(std::move(found));
         });
    result.insert(result.end(), 3, Tensor());
    return result;
  }

  template <class Parameters, class Call>
  static void each(const Tensor& x, const Tensor& y, Parameters first, const Numbers& numbers, const Numbers& kernels,
                   const Numbers& counts, const Call& call) {
    std::vector<bool> is_served(x.size(0));
    for (size_t i = 0; i < numbers.size(); i++) {
      const variable_list own(first, first + counts[i]);
      first += counts[i];
      const Tensor part = x.select(0, numbers[i]);
      const int64_t dim = channel_dim(part, own);
      const Loops& loops = ((const Kernel*)kernels[i])->loops[slot(x.scalar_type())][dim >= 0];
      TORCH_CHECK(dim != -2 && loops.value, "a slice without a kernel");
      call(loops, part, y.select(0, numbers[i]), own, layout_of(part, dim), numbers[i]);
      is_served[numbers[i]] = true;
    }
    for (int64_t k = 0; k < x.size(0); k++)
      if (!is_served[k]) y.select(0, k).zero_();
  }
};

// Whether the tensor is dense memory of the CPU and nothing more: no subclass, no transform, no tangent.
bool plain(const Tensor& t) {
  static const uint64_t keys = at::empty({0}).key_set().raw_repr();
  return !(t.key_set().raw_repr() & ~keys) && slot(t.scalar_type()) >= 0 && !t._fw_grad(0).defined();
}

// Whether the thread runs operations as they are: outside every transform, trace and dispatch mode.
bool eager() {
  static const uint64_t keys = (c10::default_included_set | c10::autocast_dispatch_keyset).raw_repr();
  return !(c10::impl::tls_local_dispatch_key_set().included_.raw_repr() & ~keys);
}

// Called as f(x, *parameters): the function at x; None where these kernels do not serve.
PyObject* call(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  HANDLE_TH_ERRORS
  const Kernel& kernel = *(const Kernel*)PyCapsule_GetPointer(self, nullptr);
  for (Py_ssize_t i = 0; i < count; i++)
    if (!THPVariable_CheckTypeExact(Py_TYPE(arguments[i])) || !plain(THPVariable_Unpack(arguments[i]))) Py_RETURN_NONE;
  if ((size_t)count != kernel.n_parameters + 1 || !eager()) Py_RETURN_NONE;
  const Tensor& x = THPVariable_Unpack(arguments[0]);
  variable_list parameters;
  parameters.reserve(count - 1);
  bool grad = x.requires_grad();
  for (Py_ssize_t i = 1; i < count; i++) {
    parameters.push_back(THPVariable_Unpack(arguments[i]));
    grad = grad || parameters.back().requires_grad();
  }
  const int64_t dim = channel_dim(x, parameters);
  if (dim == -2 || !kernel.loops[slot(x.scalar_type())][dim >= 0].value) Py_RETURN_NONE;
  Tensor y;
  {
    pybind11::gil_scoped_release release;
    y = grad && at::GradMode::is_enabled() ? Run::apply(x, at::TensorList(parameters), (int64_t)&kernel, dim)
                                           : Run::direct(kernel, x, parameters, dim);
  }
  return THPVariable_Wrap(std::move(y));
  END_HANDLE_TH_ERRORS
}

PyMethodDef kCall = {"kernel", (PyCFunction)(void (*)())call, METH_FASTCALL, nullptr};

// The kernel of a program, still without loops: a handle to add some, and what is to be called.
pybind11::tuple make_kernel(size_t n_parameters, pybind11::object second) {
  auto* kernel = new Kernel{{}, n_parameters, second.release().ptr()};
  auto capsule = pybind11::reinterpret_steal<pybind11::object>(PyCapsule_New(kernel, nullptr, nullptr));
  auto function = pybind11::reinterpret_steal<pybind11::object>(PyCFunction_New(&kCall, capsule.ptr()));
  return pybind11::make_tuple((int64_t)kernel, function);
}

Tensor run_slices(const Tensor& x, const variable_list& parameters, const std::vector<int64_t>& numbers,
                  const std::vector<int64_t>& kernels, const std::vector<int64_t>& counts) {
  pybind11::gil_scoped_release release;
  return RunSlices::apply(x, at::TensorList(parameters), numbers, kernels, counts);
}

void set_loops(int64_t kernel, int slot, bool channels, int64_t value, int64_t slopes) {
  ((Kernel*)kernel)->loops[slot][channels] = {value, slopes};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("make_kernel", &make_kernel);
  m.def("set_loops", &set_loops);
  m.def("run_slices", &run_slices);
#ifdef CPUBLAS_BRGEMM_F32F32F32
  m.def("linear", &linear);
  m.def("layer_norm", &layer_norm);
#endif
}
