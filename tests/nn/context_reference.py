"""Dynamic ReLU and Meta-ACON written out plainly, position by position, as references for the modules."""

import torch


def dynamic_relu(x, state, *, variant, n_pieces, lambda_a=1.0, lambda_b=0.5):
    """Return the papers' formula for an input (N, C, ...), with loops and no broadcasting."""
    n_examples, n_channels = x.shape[:2]
    flat = x.reshape(n_examples, n_channels, -1)
    out = torch.empty_like(flat)
    for n in range(n_examples):
        mean = torch.stack([flat[n, c].mean() for c in range(n_channels)])
        hidden = (state["squeeze_weight"] @ mean + state["squeeze_bias"]).clamp(min=0)
        residual = 2 / (1 + torch.exp(-(state["excite_weight"] @ hidden + state["excite_bias"]))) - 1
        per = 1 if variant == "A" else n_channels
        residual = residual.reshape(2 * n_pieces, per)
        weight = torch.ones(flat.shape[2])
        if variant == "C":
            scores = torch.stack([state["spatial_weight"] @ flat[n, :, p] for p in range(flat.shape[2])])
            weights = torch.exp((scores + state["spatial_bias"]) / 10)
            weight = (weights / weights.sum() * flat.shape[2]).clamp(max=3)
        for c in range(n_channels):
            lines = []
            for k in range(n_pieces):
                slope = (1.0 if k == 0 else 0.0) + lambda_a * residual[k, c % per]
                offset = lambda_b * residual[n_pieces + k, c % per]
                lines.append(weight * (slope * flat[n, c] + offset))
            out[n, c] = torch.stack(lines).amax(dim=0)
    return out.reshape(x.shape)


def meta_acon(x, state, eps=1e-5):
    """Return the paper's formula in training for an input (N, C, ...)."""
    mean = x.reshape(*x.shape[:2], -1).mean(-1)

    def norm(values, layer):
        centred = values - values.mean(0)
        scaled = centred / torch.sqrt((centred**2).mean(0) + eps)
        return scaled * state[f"{layer}_norm_weight"] + state[f"{layer}_norm_bias"]

    hidden = norm(mean @ state["squeeze_weight"].T + state["squeeze_bias"], "squeeze")
    beta = torch.sigmoid(norm(hidden @ state["excite_weight"].T + state["excite_bias"], "excite"))
    out = torch.empty_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            line = (state["p1"][c] - state["p2"][c]) * x[n, c]
            out[n, c] = line / (1 + torch.exp(-beta[n, c] * line)) + state["p2"][c] * x[n, c]
    return out
