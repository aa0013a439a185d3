"""CIFAR-10 in its python version, read and verified by torchvision.

Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from pathlib import Path

import numpy as np

from protoviz.data.base import ArrayPictures, Source
from protoviz.errors import StudyError

FOLDER = "cifar-10-batches-py"


def read(path: str) -> Source:
    """Read CIFAR-10.

    Args:
        path: the folder `cifar-10-batches-py`, or the one that holds it.

    Raises:
        StudyError: a file is missing or its bytes are not those of CIFAR-10.
    """
    given = Path(path).expanduser()
    root = given.parent if given.name == FOLDER else given

    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import calculate_md5

    meta = [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]
    for name, digest in [*CIFAR10.train_list, *CIFAR10.test_list, meta]:
        file = root / FOLDER / name
        expected = f"the file of CIFAR-10 with MD5 {digest}"
        remedy = (
            "unpack cifar-10-python.tar.gz there again; images.path in params.yaml names the folder above"
        )
        if not file.is_file():
            raise StudyError(str(file), expected=expected, found="no such file", remedy=remedy)
        found = calculate_md5(str(file))
        if found != digest:  # checked before torchvision unpickles it
            size = f"{file.stat().st_size:,} bytes with MD5 {found}"
            raise StudyError(str(file), expected=expected, found=size, remedy=remedy)
    train, test = CIFAR10(str(root), train=True), CIFAR10(str(root), train=False)
    pictures = ArrayPictures(np.asarray(train.data))
    return Source(
        classes=list(train.classes),
        pool=pictures,
        train=pictures,
        train_labels=np.asarray(train.targets, np.int64),
        test=ArrayPictures(np.asarray(test.data)),
        test_labels=np.asarray(test.targets, np.int64),
        pool_is_train=True,
    )
