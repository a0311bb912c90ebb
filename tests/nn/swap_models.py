"""Models as people write them; swap must find every activation in them."""

import functools

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.functional import relu as rectify
from torch.utils.checkpoint import checkpoint


class Functional(nn.Module):
    """Calls functions under every name they have."""

    n_places = 9

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(9))

    def forward(self, x):
        import torch.nn.functional as functional

        act = F.mish
        x = F.relu(self.layers[0](x))
        x = torch.nn.functional.gelu(self.layers[1](x), approximate="tanh")
        x = torch.relu(input=self.layers[2](x))
        x = rectify(self.layers[3](x), inplace=True)
        x = self.layers[4](x).relu()
        x = functional.leaky_relu(self.layers[5](x), 0.2)
        x = act(self.layers[6](x))
        x = nn.ReLU()(self.layers[7](x))
        return torch.sigmoid(checkpoint(F.silu, self.layers[8](x), use_reentrant=False))

    def expected(self, x, f):
        for layer in self.layers:
            x = f(layer(x))
        return torch.sigmoid(x)


def residual_step(layer, x, *, scale=1.0):
    return x + scale * F.relu(layer(x))


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)

    def forward(self, x):
        return F.elu(self.first(x))


class Inherited(Base):
    """super(), private methods, static methods, helper functions."""

    n_places = 4

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(6, 6)

    def forward(self, x):
        return self.__tail(super().forward(x))

    def __tail(self, x):
        x = residual_step(self.second, x, scale=2.0)
        x = self.squash(x)
        return torch.tanh(self.gated(x))

    @staticmethod
    def squash(x):
        return F.celu(x)

    @torch.no_grad()
    def gated(self, x):
        return F.selu(x)

    def expected(self, x, f):
        x = f(self.first(x))
        x = x + 2 * f(self.second(x))
        return torch.tanh(f(f(x)))


class InPlace(nn.Module):
    """Statements that change a tensor."""

    n_places = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        y = self.layer(x)
        kept = y
        F.relu_(y)
        F.relu(y, inplace=True)
        y.relu_()
        return kept

    def expected(self, x, f):
        return f(f(f(self.layer(x))))


class Stored(nn.Module):
    """Functions and modules in attributes, lists, dicts and partials."""

    n_places = 7
    shared = nn.ReLU()

    def __init__(self, kind="relu"):
        super().__init__()
        self.kind = kind
        self.act = F.relu
        self.leaky = functools.partial(F.leaky_relu, negative_slope=0.3)
        self.several = [F.gelu, nn.SiLU()]
        self.named = {"hidden": F.silu, "gate": torch.sigmoid}
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        x = self.leaky(self.act(self.layer(x)))
        for act in self.several:
            x = act(x)
        x = self.named["hidden"](x)
        x = getattr(F, self.kind)(x)
        return self.named["gate"](self.shared(x))

    def expected(self, x, f):
        x = self.layer(x)
        for _ in range(7):
            x = f(x)
        return torch.sigmoid(x)


class Block(nn.Module):
    """A residual block: one module used twice, one function."""

    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + x)


class ResNet(nn.Module):
    """Builds its blocks in a helper of __init__, which holds no place."""

    n_places = 6

    def __init__(self):
        super().__init__()
        self.stem = self._stem(nn.ReLU)
        self.blocks = nn.Sequential(Block(4), Block(4))
        self.fc = nn.Linear(4, 3)

    def _stem(self, kind):
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU() if kind is nn.ReLU else kind())

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.fc(torch.flatten(F.relu(F.adaptive_avg_pool2d(x, 1)), 1))


def unreachable(x, name):
    return getattr(F, name)(x)


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x, name="relu"):
        return getattr(F, name)(self.layer(x))


class DynamicTable(nn.Module):
    table = {"relu": F.relu, "gelu": F.gelu}

    def forward(self, x, name="relu"):
        return self.table[name](x)


class DefaultArgument(nn.Module):
    def forward(self, x, act=F.relu):
        return act(x)


class StoredLambda(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = lambda x: F.relu(x) + 1

    def forward(self, x):
        return self.act(x)


class Gates(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Sigmoid()

    def forward(self, x):
        return self.gate(x) * torch.tanh(x) * x.tanh()


class Swish(nn.Module):
    """An activation of one's own."""

    def forward(self, x):
        return x * torch.sigmoid(x)


def my_swish(x):
    return x * torch.sigmoid(x)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = Swish()

    def forward(self, x):
        return my_swish(self.act(x))


def tagged(tag):
    return functools.partial(_tag, tag)


def _tag(tag, function):
    @functools.wraps(function)
    def inside(*args):
        return function(*args)

    return inside


class LostDecorator(nn.Module):
    tag = "one"

    @tagged(tag)
    def forward(self, x):
        return F.relu(x)
