"""Make the images of the study."""

from protoviz import layout
from protoviz.config.study import Study
from protoviz.data import splits
from stages import run_stage


def main(params: Study) -> None:
    """Choose the images from their source and write the four splits."""
    assert params.images is not None  # the stage is part of studies with images alone
    splits.make(layout.IMAGES, params.images)


if __name__ == "__main__":
    run_stage(main)
