"""Convolutions with PyTorch's padding and strides, by loops over pixels and by PyTorch; maps are `[n, h, w, c]`."""

import numpy as np
import pytest


def by_loops(x, kernel, stride):
    k = kernel.shape[0]
    n, h, w, _ = x.shape
    y = np.zeros((n, -(-h // stride), -(-w // stride), kernel.shape[-1]))
    for i, j in np.ndindex(*y.shape[1:3]):
        for di, dj in np.ndindex(k, k):
            row, column = i * stride + di - k // 2, j * stride + dj - k // 2
            if 0 <= row < h and 0 <= column < w:
                y[:, i, j] += x[:, row, column] @ kernel[di, dj]
    return y


def by_torch(x, kernel, stride):
    torch = pytest.importorskip("torch", reason="PyTorch has the convolution that ours is compared with")
    maps, kernel = torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(kernel.transpose(3, 2, 0, 1), dtype=torch.double)
    y = torch.nn.functional.conv2d(maps, kernel, stride=stride, padding=kernel.shape[-1] // 2)
    return y.numpy().transpose(0, 2, 3, 1)
