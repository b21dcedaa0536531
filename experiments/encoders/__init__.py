"""Encoders: Flax NNX modules from images `[n, h, w, c]` to embeddings `[n, d]`, one architecture a file.

`ENCODERS` holds those that can be trained, by the name that `--encoder` takes; `pixels` is the floor under them.
`efficientnet.load()` and `resnet.load("resnet-18")` come trained, on ImageNet; `pretrained.py` says what they share,
and `finetuned.py` goes on with the training of the first.
"""

from experiments.encoders.cifar_resnet import CifarResNet
from experiments.encoders.conv4 import Conv4
from experiments.encoders.densenet import DenseNet
from experiments.encoders.finetuned import FineTuned
from experiments.encoders.head import Head
from experiments.encoders.pixels import pixels
from experiments.encoders.resnet12 import ResNet12

ENCODERS = {
    "conv4": Conv4,
    "resnet12": ResNet12,
    "cifar_resnet": CifarResNet,
    "densenet": DenseNet,
    "efficientnet-lite0": FineTuned,
    "head": Head,
}

__all__ = ["ENCODERS", "CifarResNet", "Conv4", "DenseNet", "FineTuned", "Head", "ResNet12", "pixels"]
