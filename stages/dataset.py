"""Make the images of the study."""

from protoviz import layout
from protoviz.config.params import Params
from protoviz.data import splits
from stages import run_stage


def main(params: Params) -> None:
    """Choose the images from their source and write the four splits."""
    splits.make(layout.IMAGES, params.images)


if __name__ == "__main__":
    run_stage(main)
